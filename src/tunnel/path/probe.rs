//! Path probes: small packets that cross the mesh beside a session's QUIC packets, along a path
//! of the sender's choice, authenticated end to end with a key that only the session's two ends
//! have.
//!
//! ```text
//! packet header | session tag u64 | sequence u64 | flags u8 | HMAC-SHA-256, first 16 bytes | zeros
//! ```
//!
//! The zeros make a probe as large as the session's packets, so that a path which passes probes
//! passes those. The code covers type, source and hops of the header and the length too, so a probe
//! proves its whole path. A probe with the active flag tells the exit to answer along its reverse.
//! A reply nobody asked for is the exit's word that it doubts the path.

use aws_lc_rs::hmac;

use crate::wire::packet::Header;

/// Bytes after the packet header, zeros not counted.
const LEN: usize = 8 + 8 + 1 + MAC;

/// Bytes of the truncated code: 128 bits, as RFC 4868 has it.
const MAC: usize = 16;

/// The sender uses this path now.
const ACTIVE: u8 = 1;

/// The sender doubts the path it uses and mirrors its packets.
const DOUBT: u8 = 2;

/// Sent by the exit of its own accord.
const SIGNAL: u8 = 4;

/// Full packets do not pass this path.
const NARROW: u8 = 8;

/// What the two ends of a session share to make and check probes.
pub struct ProbeKey {
    /// Names the session at its two ends.
    pub tag: u64,
    key: hmac::Key,
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub tag: u64,
    /// Grows with every probe of a session.
    pub sequence: u64,
    pub flags: Flags,
}

/// What a probe is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Answer the session along the reverse of this path from now on.
    pub active: bool,
    /// The sender doubts the path it uses: mirror until a probe without this arrives.
    pub doubt: bool,
    /// No reply, though of that type: the exit says that it doubts.
    pub signal: bool,
    /// Packets pass this path only in halves: answer so.
    pub narrow: bool,
}

impl ProbeKey {
    /// The key and tag that 40 secret bytes make: the tag first.
    pub fn from_secret(secret: &[u8; 40]) -> Self {
        let (tag, key) = secret.split_at(8);
        let mut number = [0; 8];
        number.copy_from_slice(tag);
        Self {
            tag: u64::from_be_bytes(number),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The payload of `size` bytes that goes after `header`.
    pub fn seal(&self, header: &Header<'_>, probe: Probe, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size.max(LEN)];
        bytes[..8].copy_from_slice(&probe.tag.to_be_bytes());
        bytes[8..16].copy_from_slice(&probe.sequence.to_be_bytes());
        bytes[16] = probe.flags.to_byte();
        let code = self.code(header, &bytes);
        bytes[LEN - MAC..LEN].copy_from_slice(&code.as_ref()[..MAC]);
        bytes
    }

    /// Whether `payload` was made with this key for this header.
    pub fn verify(&self, header: &Header<'_>, payload: &[u8]) -> bool {
        let Some(code) = payload.get(LEN - MAC..LEN) else {
            return false;
        };
        let expected = self.code(header, payload);
        subtle::ConstantTimeEq::ct_eq(&expected.as_ref()[..MAC], code).into()
    }

    /// `payload` has at least [`LEN`] bytes.
    fn code(&self, header: &Header<'_>, payload: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[header.packet_type() as u8, header.count() as u8]);
        context.update(&header.source().0.to_be_bytes());
        for index in 0..header.count() {
            context.update(&header.hop(index).0.to_be_bytes());
        }
        context.update(&payload[..LEN - MAC]);
        context.update(&(payload.len() as u64).to_be_bytes());
        context.sign()
    }
}

impl Probe {
    /// Reads a payload of the right length; nothing is authenticated yet.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        if payload.len() < LEN {
            return None;
        }
        let (tag, rest) = payload.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            tag: u64::from_be_bytes(*tag),
            sequence: u64::from_be_bytes(*sequence),
            flags: Flags::from_byte(rest[0]),
        })
    }
}

impl Flags {
    fn to_byte(self) -> u8 {
        let bit = |on, bit| if on { bit } else { 0 };
        bit(self.active, ACTIVE)
            | bit(self.doubt, DOUBT)
            | bit(self.signal, SIGNAL)
            | bit(self.narrow, NARROW)
    }

    fn from_byte(byte: u8) -> Self {
        Self {
            active: byte & ACTIVE != 0,
            doubt: byte & DOUBT != 0,
            signal: byte & SIGNAL != 0,
            narrow: byte & NARROW != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ShortId;
    use crate::wire::packet::{PacketType, write_header};

    fn header(kind: PacketType, source: u64, hops: &[u64]) -> Vec<u8> {
        let hops: Vec<ShortId> = hops.iter().map(|hop| ShortId(*hop)).collect();
        let mut out = Vec::new();
        write_header(&mut out, kind, 7, ShortId(source), &hops);
        out
    }

    fn sealed(key: &ProbeKey, header: &[u8], active: bool) -> Vec<u8> {
        let probe = Probe {
            tag: key.tag,
            sequence: 9,
            flags: Flags {
                active,
                doubt: true,
                signal: false,
                narrow: false,
            },
        };
        key.seal(&Header::parse(header).unwrap(), probe, 1_200)
    }

    #[test]
    fn a_probe_verifies_at_the_other_end_whatever_index_and_token() {
        let key = ProbeKey::from_secret(&[5; 40]);
        let mut bytes = header(PacketType::Probe, 1, &[2, 3]);
        let payload = sealed(&key, &bytes, true);
        assert_eq!(payload.len(), 1_200);
        crate::wire::packet::advance(&mut bytes, 99);
        let arrived = Header::parse(&bytes).unwrap();
        assert!(key.verify(&arrived, &payload));
        let probe = Probe::parse(&payload).unwrap();
        assert_eq!((probe.tag, probe.sequence), (key.tag, 9));
        assert_eq!(
            probe.flags,
            Flags {
                active: true,
                doubt: true,
                signal: false,
                narrow: false,
            }
        );
    }

    #[test]
    fn another_path_type_key_flag_or_length_does_not_verify() {
        let key = ProbeKey::from_secret(&[5; 40]);
        let good = header(PacketType::Probe, 1, &[2, 3]);
        let payload = sealed(&key, &good, false);
        for other in [
            header(PacketType::Probe, 1, &[4, 3]),
            header(PacketType::Probe, 8, &[2, 3]),
            header(PacketType::Probe, 1, &[2, 4, 3]),
            header(PacketType::ProbeReply, 1, &[2, 3]),
        ] {
            assert!(!key.verify(&Header::parse(&other).unwrap(), &payload));
        }
        let good = Header::parse(&good).unwrap();
        let stranger = ProbeKey::from_secret(&[6; 40]);
        assert!(!stranger.verify(&good, &payload));
        let mut flipped = payload.clone();
        flipped[16] |= ACTIVE;
        assert!(!key.verify(&good, &flipped));
        assert!(!key.verify(&good, &payload[..LEN]));
        assert!(!key.verify(&good, &payload[..LEN - 1]));
        assert!(Probe::parse(&payload[..LEN - 1]).is_none());
    }
}
