//! Advertisements: what an origin says about its links and its routes. Their signed form is in
//! [`super::signed`], what a decoder accepts in [`super::bounds`].

use ipnet::IpNet;
use minicbor::{Decode, Encode};

use super::features::Features;
use super::object::ObjectKind;
use crate::identity::AgentId;

/// Largest round-trip class: about 9 minutes.
pub(super) const MAX_RTT_CLASS: u8 = 30;

/// What every advertisement carries about itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stamp {
    #[n(0)]
    pub origin: AgentId,
    /// SHA-256 of the origin's certificate chain: each certificate's DER, leaf first, one after the
    /// other.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub certificate_hash: [u8; 32],
    /// Grows with every start of the origin.
    #[n(2)]
    pub epoch: u64,
    /// Grows with every advertisement of one epoch.
    #[n(3)]
    pub sequence: u64,
    /// Unix milliseconds by the origin's clock.
    #[n(4)]
    pub issued_at_ms: u64,
    /// Milliseconds after `issued_at_ms` until this advertisement is void.
    #[n(5)]
    pub lifetime_ms: u64,
    /// Agents farther away than this many hops neither use nor forward it. 1 to 15.
    #[n(6)]
    pub max_hops: u8,
    /// The epoch that the issuing process started with: names that process, while `epoch` may have
    /// moved on past it.
    #[n(7)]
    pub incarnation: u64,
    /// The incarnation of another process with the same key that this one saw and moved past; 0:
    /// none. A process that finds its own incarnation here knows that the other is alive.
    #[n(8)]
    pub answers: u64,
}

/// Flags of a [`LinkAdv`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LinkFlags {
    /// The origin is leaving; prefer any other way.
    #[n(0)]
    pub draining: bool,
    /// The origin relays for nobody.
    #[n(1)]
    pub no_transit: bool,
}

/// One adjacency as its origin sees it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Neighbor {
    #[n(0)]
    pub id: AgentId,
    /// At least 1.
    #[n(1)]
    pub cost: u32,
    /// Round-trip class, see [`rtt_class`]; 0 while unknown.
    #[n(2)]
    pub rtt_class: u8,
    /// Largest UDP payload known to pass, bytes; 0 while unknown.
    #[n(3)]
    pub mtu: u16,
}

/// An origin's live adjacencies. An adjacency that is down is absent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LinkAdv {
    #[n(0)]
    pub stamp: Stamp,
    #[n(1)]
    pub flags: LinkFlags,
    /// Ascending by id.
    #[n(2)]
    pub neighbors: Vec<Neighbor>,
    /// For people. At most [`NAME_BYTES`](crate::text::NAME_BYTES).
    #[n(3)]
    pub display_name: String,
    /// What the origin can do; `None`: it is of a release that does not tell.
    #[n(4)]
    pub features: Option<Features>,
}

/// A prefix and the exit's own cost of using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePrefix {
    pub prefix: IpNet,
    pub metric: u32,
}

/// One fragment of an origin's routes. What it says of the exit as a whole (`resolves`, `load`)
/// counts in fragment 0 only, so that a change of load re-floods one fragment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RouteAdv {
    #[n(0)]
    pub stamp: Stamp,
    #[n(1)]
    pub fragment: u16,
    /// Fragments in the origin's set; those at or past this count are void.
    #[n(2)]
    pub fragments: u16,
    /// Ascending.
    #[n(3)]
    pub prefixes: Vec<RoutePrefix>,
    /// Domain patterns in their text form.
    #[n(4)]
    pub domains: Vec<String>,
    /// The exit answers name queries with resolvers that its file names.
    #[n(5)]
    pub resolves: bool,
    /// Streams open at the exit, see [`load_class`].
    #[n(6)]
    pub load: u8,
    /// Reserved for the name of a pool of exits: sent empty, and not read beyond its bounds. Agents that
    /// decode this advertisement refuse one without it.
    #[n(7)]
    pub pool: String,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertisement {
    Link(LinkAdv),
    Route(RouteAdv),
}

impl Advertisement {
    /// Who says it, when, and for how long.
    pub fn stamp(&self) -> &Stamp {
        match self {
            Self::Link(link) => &link.stamp,
            Self::Route(route) => &route.stamp,
        }
    }

    /// Whether it is of links or of routes.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Link(_) => ObjectKind::Link,
            Self::Route(_) => ObjectKind::Route,
        }
    }

    /// The fragment; a link advertisement has the one.
    pub fn fragment(&self) -> u16 {
        match self {
            Self::Link(_) => 0,
            Self::Route(route) => route.fragment,
        }
    }
}

impl Stamp {
    /// Unix milliseconds at which the lifetime ends by the origin's clock.
    pub fn expires_at_ms(&self) -> u64 {
        self.issued_at_ms.saturating_add(self.lifetime_ms)
    }
}

impl Neighbor {
    /// The round trip that the class stands for, microseconds; 0 while unknown.
    pub fn rtt_us(&self) -> u64 {
        match self.rtt_class {
            0 => 0,
            class => 1_u64.checked_shl(u32::from(class) - 1).unwrap_or(u64::MAX),
        }
    }
}

/// The class of a round trip in microseconds: 0 while unknown, else one more than its logarithm to
/// base two, rounded, so that noise does not re-flood.
pub fn rtt_class(rtt_us: u64) -> u8 {
    let Some(floor) = rtt_us.checked_ilog2() else {
        return 0;
    };
    // Rounds up from the geometric mean of two powers: x >= 2^(floor + 1/2).
    let up = u128::from(rtt_us).pow(2) >= 1_u128 << (2 * floor + 1);
    (floor as u8 + u8::from(up) + 1).min(MAX_RTT_CLASS)
}

/// The class of a number of streams: 0 for none, else one more than its logarithm to base two,
/// rounded down.
pub fn load_class(streams: u32) -> u8 {
    streams.checked_ilog2().map_or(0, |log| log as u8 + 1)
}
