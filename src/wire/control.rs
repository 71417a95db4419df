//! What neighbours say to each other on a link's control stream.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::object::ObjectKey;
use super::signed::{CertificateBytes, Envelope};
use crate::identity::{AgentId, ShortId};

/// One control message. Unknown fields are skipped; an unknown variant is an error of the peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ControlMessage {
    /// First message in each direction.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// The token to put on packets sent to the sender of this message.
    #[n(1)]
    Token(#[n(0)] Token),
    #[n(2)]
    Flood(#[n(0)] Flood),
    #[n(3)]
    Digest(#[n(0)] Digest),
    #[n(4)]
    BucketSummary(#[n(0)] BucketSummary),
    #[n(5)]
    Request(#[n(0)] Request),
    #[n(6)]
    PathError(#[n(0)] PathError),
    /// The sender is about to stop: take the link down at once.
    #[n(7)]
    Goodbye(#[n(0)] Goodbye),
}

/// Bytes of a message without what it lists, at most.
const MESSAGE_OVERHEAD: usize = 32;

/// Bytes of an [`ObjectKey`] and its reach, at most: 17 of id, 28 of version, 4 of fragment, 4 of
/// framing and kind, 1 of reach.
pub const OBJECT_KEY_BYTES: usize = 54;

/// Bytes of a short id, at most.
const SHORT_ID_BYTES: usize = 9;

impl ControlMessage {
    /// Bytes on the wire, at most. Exact enough to hold messages against limits without encoding
    /// them twice.
    pub fn wire_bytes(&self) -> usize {
        MESSAGE_OVERHEAD
            + match self {
                Self::Hello(hello) => 32 + hello.display_name.len(),
                Self::Token(_) => 9,
                Self::Flood(flood) => flood.wire_bytes(),
                Self::Digest(digest) => 9 * digest.buckets.len() + digest.reach.len(),
                Self::BucketSummary(summary) => {
                    OBJECT_KEY_BYTES * summary.objects.len() + summary.reach.len()
                }
                Self::Request(request) => OBJECT_KEY_BYTES * request.objects.len(),
                Self::PathError(error) => 48 + SHORT_ID_BYTES * error.back.len(),
                Self::Goodbye(goodbye) => goodbye.reason.len(),
            }
    }
}

impl Flood {
    fn wire_bytes(&self) -> usize {
        let certificates = self.certificates.iter();
        let advertisements = self.advertisements.iter();
        certificates
            .map(CertificateBytes::wire_bytes)
            .chain(advertisements.map(|envelope| envelope.adv.wire_bytes()))
            .sum()
    }
}

/// Opens a link.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Protocol version; both sides must speak the same.
    #[n(0)]
    pub version: u16,
    /// Feature bits both sides understand are used.
    #[n(1)]
    pub features: u64,
    /// The sender's epoch: tells a restarted process from a second connection of the same one.
    #[n(2)]
    pub epoch: u64,
    #[n(3)]
    pub display_name: String,
    /// The sender's heartbeat interval, milliseconds.
    #[n(4)]
    pub heartbeat_ms: u32,
    /// The sender's configured cost of this link; the larger of both sides' counts.
    #[n(5)]
    pub cost: u32,
    /// The sender's clock, Unix milliseconds; absent from older releases. For people who look for a
    /// clock that is wrong; nothing depends on it.
    #[n(6)]
    pub time_ms: Option<u64>,
}

/// Announces a link token.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    #[n(0)]
    pub token: u64,
}

/// Advertisements, and the certificates that the receiver may lack to verify them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Flood {
    #[n(0)]
    pub certificates: Vec<CertificateBytes>,
    #[n(1)]
    pub advertisements: Vec<Envelope>,
}

/// A hash per bucket over everything the sender has stored; buckets are by origin id.
///
/// Reconciliation pulls: who receives a digest that differs from its own answers with
/// [`BucketSummary`], and who receives a summary asks with [`Request`] for what it lacks, which is
/// answered by [`Flood`]. As both neighbours send digests, both converge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    #[n(0)]
    pub buckets: Vec<u64>,
    /// By bucket, the least reach (sends left) of any object in it; [`ENOUGH_REACH`] where more
    /// would help nobody. A neighbour that can offer more answers with a summary of that bucket.
    #[n(1)]
    pub reach: ByteVec,
}

/// A reach that needs no improvement.
pub const ENOUGH_REACH: u8 = u8::MAX;

/// The answer to a [`Digest`] that differs: what the sender has in the differing buckets and may
/// pass on. May come in several messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BucketSummary {
    #[n(0)]
    pub objects: Vec<ObjectKey>,
    /// The reach that each of them would have at the receiver.
    #[n(1)]
    pub reach: ByteVec,
}

/// Asks for these objects, certificates included. The answer is the version that is current by
/// then.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    #[n(0)]
    pub objects: Vec<ObjectKey>,
}

/// Tells the source of a packet that its path is broken.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PathError {
    /// The agent that could not forward.
    #[n(0)]
    pub reporter: AgentId,
    /// The next hop that it could not reach.
    #[cbor(n(1), with = "short_id")]
    pub next_hop: ShortId,
    /// The packet's last hop.
    #[cbor(n(2), with = "short_id")]
    pub destination: ShortId,
    /// Where this message goes after its receiver, the packet's source last. Each forwarder takes
    /// the first off, so that it ends after at most as many hops as the packet made.
    #[cbor(n(3), with = "short_ids")]
    pub back: Vec<ShortId>,
}

/// Why the sender leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Goodbye {
    #[n(0)]
    pub reason: String,
}

mod short_id {
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    use crate::identity::ShortId;

    pub(super) fn encode<C, W: Write>(
        id: &ShortId,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.u64(id.0)?.ok()
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<ShortId, DecodeError> {
        d.u64().map(ShortId)
    }
}

mod short_ids {
    use minicbor::decode::{Decoder, Error as DecodeError};
    use minicbor::encode::{Encoder, Error as EncodeError, Write};

    use crate::identity::ShortId;
    use crate::wire::packet::MAX_HOPS;

    pub(super) fn encode<C, W: Write>(
        ids: &[ShortId],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(ids.len() as u64)?;
        ids.iter().try_for_each(|id| e.u64(id.0)?.ok())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<ShortId>, DecodeError> {
        match d.array()? {
            Some(count) if count <= MAX_HOPS as u64 => {
                (0..count).map(|_| d.u64().map(ShortId)).collect()
            }
            Some(_) | None => Err(DecodeError::message("more hops than a path has")),
        }
    }
}
