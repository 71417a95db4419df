//! Signed advertisements and certificates as they travel.
//!
//! The origin signs a domain tag and the exact bytes of the body; everybody stores and forwards
//! those bytes as received and never re-encodes them. Both types are handles: a clone shares the
//! bytes. What they decode to is not kept: an agent holds those of the whole mesh.

use std::fmt;
use std::sync::Arc;

use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};

use super::adv::{Advertisement, LinkAdv, RouteAdv, Stamp};
use super::bounds::{self, AdvError, MAX_BODY_BYTES, MAX_CERTIFICATE_BYTES};
use super::control::ObjectKey;

/// Bytes that an envelope adds to its body on the wire, at most: signature, counters, framing.
const ENVELOPE_OVERHEAD: usize = 80;

/// Bytes that a certificate's framing adds, at most.
const CERTIFICATE_OVERHEAD: usize = 5;

/// A body exactly as its origin encoded it, and the origin's Ed25519 signature over the domain tag
/// and that body.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAdv {
    body: Arc<[u8]>,
    signature: [u8; 64],
}

/// What proves an origin's key, and its SHA-256. The bytes mean something to the authority only: a
/// certificate in DER, and after it those that lead to the CA, if any.
#[derive(Clone)]
pub struct CertificateBytes {
    bytes: Arc<[u8]>,
    hash: [u8; 32],
}

/// A signed advertisement on its way. `ttl` and `hops` are unsigned: they bound the flood and are
/// shown to people; route selection never reads them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Envelope {
    #[n(0)]
    pub adv: SignedAdv,
    /// Forwardings left.
    #[n(1)]
    pub ttl: u8,
    /// Forwardings so far.
    #[n(2)]
    pub hops: u8,
}

impl SignedAdv {
    /// Encodes `adv` and signs it with `sign`, which gets the message to sign.
    pub fn sign(adv: &Advertisement, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        let body = adv.encode();
        let message = bounds::signing_message(&body).expect("an encoded body has a known kind");
        Self::from_parts(body.into(), sign(&message))
    }

    /// A body and signature as received; neither is checked.
    pub fn from_parts(body: Arc<[u8]>, signature: [u8; 64]) -> Self {
        Self { body, signature }
    }

    /// The encoded advertisement, its kind byte first.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Ed25519, over [`signing_message`](Self::signing_message); not checked here.
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// What the signature covers; `None` if the body's kind is unknown.
    pub fn signing_message(&self) -> Option<Vec<u8>> {
        bounds::signing_message(&self.body)
    }

    /// Decodes the body.
    pub fn advertisement(&self) -> Result<Advertisement, AdvError> {
        Advertisement::decode(&self.body)
    }

    /// Decodes what it says of links; `None` if it is not of links.
    pub fn link(&self) -> Option<LinkAdv> {
        match self.advertisement() {
            Ok(Advertisement::Link(link)) => Some(link),
            Ok(Advertisement::Route(_)) | Err(_) => None,
        }
    }

    /// Decodes what it says of routes; `None` if it is not of routes.
    pub fn route(&self) -> Option<RouteAdv> {
        match self.advertisement() {
            Ok(Advertisement::Route(route)) => Some(route),
            Ok(Advertisement::Link(_)) | Err(_) => None,
        }
    }

    /// Decodes the stamp alone, which is much less work; of a body that decodes it never fails.
    pub fn stamp(&self) -> Result<Stamp, AdvError> {
        bounds::decode_stamp(&self.body)
    }

    /// Names this object and version; `None` if the body does not decode.
    pub fn key(&self) -> Option<ObjectKey> {
        Some(self.advertisement().ok()?.key(&self.signature))
    }

    /// Bytes of its envelope on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        self.body.len() + ENVELOPE_OVERHEAD
    }
}

impl CertificateBytes {
    /// Hashes the bytes; whether they are certificates is not checked.
    pub fn new(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self {
            bytes: bytes.into(),
            hash,
        }
    }

    /// DER, the agent's certificate first.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Bytes on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len() + CERTIFICATE_OVERHEAD
    }
}

impl PartialEq for CertificateBytes {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for CertificateBytes {}

impl fmt::Debug for SignedAdv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignedAdv")
            .field(&self.advertisement())
            .finish()
    }
}

impl fmt::Debug for CertificateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateBytes({} bytes)", self.bytes.len())
    }
}

impl<C> Encode<C> for SignedAdv {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.bytes(&self.body)?.bytes(&self.signature)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for SignedAdv {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message("a signed advertisement has 2 fields"));
        }
        let body = d.bytes()?;
        if body.len() > MAX_BODY_BYTES {
            return Err(DecodeError::message("advertisement is oversized"));
        }
        let signature = <[u8; 64]>::try_from(d.bytes()?)
            .map_err(|_| DecodeError::message("a signature has 64 bytes"))?;
        Ok(Self::from_parts(body.into(), signature))
    }
}

impl<C> Encode<C> for CertificateBytes {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.bytes(&self.bytes)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for CertificateBytes {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let bytes = d.bytes()?;
        if bytes.len() > MAX_CERTIFICATE_BYTES {
            return Err(DecodeError::message("certificate is oversized"));
        }
        Ok(Self::new(bytes))
    }
}
