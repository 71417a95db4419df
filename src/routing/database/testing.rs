//! A cheap authority and a hand-driven pair of hands for unit tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Limits;
use crate::identity::{AgentId, Grants};
use crate::routing::{
    AdmitError, Admitted, AdvResult, Authority, Core, LinkMetrics, LinkUp, Now, Output, OwnRoutes,
    Settings,
};
use crate::wire::{
    Advertisement, ControlMessage, Envelope, Flood, LinkAdv, Neighbor, RouteAdv, SignedAdv, Stamp,
};
use crate::wire::{CertificateBytes, LinkFlags};

/// Certificate bytes: 16 of id, 8 of expiry, a byte that is 0 if it is not trusted, then grants as
/// space-separated URIs.
pub(super) struct Fake {
    id: AgentId,
    pub(super) certificate: Vec<u8>,
    /// Whose certificates are trusted no more.
    pub(super) distrusted: std::collections::BTreeSet<AgentId>,
}

pub(super) fn certificate(id: AgentId, not_after_ms: u64, trusted: bool, grants: &str) -> Vec<u8> {
    [
        &id.0[..],
        &not_after_ms.to_be_bytes(),
        &[u8::from(trusted)],
        grants.as_bytes(),
    ]
    .concat()
}

pub(super) fn good_certificate(id: AgentId) -> Vec<u8> {
    certificate(id, u64::MAX, true, "")
}

pub(super) fn sign(id: AgentId, message: &[u8]) -> [u8; 64] {
    let digest = CertificateBytes::new(&[&id.0[..], message].concat());
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(digest.hash());
    signature
}

impl Authority for Fake {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        sign(self.id, message)
    }

    fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    fn admit(&self, bytes: &[u8], unix_ms: u64) -> Result<Arc<Admitted>, AdmitError> {
        let id = AgentId(bytes[..16].try_into().unwrap());
        let not_after_ms = u64::from_be_bytes(bytes[16..24].try_into().unwrap());
        if bytes[24] == 0 || self.distrusted.contains(&id) {
            return Err(AdmitError::Untrusted("no chain".into()));
        }
        if not_after_ms <= unix_ms {
            return Err(AdmitError::OutsideValidity);
        }
        let uris = std::str::from_utf8(&bytes[25..]).unwrap();
        let grants = Grants::from_uris(uris.split_whitespace()).unwrap();
        Ok(Arc::new(Admitted {
            id,
            public_key: [0; 32],
            not_after_ms,
            grants,
        }))
    }

    fn verify(&self, signer: &Admitted, message: &[u8], signature: &[u8; 64]) -> bool {
        sign(signer.id, message) == *signature
    }
}

pub(super) fn id(number: u8) -> AgentId {
    AgentId([number; 16])
}

/// Unix milliseconds at which every test begins.
pub(super) const GENESIS_MS: u64 = 1_800_000_000_000;

/// A core, its clock, and what it put out.
pub(super) struct Bench {
    pub(super) core: Core<Fake>,
    pub(super) now: Now,
    pub(super) outputs: Vec<Output>,
}

pub(super) fn settings(number: u8) -> Settings {
    Settings {
        id: id(number),
        epoch: 1_000,
        display_name: format!("agent {number}"),
        max_hops: 8,
        advertise_interval: Duration::from_secs(120),
        route_ttl: Duration::from_secs(300),
        transit: true,
        limits: Limits::default(),
    }
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        let certificate = good_certificate(settings.id);
        Self::certified(settings, certificate)
    }

    pub(super) fn certified(settings: Settings, certificate: Vec<u8>) -> Self {
        let now = Now {
            instant: Instant::now(),
            unix_ms: GENESIS_MS,
        };
        let authority = Fake {
            id: settings.id,
            certificate,
            distrusted: Default::default(),
        };
        let mut bench = Self {
            core: Core::new(now, settings, authority),
            now,
            outputs: Vec::new(),
        };
        bench.drain();
        bench
    }

    /// Hands `input` to the core and keeps what it puts out, instead of what it put out before.
    pub(super) fn on(&mut self, input: impl FnOnce(&mut Core<Fake>, Now)) -> &mut Self {
        self.outputs.clear();
        input(&mut self.core, self.now);
        self.drain();
        self
    }

    pub(super) fn up(&mut self, neighbor: u8) -> &mut Self {
        let link = LinkUp {
            neighbor: id(neighbor),
            metrics: LinkMetrics {
                cost: 1,
                rtt_us: 1_000,
                mtu: 1_400,
            },
            peer_epoch: 1_000,
        };
        self.on(|core, now| core.handle_link_up(now, link))
    }

    pub(super) fn down(&mut self, neighbor: u8) -> &mut Self {
        self.on(|core, now| core.handle_link_down(now, id(neighbor)))
    }

    pub(super) fn hear(&mut self, from: u8, message: ControlMessage) -> &mut Self {
        self.on(|core, now| core.handle_message(now, id(from), message))
    }

    /// Lets time pass, waking the core whenever it asks for it; keeps everything it puts out.
    pub(super) fn pass(&mut self, time: Duration) -> &mut Self {
        self.outputs.clear();
        let end = self.now.instant + time;
        let mut wakes = 0;
        while let Some(wake) = self.core.poll_timeout().filter(|wake| *wake <= end) {
            self.advance(wake.max(self.now.instant));
            self.core.handle_timeout(self.now);
            self.drain();
            wakes += 1;
            assert!(
                wakes < 1_000,
                "the timer is busy: {wake:?} at {:?}",
                self.now
            );
        }
        self.advance(end);
        self
    }

    fn advance(&mut self, to: Instant) {
        self.now.unix_ms += (to - self.now.instant).as_millis() as u64;
        self.now.instant = to;
    }

    fn drain(&mut self) {
        while let Some(output) = self.core.poll_output() {
            self.outputs.push(output);
        }
    }

    /// Advertisements put out to `to`.
    pub(super) fn sent(&self, to: u8) -> Vec<Envelope> {
        self.floods(to)
            .flat_map(|flood| flood.advertisements.clone())
            .collect()
    }

    pub(super) fn floods(&self, to: u8) -> impl Iterator<Item = &Flood> {
        self.messages(to).filter_map(|message| {
            if let ControlMessage::Flood(flood) = message {
                Some(flood)
            } else {
                None
            }
        })
    }

    pub(super) fn messages(&self, to: u8) -> impl Iterator<Item = &ControlMessage> {
        self.outputs.iter().filter_map(move |output| match output {
            Output::Send { to: who, message } => (*who == id(to)).then_some(message),
            Output::Disconnect { .. }
            | Output::TopologyChanged
            | Output::RoutesChanged
            | Output::EpochAdvanced(_)
            | Output::Alarm(_) => None,
        })
    }

    /// The latest own link advertisement put out to `to`.
    pub(super) fn told_links(&self, to: u8) -> Option<LinkAdv> {
        let own = self.core.id();
        self.sent(to)
            .iter()
            .rev()
            .find_map(|envelope| match envelope.adv.advertisement() {
                Ok(Advertisement::Link(link)) if link.stamp.origin == own => Some(link.clone()),
                _ => None,
            })
    }

    pub(super) fn told_routes(&self, to: u8) -> Vec<RouteAdv> {
        let sent = self.sent(to);
        let routes = sent
            .iter()
            .filter_map(|envelope| match envelope.adv.advertisement() {
                Ok(Advertisement::Route(route)) => Some(route.clone()),
                _ => None,
            });
        routes.collect()
    }
}

/// The stamp of another agent's advertisement, certified well.
pub(super) fn stamp(origin: u8, epoch: u64, sequence: u64) -> Stamp {
    Stamp {
        origin: id(origin),
        certificate_hash: *CertificateBytes::new(&good_certificate(id(origin))).hash(),
        epoch,
        sequence,
        issued_at_ms: GENESIS_MS,
        lifetime_ms: 300_000,
        max_hops: 8,
        incarnation: epoch,
        answers: 0,
    }
}

pub(super) fn link(stamp: Stamp) -> Advertisement {
    Advertisement::Link(LinkAdv {
        stamp,
        flags: LinkFlags::default(),
        neighbors: Vec::new(),
        display_name: String::new(),
        features: None,
    })
}

/// What `origin` says of its links now.
pub(super) fn links(bench: &Bench, origin: u8, sequence: u64, neighbors: &[u8]) -> LinkAdv {
    let neighbor = |number: &u8| Neighbor {
        id: id(*number),
        cost: 1,
        rtt_class: 0,
        mtu: 0,
    };
    LinkAdv {
        stamp: Stamp {
            issued_at_ms: bench.now.unix_ms,
            ..stamp(origin, 5, sequence)
        },
        flags: LinkFlags::default(),
        neighbors: neighbors.iter().map(neighbor).collect(),
        display_name: String::new(),
        features: None,
    }
}

pub(super) fn route(stamp: Stamp, fragment: u16, fragments: u16, prefixes: &[&str]) -> RouteAdv {
    let prefixes = prefixes.iter().map(|text| crate::wire::RoutePrefix {
        prefix: text.parse().unwrap(),
        metric: 0,
    });
    RouteAdv {
        stamp,
        fragment,
        fragments,
        prefixes: prefixes.collect(),
        domains: Vec::new(),
        resolves: false,
        load: 0,
        pool: String::new(),
    }
}

pub(super) fn signed(adv: Advertisement) -> SignedAdv {
    let origin = adv.stamp().origin;
    SignedAdv::sign(adv, |message| sign(origin, message))
}

pub(super) fn envelope(adv: SignedAdv, hops: u8) -> Envelope {
    Envelope {
        adv,
        ttl: 7 - hops,
        hops,
    }
}

/// A flood of these, with the origins' good certificates.
pub(super) fn flood(advs: impl IntoIterator<Item = Advertisement>) -> ControlMessage {
    let advs: Vec<Advertisement> = advs.into_iter().collect();
    let certificates = advs
        .iter()
        .map(|adv| CertificateBytes::new(&good_certificate(adv.stamp().origin)))
        .collect();
    ControlMessage::Flood(Flood {
        certificates,
        advertisements: advs
            .into_iter()
            .map(|adv| envelope(signed(adv), 0))
            .collect(),
    })
}

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn count(bench: &Bench, result: AdvResult) -> u64 {
    bench.core.counters().total(result)
}

pub(super) fn known(bench: &Bench, origin: u8) -> bool {
    bench.core.link_adv(id(origin)).is_some()
}

pub(super) fn routes(prefixes: &[&str]) -> OwnRoutes {
    let prefixes = prefixes.iter().map(|text| (text.parse().unwrap(), 0));
    OwnRoutes {
        prefixes: prefixes.collect(),
        ..OwnRoutes::default()
    }
}

/// Agent 1 with links to 2 and 3.
pub(super) fn pair() -> Bench {
    let mut bench = Bench::new(settings(1));
    bench.up(2).up(3).pass(secs(1));
    bench
}

/// The same, and 2 and 3 are linked with each other.
pub(super) fn triangle() -> Bench {
    let mut bench = pair();
    for (origin, neighbors) in [(2, [1, 3]), (3, [1, 2])] {
        let adv = links(&bench, origin, 1, &neighbors);
        bench.hear(origin, flood([Advertisement::Link(adv)]));
    }
    bench
}
