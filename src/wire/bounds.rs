//! Body bytes of an advertisement: a kind byte, then CBOR; and the bounds that every decoded body
//! keeps, so that nothing behind the decoder has to doubt it.

use super::adv::{Advertisement, LinkAdv, MAX_RTT_CLASS, RouteAdv, Stamp};
use crate::identity::DomainPattern;
use crate::text::{NAME_BYTES, is_steering};

/// Most bytes of one body. 1,024 neighbours take about 31 KiB, 512 prefixes at most 13 KiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Most bytes of one certificate (DER). Ours have below 1 KiB; a foreign CA's rarely over 4.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Most prefixes and domains together in one fragment: a change re-floods little.
pub const MAX_FRAGMENT_ROUTES: usize = 512;

/// Hops that a packet header can carry.
pub const MAX_HOPS: u8 = super::packet::MAX_HOPS as u8;

/// Longest lifetime, milliseconds: a week. Longer ones would outlive any sane certificate rotation.
pub const MAX_LIFETIME_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// Largest epoch and sequence. Twice [`MAX_EPOCH_AHEAD_MS`](crate::identity::MAX_EPOCH_AHEAD_MS),
/// so that the clock, not this, bounds epochs.
pub const MAX_VERSION: u64 = 1 << 62;

const LINK: u8 = 1;
const ROUTE: u8 = 2;

const LINK_TAG: &[u8] = b"warren/link-adv/1\0";
const ROUTE_TAG: &[u8] = b"warren/route-adv/1\0";

/// Why bytes are not an advertisement.
#[derive(Debug, thiserror::Error)]
pub enum AdvError {
    #[error("advertisement is empty")]
    Empty,
    #[error("advertisement of {0} bytes is over {MAX_BODY_BYTES}")]
    Oversized(usize),
    #[error("advertisement kind {0} is unknown")]
    UnknownKind(u8),
    #[error("advertisement does not decode: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    #[error("advertisement has {0} bytes after its end")]
    Trailing(usize),
    #[error("advertisement is out of bounds: {0}")]
    OutOfBounds(&'static str),
}

impl Advertisement {
    /// The body bytes that are signed and flooded.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Link(link) => {
                body.push(LINK);
                minicbor::encode(link, &mut body)
            }
            Self::Route(route) => {
                body.push(ROUTE);
                minicbor::encode(route, &mut body)
            }
        }
        .expect("writing to a Vec cannot fail");
        body
    }

    /// Reads body bytes. What it returns keeps every bound of this module.
    pub fn decode(body: &[u8]) -> Result<Self, AdvError> {
        let (kind, fields) = body.split_first().ok_or(AdvError::Empty)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(AdvError::Oversized(body.len()));
        }
        let mut decoder = minicbor::Decoder::new(fields);
        let adv = match *kind {
            LINK => Self::Link(decoder.decode()?),
            ROUTE => Self::Route(decoder.decode()?),
            other => return Err(AdvError::UnknownKind(other)),
        };
        match fields.len() - decoder.position() {
            0 => adv.check().map_err(AdvError::OutOfBounds).map(|()| adv),
            rest => Err(AdvError::Trailing(rest)),
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        check_stamp(self.stamp())?;
        match self {
            Self::Link(link) => check_link(link),
            Self::Route(route) => check_route(route),
        }
    }
}

/// The bytes that the origin of `body` signs: a domain tag by kind, then the body. A body of
/// unknown kind has none.
pub(super) fn signing_message(body: &[u8]) -> Option<Vec<u8>> {
    let tag = match *body.first()? {
        LINK => LINK_TAG,
        ROUTE => ROUTE_TAG,
        _ => return None,
    };
    Some([tag, body].concat())
}

/// Whether `text` may be a display or pool name: short, and nothing in it steers the terminal,
/// breaks the line of a log that shows it, or turns the text around it.
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES && !text.chars().any(is_steering)
}

fn require(kept: bool, bound: &'static str) -> Result<(), &'static str> {
    if kept { Ok(()) } else { Err(bound) }
}

fn check_stamp(stamp: &Stamp) -> Result<(), &'static str> {
    require(stamp.epoch <= MAX_VERSION, "epoch is too large")?;
    require(stamp.sequence <= MAX_VERSION, "sequence is too large")?;
    require(stamp.lifetime_ms <= MAX_LIFETIME_MS, "lifetime is too long")?;
    require(
        (1..=MAX_HOPS).contains(&stamp.max_hops),
        "max_hops is not 1 to 15",
    )
}

fn check_link(link: &LinkAdv) -> Result<(), &'static str> {
    require(
        is_name(&link.display_name),
        "display name is too long or holds control characters",
    )?;
    require(
        link.neighbors.is_sorted_by(|a, b| a.id < b.id),
        "neighbours are not ascending",
    )?;
    for neighbor in &link.neighbors {
        require(neighbor.id != link.stamp.origin, "origin is its neighbour")?;
        require(neighbor.cost >= 1, "cost is below 1")?;
        require(
            neighbor.rtt_class <= MAX_RTT_CLASS,
            "round-trip class is too large",
        )?;
    }
    Ok(())
}

fn check_route(route: &RouteAdv) -> Result<(), &'static str> {
    require(
        route.fragment < route.fragments,
        "fragment is past its set's count",
    )?;
    require(
        route.prefixes.len() + route.domains.len() <= MAX_FRAGMENT_ROUTES,
        "fragment has too many routes",
    )?;
    require(
        route.prefixes.is_sorted_by(|a, b| a.prefix < b.prefix),
        "prefixes are not ascending",
    )?;
    require(route.load <= 32, "load class is too large")?;
    require(
        is_name(&route.pool),
        "pool name is too long or holds control characters",
    )?;
    for domain in &route.domains {
        require(
            domain.parse::<DomainPattern>().is_ok(),
            "domain is no pattern",
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
