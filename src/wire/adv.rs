//! Signed advertisements: what an origin says about its links and its routes.
//!
//! The origin signs a domain tag and the exact bytes of the encoded body; everybody stores and
//! forwards those bytes as received and never re-encodes them. Hop counters travel outside the
//! signature in [`Envelope`].

use ipnet::IpNet;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::identity::AgentId;

/// What every advertisement carries about itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Stamp {
    #[n(0)]
    pub origin: AgentId,
    /// SHA-256 of the origin's certificate (DER).
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
    /// Agents farther away than this many hops neither use nor forward it.
    #[n(6)]
    pub max_hops: u8,
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
    /// Round-trip class: `rtt_us` rounded to a power of two, so that noise does not re-flood.
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
    #[n(2)]
    pub neighbors: Vec<Neighbor>,
    /// For people.
    #[n(3)]
    pub display_name: String,
}

/// A prefix and the exit's own cost of using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePrefix {
    pub prefix: IpNet,
    pub metric: u32,
}

/// One fragment of an origin's routes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RouteAdv {
    #[n(0)]
    pub stamp: Stamp,
    #[n(1)]
    pub fragment: u16,
    /// Fragments in the origin's set; those at or past this count are void.
    #[n(2)]
    pub fragments: u16,
    #[n(3)]
    pub prefixes: Vec<RoutePrefix>,
    /// Domain patterns in their text form.
    #[n(4)]
    pub domains: Vec<String>,
    /// The exit answers name queries with resolvers that its file names.
    #[n(5)]
    pub resolves: bool,
    /// Streams open at the exit, as a class (power of two).
    #[n(6)]
    pub load: u8,
    /// Name of the pool this exit shares connections with; empty: none.
    #[n(7)]
    pub pool: String,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertisement {
    Link(LinkAdv),
    Route(RouteAdv),
}

/// A body exactly as its origin encoded it, and the origin's signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedAdv {
    /// Encoded [`Advertisement`].
    #[n(0)]
    pub body: ByteVec,
    /// Ed25519 over the domain tag and `body`.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: [u8; 64],
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
