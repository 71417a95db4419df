//! Path probes: small packets that cross the mesh beside a session's QUIC packets, along a path
//! of the sender's choice, authenticated end to end with a key that only the session's two ends
//! have.
//!
//! ```text
//! packet header | session tag u64 | sequence u64 | flags u8 | HMAC-SHA-256, first 16 bytes
//! ```
//!
//! The code covers type, source and hops of the header too, so a probe proves its whole path. A
//! probe with the active flag tells the exit to answer along its reverse. Key and tag are exported
//! from the session's TLS (RFC 8446 section 7.5).

use aws_lc_rs::hmac;

use crate::wire::packet::Header;

/// Bytes after the packet header.
const LEN: usize = 8 + 8 + 1 + MAC;

/// Bytes of the truncated code: 128 bits, as RFC 4868 has it.
const MAC: usize = 16;

/// The sender uses this path now.
const ACTIVE: u8 = 1;

const EXPORTER_LABEL: &[u8] = b"EXPORTER-warren-path-probe";

/// What the two ends of a session share to make and check probes.
pub(super) struct ProbeKey {
    /// Names the session at its two ends.
    pub(super) tag: u64,
    key: hmac::Key,
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) tag: u64,
    /// Grows with every probe of a session.
    pub(super) sequence: u64,
    /// Answer the session along the reverse of this path from now on.
    pub(super) active: bool,
}

impl ProbeKey {
    /// The key of a session; the same at both ends. `None` before the handshake is done.
    pub(super) fn export(connection: &quinn::Connection) -> Option<Self> {
        let mut secret = [0; 8 + 32];
        connection
            .export_keying_material(&mut secret, EXPORTER_LABEL, b"")
            .ok()?;
        Some(Self::from_secret(&secret))
    }

    fn from_secret(secret: &[u8; 40]) -> Self {
        let (tag, key) = secret.split_at(8);
        let mut number = [0; 8];
        number.copy_from_slice(tag);
        Self {
            tag: u64::from_be_bytes(number),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The payload that goes after `header`.
    pub(super) fn seal(&self, header: &Header<'_>, probe: Probe) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..8].copy_from_slice(&probe.tag.to_be_bytes());
        bytes[8..16].copy_from_slice(&probe.sequence.to_be_bytes());
        bytes[16] = if probe.active { ACTIVE } else { 0 };
        let code = self.code(header, &bytes[..LEN - MAC]);
        bytes[LEN - MAC..].copy_from_slice(&code.as_ref()[..MAC]);
        bytes
    }

    /// Whether `payload` was made with this key for this header.
    pub(super) fn verify(&self, header: &Header<'_>, payload: &[u8]) -> bool {
        if payload.len() != LEN {
            return false;
        }
        let (body, code) = payload.split_at(LEN - MAC);
        let expected = self.code(header, body);
        subtle::ConstantTimeEq::ct_eq(&expected.as_ref()[..MAC], code).into()
    }

    fn code(&self, header: &Header<'_>, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[header.packet_type() as u8, header.count() as u8]);
        context.update(&header.source().0.to_be_bytes());
        for index in 0..header.count() {
            context.update(&header.hop(index).0.to_be_bytes());
        }
        context.update(body);
        context.sign()
    }
}

impl Probe {
    /// Reads a payload of the right length; nothing is authenticated yet.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        if payload.len() != LEN {
            return None;
        }
        let (tag, rest) = payload.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            tag: u64::from_be_bytes(*tag),
            sequence: u64::from_be_bytes(*sequence),
            active: rest[0] & ACTIVE != 0,
        })
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

    fn sealed(key: &ProbeKey, header: &[u8], active: bool) -> [u8; LEN] {
        let probe = Probe {
            tag: key.tag,
            sequence: 9,
            active,
        };
        key.seal(&Header::parse(header).unwrap(), probe)
    }

    #[test]
    fn a_probe_verifies_at_the_other_end_whatever_index_and_token() {
        let key = ProbeKey::from_secret(&[5; 40]);
        let mut bytes = header(PacketType::Probe, 1, &[2, 3]);
        let payload = sealed(&key, &bytes, true);
        crate::wire::packet::advance(&mut bytes, 99);
        let arrived = Header::parse(&bytes).unwrap();
        assert!(key.verify(&arrived, &payload));
        let probe = Probe::parse(&payload).unwrap();
        assert_eq!(
            (probe.tag, probe.sequence, probe.active),
            (key.tag, 9, true)
        );
    }

    #[test]
    fn another_path_type_key_or_flag_does_not_verify() {
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
        let mut flipped = payload;
        flipped[16] |= ACTIVE;
        assert!(!key.verify(&good, &flipped));
        assert!(!key.verify(&good, &payload[..LEN - 1]));
        assert!(Probe::parse(&payload[..LEN - 1]).is_none());
    }
}
