//! The door of the link endpoint: how many first packets of handshakes strangers may bring.
//!
//! Anyone can send them, and each costs the endpoint key derivation and decryption before it can tell
//! what it is, so the excess is left outside, before any cryptography. What is counted here is
//! datagrams: how many handshakes come of those that pass is the business of whoever accepts them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use crate::canonical;
use crate::config::Limits;
use crate::limit::{Bucket, Rates};

/// Datagrams that a neighbour needs for one handshake, with a certificate of usual size.
const DATAGRAMS: u32 = 3;

/// For every handshake that may begin, so many first datagrams without a token of ours are looked at:
/// those beyond the handshakes' own limit are answered with a token (RFC 9000 section 8.1.2), which
/// costs a tenth, so that forged addresses do not use up the places of real ones.
const UNPROVED: u32 = 8;

/// The least datagram that begins a connection (RFC 9000 section 14.1). Shorter ones are dropped by the
/// endpoint as well, so they take nothing from anybody.
const LEAST: usize = 1_200;

/// Openings a second from an address that we dial: its answers to us look like them, and somebody may
/// forge it.
const ANSWERS: u32 = 64;

/// Bit of the first byte that tells a long header (RFC 9000 section 17.2).
const LONG_HEADER: u8 = 0x80;

/// The only version that the endpoint speaks.
const VERSION_1: [u8; 4] = 1_u32.to_be_bytes();

/// What strangers may still bring.
#[derive(Debug)]
pub struct Door {
    sources: Rates,
    unproved: Bucket,
    proved: Bucket,
    /// Addresses that we dial: by how many attempts, and what is left to them.
    dialled: HashMap<SocketAddr, (usize, Bucket)>,
}

impl Door {
    /// As `limits.handshakes_per_source` and `limits.handshakes_per_second` say.
    pub fn new(limits: &Limits) -> Self {
        let all = limits.handshakes_per_second;
        Self {
            sources: Rates::per_second(limits.handshakes_per_source.saturating_mul(DATAGRAMS)),
            unproved: Bucket::per_second(all.saturating_mul(UNPROVED)),
            proved: Bucket::per_second(all.saturating_mul(DATAGRAMS)),
            dialled: HashMap::new(),
        }
    }

    /// From now on `address` is dialled, once more.
    pub(super) fn expect(&mut self, address: SocketAddr) {
        let fresh = || (0, Bucket::per_second(ANSWERS));
        self.dialled
            .entry(canonical::socket_address(address))
            .or_insert_with(fresh)
            .0 += 1;
    }

    /// One dial of `address` has ended.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        let address = canonical::socket_address(address);
        if let Some((dials, _)) = self.dialled.get_mut(&address) {
            *dials -= 1;
            if *dials == 0 {
                self.dialled.remove(&address);
            }
        }
    }

    /// Whether the endpoint may see a stranger's QUIC `packet`.
    pub(super) fn admits(&mut self, packet: &[u8], source: SocketAddr, now: Instant) -> bool {
        let Some(opening) = Opening::of(packet) else {
            return true;
        };
        if let Some((_, answers)) = self.dialled.get_mut(&canonical::socket_address(source))
            && answers.take(now)
        {
            return true;
        }
        packet.len() >= LEAST
            && self.sources.take(source.ip().into(), now)
            && match opening {
                Opening::Unproved => self.unproved.take(now),
                Opening::Proved => self.proved.take(now),
            }
    }
}

/// A datagram that makes the endpoint begin something for somebody it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Without a token that only who receives at the address can have.
    Unproved,
    /// With something that looks like one.
    Proved,
}

impl Opening {
    /// `None`: it belongs to a handshake or a connection that exists, or to none and is dropped
    /// after a look into a table.
    fn of(packet: &[u8]) -> Option<Self> {
        let (first, rest) = packet.split_first()?;
        if first & LONG_HEADER == 0 {
            return None;
        }
        let (version, rest) = rest.split_first_chunk::<4>()?;
        if *version != VERSION_1 {
            // Answered with the versions that we speak.
            return Some(Self::Unproved);
        }
        // Types: Initial, 0-RTT, Handshake, Retry (RFC 9000 table 5).
        if (first >> 4) & 0b11 != 0 {
            return None;
        }
        let rest = skip_id(rest).and_then(skip_id)?;
        match rest.first()? {
            0 => Some(Self::Unproved),
            _ => Some(Self::Proved),
        }
    }
}

/// Skips a connection id and its length.
fn skip_id(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first()?;
    rest.get(usize::from(*length)..)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::*;
    use crate::clock;

    const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

    /// A long header of that type and version, with a token of so many bytes.
    fn long(kind: u8, version: u32, token: u8) -> Vec<u8> {
        let mut packet = vec![0xc0 | kind << 4];
        packet.extend(version.to_be_bytes());
        packet.extend([2, 0xaa, 0xbb, 1, 0xcc, token]);
        packet.resize(LEAST, 7);
        packet
    }

    fn forged(number: u32) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from_bits(number), 1))
    }

    #[test]
    fn openings_are_told_from_all_else() {
        assert_eq!(Opening::of(&long(0, 1, 0)), Some(Opening::Unproved));
        assert_eq!(Opening::of(&long(0, 1, 32)), Some(Opening::Proved));
        assert_eq!(
            Opening::of(&long(2, 0xfaceb00c, 0)),
            Some(Opening::Unproved)
        );
        for kind in 1..=3 {
            assert_eq!(Opening::of(&long(kind, 1, 0)), None);
        }
        assert_eq!(Opening::of(&[0x40; 50]), None);
        for length in 0..11 {
            assert_eq!(Opening::of(&long(0, 1, 0)[..length]), None, "cut short");
        }
        assert_eq!(Opening::of(&[0xc0, 0, 0, 0, 1, 255, 1]), None);
    }

    #[test]
    fn one_source_leaves_the_others_their_handshakes() {
        let limits = Limits::default();
        let (mut door, now) = (Door::new(&limits), clock::now());
        let flood = (0..20_000).filter(|_| door.admits(&long(0, 1, 0), SOURCE, now));
        assert_eq!(flood.count(), 150);
        assert!(door.admits(&long(0, 1, 0), forged(1), now));
        assert!(door.admits(&long(2, 1, 0), SOURCE, now), "no opening");
        assert!(door.admits(&long(0, 1, 0), SOURCE, now + Duration::from_secs(1)));
    }

    #[test]
    fn forged_sources_are_bounded_and_leave_room_for_proved_ones() {
        let limits = Limits::default();
        let (mut door, now) = (Door::new(&limits), clock::now());
        let flood = (0..15_000).filter(|number| door.admits(&long(0, 1, 0), forged(*number), now));
        assert_eq!(flood.count(), 4_000);
        assert!(door.admits(&long(0, 1, 32), SOURCE, now));
    }

    #[test]
    fn what_is_too_short_takes_nothing_from_anybody() {
        let (mut door, now) = (Door::new(&Limits::default()), clock::now());
        let short = &long(0, 0xface_b00c, 0)[..50];
        assert!(!(0..100_000).any(|number| door.admits(short, forged(number), now)));
        assert!(door.admits(&long(0, 1, 0), SOURCE, now));
    }

    #[test]
    fn answers_to_our_dials_come_through_any_flood() {
        let (mut door, now) = (Door::new(&Limits::default()), clock::now());
        door.expect(SOURCE);
        door.expect(SOURCE);
        while door.admits(&long(0, 1, 0), forged(1), now) {}
        for number in 0..20_000 {
            door.admits(&long(0, 1, 0), forged(number), now);
        }
        let answer = &long(0, 1, 0)[..100];
        assert!(door.admits(answer, SOURCE, now));
        door.forget(SOURCE);
        assert!(
            door.admits(answer, SOURCE, now),
            "another dial is under way"
        );
        let forged_ones = (0..1_000).filter(|_| door.admits(answer, SOURCE, now));
        assert!(forged_ones.count() <= ANSWERS as usize);
        door.forget(SOURCE);
        assert!(door.dialled.is_empty());
    }
}
