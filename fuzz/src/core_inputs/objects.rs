//! The agents of this small world, and what may be signed in it.

use arbitrary::{Result, Unstructured};
use ipnet::IpNet;
use warren::identity::{AgentId, MAX_EPOCH_AHEAD_MS};
use warren::routing::Authority;
use warren::wire::bounds::{MAX_LIFETIME_MS, MAX_VERSION};
use warren::wire::{
    Advertisement, CertificateBytes, Envelope, LinkAdv, LinkFlags, Neighbor, RouteAdv, RoutePrefix,
    SignedAdv, Stamp,
};

use super::authority::{Fake, Notary};

/// Agents, the one under test included: number 0.
pub(super) const AGENTS: usize = 6;

/// Unix milliseconds at which every run begins, and the epoch of the agent under test.
pub(super) const GENESIS_MS: u64 = 1_800_000_000_000;

pub(super) const PREFIXES: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/16",
    "10.0.0.0/24",
    "10.0.0.1/32",
    "172.16.0.0/12",
    "::/0",
    "2001:db8::/32",
];

const DOMAINS: [&str; 4] = ["*.corp.example", "*.eu.corp.example", "a.corp.example", "b"];

/// An advertisement and what goes with it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) envelope: Envelope,
    /// The certificate that comes along.
    pub(super) enclosed: Option<CertificateBytes>,
}

/// Spread over the digest's buckets, ascending.
pub(super) fn id(agent: usize) -> AgentId {
    AgentId([40 * agent as u8 + 1; 16])
}

pub(super) fn prefix(index: usize) -> IpNet {
    PREFIXES[index].parse().expect("a prefix")
}

/// What the agent of that number proves its key with; of number [`AGENTS`], what proves nothing.
pub(super) fn certificate(agent: usize) -> CertificateBytes {
    match agent {
        AGENTS => CertificateBytes::new(b"junk"),
        agent => CertificateBytes::new(&Fake::new(id(agent), 0, &Notary::default()).certificate()),
    }
}

impl Object {
    /// One that is in order more often than not.
    pub(super) fn read(bytes: &mut Unstructured<'_>, unix_ms: u64) -> Result<Self> {
        let origin = bytes.int_in_range(0..=AGENTS - 1)?;
        let (signer, proof) = match bytes.int_in_range(0..=15)? {
            0 => (bytes.int_in_range(0..=AGENTS - 1)?, origin),
            1 => (origin, bytes.int_in_range(0..=AGENTS)?),
            2 => {
                let other = bytes.int_in_range(0..=AGENTS - 1)?;
                (other, other)
            }
            _ => (origin, origin),
        };
        let stamp = stamp(bytes, id(origin), certificate(proof).hash(), unix_ms)?;
        let adv = if bytes.arbitrary()? {
            Advertisement::Link(link(bytes, origin, stamp)?)
        } else {
            Advertisement::Route(route(bytes, stamp)?)
        };
        let enclosed = match bytes.int_in_range(0..=3)? {
            0 => None,
            1 => Some(certificate(bytes.int_in_range(0..=AGENTS)?)),
            _ => Some(certificate(proof)),
        };
        let (ttl, hops) = way(bytes)?;
        let adv = sign(&adv, signer);
        let envelope = Envelope { adv, ttl, hops };
        Ok(Self { envelope, enclosed })
    }

    /// The same after another way.
    pub(super) fn again(&self, bytes: &mut Unstructured<'_>) -> Result<Self> {
        let mut again = self.clone();
        (again.envelope.ttl, again.envelope.hops) = way(bytes)?;
        if bytes.arbitrary()? {
            again.enclosed = None;
        }
        Ok(again)
    }
}

/// Signs the bytes as they travel, so that who receives them decodes them.
fn sign(adv: &Advertisement, signer: usize) -> SignedAdv {
    let body = adv.encode();
    let unsigned = SignedAdv::from_parts(body.clone().into(), [0; 64]);
    let message = unsigned.signing_message().expect("a kind that is known");
    SignedAdv::from_parts(
        body.into(),
        Fake::new(id(signer), 0, &Notary::default()).sign(&message),
    )
}

fn way(bytes: &mut Unstructured<'_>) -> Result<(u8, u8)> {
    let ttl = *bytes.choose(&[15, 0, 1, 2, 5, 14, 255])?;
    let hops = *bytes.choose(&[0, 1, 2, 3, 13, 14, 255])?;
    Ok((ttl, hops))
}

fn stamp(
    bytes: &mut Unstructured<'_>,
    origin: AgentId,
    certificate_hash: &[u8; 32],
    unix_ms: u64,
) -> Result<Stamp> {
    let process = |bytes: &mut Unstructured<'_>| {
        let processes = [0, GENESIS_MS, GENESIS_MS - 1, GENESIS_MS + 1];
        bytes.choose(&processes).copied()
    };
    let lifetime_ms = *bytes.choose(&[300_000, 60_000, 0, MAX_LIFETIME_MS, MAX_LIFETIME_MS + 1])?;
    // By the edges of what a clock slack of two minutes allows.
    let ahead_ms = *bytes.choose(&[0, -1, -100_000, -419_999, -420_000, 120_000, 120_001])?;
    Ok(Stamp {
        origin,
        certificate_hash: *certificate_hash,
        epoch: match bytes.int_in_range(0..=31)? {
            0 => unix_ms + MAX_EPOCH_AHEAD_MS,
            1 => *bytes.choose(&[
                unix_ms + MAX_EPOCH_AHEAD_MS + 1,
                MAX_VERSION,
                MAX_VERSION + 1,
            ])?,
            near => GENESIS_MS - 1 + near % 4,
        },
        sequence: match bytes.int_in_range(0..=31)? {
            0 => MAX_VERSION,
            near => near % 8,
        },
        issued_at_ms: unix_ms.saturating_add_signed(ahead_ms),
        lifetime_ms,
        max_hops: *bytes.choose(&[15, 1, 2, 3, 14, 0, 16])?,
        incarnation: process(bytes)?,
        answers: process(bytes)?,
    })
}

fn link(bytes: &mut Unstructured<'_>, origin: usize, stamp: Stamp) -> Result<LinkAdv> {
    let flags: u8 = bytes.arbitrary()?;
    let mask: u8 = bytes.arbitrary()?;
    let named = (0..AGENTS).filter(|agent| mask >> agent & 1 == 1 && *agent != origin);
    let neighbors = named.map(|agent| {
        Ok(Neighbor {
            id: id(agent),
            cost: *bytes.choose(&[1, 2, 3, 10, u32::MAX, 0])?,
            rtt_class: *bytes.choose(&[0, 1, 5, 10, 30])?,
            mtu: *bytes.choose(&[0, 1_226, 1_227, 1_452, u16::MAX])?,
        })
    });
    Ok(LinkAdv {
        neighbors: neighbors.collect::<Result<_>>()?,
        stamp,
        flags: LinkFlags {
            draining: flags & 7 == 7,
            no_transit: flags & 56 == 56,
        },
        display_name: String::new(),
        features: None,
    })
}

fn route(bytes: &mut Unstructured<'_>, stamp: Stamp) -> Result<RouteAdv> {
    let fragments = bytes.int_in_range(1..=3)?;
    let prefixes = metrics(bytes)?.into_iter();
    let mut prefixes: Vec<RoutePrefix> = prefixes
        .map(|(prefix, metric)| RoutePrefix { prefix, metric })
        .collect();
    prefixes.sort_by_key(|route| route.prefix);
    let mask: u8 = bytes.arbitrary()?;
    let domains = (0..DOMAINS.len()).filter(|domain| mask >> domain & 1 == 1);
    Ok(RouteAdv {
        stamp,
        fragment: bytes.int_in_range(0..=fragments)?,
        fragments,
        prefixes,
        domains: domains.map(|domain| DOMAINS[domain].to_owned()).collect(),
        resolves: mask & 128 != 0,
        load: 0,
        pool: String::new(),
    })
}

/// Some prefixes and their metrics.
pub(super) fn metrics(bytes: &mut Unstructured<'_>) -> Result<Vec<(IpNet, u32)>> {
    let mask: u8 = bytes.arbitrary()?;
    let named = (0..PREFIXES.len()).filter(|index| mask >> index & 1 == 1);
    let metrics = named.map(|index| {
        let metric = *bytes.choose(&[0, 1, 2, 7, u32::MAX])?;
        Ok((prefix(index), metric))
    });
    metrics.collect()
}
