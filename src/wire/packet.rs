//! The header before every end-to-end packet.
//!
//! ```text
//! type u8 | index u8 | count u8 | link token u64 | source short id u64 | count x hop short id u64
//! ```
//!
//! All integers are big endian. The types leave QUIC's fixed bit (0x40, RFC 9000 section 17) clear,
//! so that packets and link QUIC share one UDP port. `index` names the hop that receives the
//! packet; the last hop delivers it.

use crate::identity::ShortId;

/// QUIC's fixed bit: set in every QUIC packet, clear in every packet of ours.
pub const QUIC_FIXED_BIT: u8 = 0x40;

/// Most hops a header carries.
pub const MAX_HOPS: usize = 15;

/// Bytes of a header before its hops.
const FIXED: usize = 19;

/// Offset of the link token.
const TOKEN: usize = 3;

/// Offset of the source.
const SOURCE: usize = 11;

/// Bytes of a header with `hops` hops.
pub const fn header_len(hops: usize) -> usize {
    FIXED + 8 * hops
}

/// What follows the header, and to which endpoint of the last hop it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketType {
    /// A QUIC packet from the side that opened the session, to the last hop's accepting endpoint.
    ToExit = 0x01,
    /// A QUIC packet of the accepting side, to the last hop's opening endpoint.
    ToIngress = 0x02,
    /// A path probe of the opening side.
    Probe = 0x03,
    /// The answer to a path probe, along its reverse path.
    ProbeReply = 0x04,
    /// A question for a round trip, which any agent answers: a nonce u64, then zeros.
    Echo = 0x05,
    /// The answer to an echo, along its reverse path and of the same size.
    EchoReply = 0x06,
    /// Half of a packet of type [`ToExit`](Self::ToExit).
    PartToExit = 0x07,
    /// Half of a packet of type [`ToIngress`](Self::ToIngress).
    PartToIngress = 0x08,
}

/// Why bytes are not a packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("packet is shorter than its header")]
    Truncated,
    #[error("packet type {0:#04x} is unknown")]
    UnknownType(u8),
    #[error("hop count {0} is out of range")]
    HopCount(u8),
    #[error("the path visits an agent twice")]
    Loop,
    #[error("index {index} is past the last of {count} hops")]
    Index { index: u8, count: u8 },
}

/// A checked view of a packet's header.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    bytes: &'a [u8],
}

impl<'a> Header<'a> {
    /// Checks the header at the front of `packet`.
    pub fn parse(packet: &'a [u8]) -> Result<Self, HeaderError> {
        let fixed = packet
            .first_chunk::<FIXED>()
            .ok_or(HeaderError::Truncated)?;
        PacketType::from_byte(fixed[0])?;
        let (index, count) = (fixed[1], fixed[2]);
        if count == 0 || usize::from(count) > MAX_HOPS {
            return Err(HeaderError::HopCount(count));
        }
        if index >= count {
            return Err(HeaderError::Index { index, count });
        }
        let bytes = packet
            .get(..header_len(usize::from(count)))
            .ok_or(HeaderError::Truncated)?;
        let header = Self { bytes };
        match header.visits_twice() {
            true => Err(HeaderError::Loop),
            false => Ok(header),
        }
    }

    /// Paths are loop-free; a packet that is not would circle at the expense of others.
    fn visits_twice(&self) -> bool {
        (0..self.count()).any(|at| {
            let hop = self.hop(at);
            hop == self.source() || (0..at).any(|before| self.hop(before) == hop)
        })
    }

    /// What follows the header.
    pub fn packet_type(&self) -> PacketType {
        PacketType::from_byte(self.bytes[0]).expect("checked by parse")
    }

    /// Which hop receives this packet, from 0; below [`count`](Self::count).
    pub fn index(&self) -> usize {
        usize::from(self.bytes[1])
    }

    /// Number of hops, 1 to [`MAX_HOPS`]; the source is not among them.
    pub fn count(&self) -> usize {
        usize::from(self.bytes[2])
    }

    /// What the receiving agent announced for the link that the packet came over.
    pub fn token(&self) -> u64 {
        read_u64(self.bytes, TOKEN)
    }

    /// The agent that wrote the header.
    pub fn source(&self) -> ShortId {
        ShortId(read_u64(self.bytes, SOURCE))
    }

    /// The hop at `index`, which must be below [`count`](Self::count).
    pub fn hop(&self, index: usize) -> ShortId {
        ShortId(read_u64(self.bytes, FIXED + 8 * index))
    }

    /// The hop that receives this packet.
    pub fn here(&self) -> ShortId {
        self.hop(self.index())
    }

    /// The agent before [`here`](Self::here): the previous hop, or the source.
    pub fn previous(&self) -> ShortId {
        match self.index() {
            0 => self.source(),
            index => self.hop(index - 1),
        }
    }

    /// Whether this packet came the way that a packet of ours along `hops` goes, backwards.
    pub fn is_reverse_of(&self, hops: &[ShortId]) -> bool {
        let before_us = (0..self.count() - 1).rev().map(|at| self.hop(at));
        before_us.chain([self.source()]).eq(hops.iter().copied())
    }

    /// The hop after [`here`](Self::here); `None` at the last.
    pub fn next(&self) -> Option<ShortId> {
        let next = self.index() + 1;
        (next < self.count()).then(|| self.hop(next))
    }

    /// The last hop.
    pub fn destination(&self) -> ShortId {
        self.hop(self.count() - 1)
    }

    /// The hops of the whole way back from the last hop, the source last.
    pub fn reverse(&self) -> Vec<ShortId> {
        (0..self.count() - 1)
            .rev()
            .map(|index| self.hop(index))
            .chain([self.source()])
            .collect()
    }

    /// The hops that the packet has made, backwards: the previous hop first, the source last.
    pub fn back(&self) -> Vec<ShortId> {
        (0..self.index())
            .rev()
            .map(|index| self.hop(index))
            .chain([self.source()])
            .collect()
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> usize {
        self.bytes.len()
    }

    /// The header's bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl PacketType {
    /// The type of the halves of such a packet; `None`: it is never sent in halves.
    pub fn part(self) -> Option<Self> {
        match self {
            Self::ToExit => Some(Self::PartToExit),
            Self::ToIngress => Some(Self::PartToIngress),
            _ => None,
        }
    }

    /// Whether what follows is half of a packet.
    pub fn is_part(self) -> bool {
        matches!(self, Self::PartToExit | Self::PartToIngress)
    }

    fn from_byte(byte: u8) -> Result<Self, HeaderError> {
        match byte {
            0x01 => Ok(Self::ToExit),
            0x02 => Ok(Self::ToIngress),
            0x03 => Ok(Self::Probe),
            0x04 => Ok(Self::ProbeReply),
            0x05 => Ok(Self::Echo),
            0x06 => Ok(Self::EchoReply),
            0x07 => Ok(Self::PartToExit),
            0x08 => Ok(Self::PartToIngress),
            other => Err(HeaderError::UnknownType(other)),
        }
    }
}

/// Writes a header with index 0 to the end of `out`. `hops` has 1 to [`MAX_HOPS`] entries.
pub fn write_header(
    out: &mut Vec<u8>,
    packet_type: PacketType,
    token: u64,
    source: ShortId,
    hops: &[ShortId],
) {
    debug_assert!((1..=MAX_HOPS).contains(&hops.len()));
    out.extend_from_slice(&[packet_type as u8, 0, hops.len() as u8]);
    out.extend_from_slice(&token.to_be_bytes());
    out.extend_from_slice(&source.0.to_be_bytes());
    for hop in hops {
        out.extend_from_slice(&hop.0.to_be_bytes());
    }
}

/// Moves a checked header on to its next hop, in place: bumps the index and swaps the token.
pub fn advance(packet: &mut [u8], token: u64) {
    packet[1] += 1;
    packet[TOKEN..SOURCE].copy_from_slice(&token.to_be_bytes());
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(hops: &[u64]) -> Vec<u8> {
        let hops: Vec<ShortId> = hops.iter().map(|hop| ShortId(*hop)).collect();
        let mut out = Vec::new();
        write_header(&mut out, PacketType::ToExit, 0xfeed, ShortId(9), &hops);
        out
    }

    #[test]
    fn a_packet_is_no_quic_packet() {
        for kind in [
            PacketType::ToExit,
            PacketType::ToIngress,
            PacketType::Probe,
            PacketType::ProbeReply,
            PacketType::Echo,
            PacketType::EchoReply,
            PacketType::PartToExit,
            PacketType::PartToIngress,
        ] {
            assert_eq!(kind as u8 & QUIC_FIXED_BIT, 0);
            assert_eq!(PacketType::from_byte(kind as u8), Ok(kind));
        }
    }

    #[test]
    fn each_hop_finds_itself_and_its_neighbours() {
        let mut packet = header(&[1, 2, 3]);
        let first = Header::parse(&packet).unwrap();
        assert_eq!((first.previous(), first.here()), (ShortId(9), ShortId(1)));
        assert_eq!(first.next(), Some(ShortId(2)));
        advance(&mut packet, 7);
        advance(&mut packet, 8);
        let last = Header::parse(&packet).unwrap();
        assert_eq!((last.previous(), last.here()), (ShortId(2), ShortId(3)));
        assert_eq!((last.next(), last.token()), (None, 8));
        assert_eq!(last.reverse(), [ShortId(2), ShortId(1), ShortId(9)]);
        assert!(last.is_reverse_of(&last.reverse()));
        assert!(!last.is_reverse_of(&[ShortId(1), ShortId(2), ShortId(9)]));
        assert!(!last.is_reverse_of(&[ShortId(2), ShortId(9)]));
        assert_eq!(last.back(), [ShortId(2), ShortId(1), ShortId(9)]);
        assert_eq!(last.header_len(), header_len(3));
    }

    #[test]
    fn wrong_headers_are_named() {
        let good = header(&[1, 2]);
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            Header::parse(&bad).unwrap_err()
        };
        assert_eq!(with(0, 0x09), HeaderError::UnknownType(9));
        assert_eq!(with(2, 0), HeaderError::HopCount(0));
        assert_eq!(with(2, 16), HeaderError::HopCount(16));
        assert_eq!(with(1, 2), HeaderError::Index { index: 2, count: 2 });
        for len in 0..good.len() {
            assert_eq!(
                Header::parse(&good[..len]).unwrap_err(),
                HeaderError::Truncated
            );
        }
    }

    #[test]
    fn a_path_that_visits_an_agent_twice_is_none() {
        assert_eq!(
            Header::parse(&header(&[1, 2, 1])).unwrap_err(),
            HeaderError::Loop
        );
        assert_eq!(
            Header::parse(&header(&[1, 9])).unwrap_err(),
            HeaderError::Loop
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(header.header_len() <= bytes.len());
                prop_assert_eq!(header.reverse().len(), header.count());
            }
        }

        #[test]
        fn written_headers_parse(source: u64, token: u64, hops in proptest::collection::vec(any::<u64>(), 1..=15)) {
            let hops: Vec<ShortId> = hops.into_iter().map(ShortId).collect();
            let mut out = Vec::new();
            write_header(&mut out, PacketType::Probe, token, ShortId(source), &hops);
            let mut agents: Vec<ShortId> = [&[ShortId(source)], &hops[..]].concat();
            agents.sort();
            agents.dedup();
            if agents.len() <= hops.len() {
                prop_assert_eq!(Header::parse(&out).unwrap_err(), HeaderError::Loop);
                return Ok(());
            }
            let header = Header::parse(&out).unwrap();
            prop_assert_eq!(header.packet_type(), PacketType::Probe);
            prop_assert_eq!(header.source(), ShortId(source));
            prop_assert_eq!(header.token(), token);
            prop_assert_eq!(header.destination(), *hops.last().unwrap());
        }
    }
}
