//! Connection ids of QUIC packets (RFC 8999): what tells a handshake from another one in the same name.
//!
//! Nothing authenticates the source of a handshake's packets, but who forges them has not seen the id that
//! the true one wants on its answers.

/// Longest connection id of QUIC version 1 (RFC 9000 section 17.2).
const LONGEST: usize = 20;

/// Form bit of a long header.
const LONG_HEADER: u8 = 0x80;

/// First byte and version.
const BEFORE_IDS: usize = 5;

/// A connection id, zeros behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cid {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Cid {
    /// The id on the answers that the sender of this packet with a long header wants.
    pub fn of_source(packet: &[u8]) -> Option<Self> {
        let (_, rest) = long(packet)?;
        Some(field(rest)?.0)
    }

    /// The id that this packet with a long header carries for who gets it. Those with a short header do
    /// not say how long theirs is, and it is another one: a QUIC server leaves a client's first id as
    /// soon as it knows more.
    pub fn of_destination(packet: &[u8]) -> Option<Self> {
        Some(long(packet)?.0)
    }

    /// `None`: no version that we speak has ids so long.
    fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        let len = id.len() as u8;
        Some(Self { bytes, len })
    }
}

/// The destination's id of a packet with a long header, and what follows it.
fn long(packet: &[u8]) -> Option<(Cid, &[u8])> {
    let is_long = packet.first()? & LONG_HEADER != 0;
    field(packet.get(BEFORE_IDS..).filter(|_| is_long)?)
}

/// An id behind its length, and what follows it.
fn field(bytes: &[u8]) -> Option<(Cid, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (id, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((Cid::new(id)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid(id: &[u8]) -> Option<Cid> {
        Cid::new(id)
    }

    #[test]
    fn an_answer_carries_the_id_that_was_wanted() {
        let opening = b"\xc0\0\0\0\x01\x03abc\x08ingress1rest";
        let answer = b"\xe0\0\0\0\x01\x08ingress1\x02xyrest";
        let later = b"\x40ingress1rest";
        assert_eq!(Cid::of_source(opening), cid(b"ingress1"));
        assert_eq!(Cid::of_destination(opening), cid(b"abc"));
        assert_eq!(Cid::of_destination(answer), cid(b"ingress1"));
        assert_eq!(Cid::of_destination(later), None);
        assert_eq!(Cid::of_source(later), None);
        assert_ne!(cid(b"a"), cid(b"a\0"));
    }

    #[test]
    fn what_is_cut_off_or_too_long_has_none() {
        let whole = b"\xc0\0\0\0\x01\x03abc\x08ingress1";
        for end in 0..whole.len() {
            assert_eq!(Cid::of_source(&whole[..end]), None, "{end}");
        }
        let long = [&[0xc0, 0, 0, 0, 1, 21][..], &[7; 30]].concat();
        assert_eq!(Cid::of_destination(&long), None);
        assert_eq!(Cid::of_source(&long), None);
    }
}
