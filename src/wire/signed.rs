//! Signed advertisements and certificates as they travel.
//!
//! The origin signs a domain tag and the exact bytes of the body; everybody stores and forwards
//! those bytes as received and never re-encodes them. Both types are handles: a clone shares the
//! bytes, and the decoded form with them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};

use super::adv::Advertisement;
use super::bounds::{self, AdvError, MAX_BODY_BYTES, MAX_CERTIFICATE_BYTES};
use super::object::{ObjectKey, Version};

/// Bytes that an envelope adds to its body on the wire, at most: signature, counters, framing.
const ENVELOPE_OVERHEAD: usize = 80;

/// Bytes that a certificate's framing adds, at most.
const CERTIFICATE_OVERHEAD: usize = 5;

/// A body exactly as its origin encoded it, and the origin's Ed25519 signature over the domain tag
/// and that body.
#[derive(Clone)]
pub struct SignedAdv(Arc<Signed>);

struct Signed {
    body: Box<[u8]>,
    signature: [u8; 64],
    decoded: OnceLock<Result<Advertisement, AdvError>>,
}

/// What proves an origin's key, and its SHA-256. The bytes mean something to the authority only: a
/// certificate in DER, and after it those that lead to the CA, if any.
#[derive(Clone)]
pub struct CertificateBytes(Arc<HashedBytes>);

struct HashedBytes {
    bytes: Box<[u8]>,
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
    pub fn sign(adv: Advertisement, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        let body = adv.encode();
        let message = bounds::signing_message(&body).expect("an encoded body has a known kind");
        let signed = Self::from_parts(body.into(), sign(&message));
        // A fresh cell: nothing else can have filled it.
        let _ = signed.0.decoded.set(Ok(adv));
        signed
    }

    /// A body and signature as received; neither is checked.
    pub fn from_parts(body: Box<[u8]>, signature: [u8; 64]) -> Self {
        Self(Arc::new(Signed {
            body,
            signature,
            decoded: OnceLock::new(),
        }))
    }

    /// The encoded advertisement, its kind byte first.
    pub fn body(&self) -> &[u8] {
        &self.0.body
    }

    /// Ed25519, over [`signing_message`](Self::signing_message); not checked here.
    pub fn signature(&self) -> &[u8; 64] {
        &self.0.signature
    }

    /// What the signature covers; `None` if the body's kind is unknown.
    pub fn signing_message(&self) -> Option<Vec<u8>> {
        bounds::signing_message(&self.0.body)
    }

    /// The decoded body. Decodes once, at the first call.
    pub fn advertisement(&self) -> Result<&Advertisement, &AdvError> {
        self.0
            .decoded
            .get_or_init(|| Advertisement::decode(&self.0.body))
            .as_ref()
    }

    /// Names this object and version; `None` if the body does not decode.
    pub fn key(&self) -> Option<ObjectKey> {
        let adv = self.advertisement().ok()?;
        let stamp = adv.stamp();
        let mut check = [0; 8];
        check.copy_from_slice(&self.0.signature[..8]);
        Some(ObjectKey {
            origin: stamp.origin,
            kind: adv.kind(),
            fragment: adv.fragment(),
            version: Version {
                epoch: stamp.epoch,
                sequence: stamp.sequence,
                check: u64::from_be_bytes(check),
            },
        })
    }

    /// Bytes of its envelope on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        self.0.body.len() + ENVELOPE_OVERHEAD
    }
}

impl CertificateBytes {
    /// Hashes the bytes; whether they are certificates is not checked.
    pub fn new(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(Arc::new(HashedBytes {
            bytes: bytes.into(),
            hash,
        }))
    }

    /// DER, the agent's certificate first.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> &[u8; 32] {
        &self.0.hash
    }

    /// Bytes on the wire, at most.
    pub fn wire_bytes(&self) -> usize {
        self.0.bytes.len() + CERTIFICATE_OVERHEAD
    }
}

impl PartialEq for SignedAdv {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.body == other.0.body && self.0.signature == other.0.signature)
    }
}

impl Eq for SignedAdv {}

impl PartialEq for CertificateBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
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
        write!(f, "CertificateBytes({} bytes)", self.0.bytes.len())
    }
}

impl<C> Encode<C> for SignedAdv {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?
            .bytes(&self.0.body)?
            .bytes(&self.0.signature)?
            .ok()
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
        e.bytes(&self.0.bytes)?.ok()
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
