//! What this agent says of itself, and when it says it again. Bodies only; signing and flooding are
//! in [`super::issue`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::authority::Admitted;
use super::bucket::TokenBucket;
use super::settings::{OwnRoutes, Settings};
use super::time::{BATCH, Now};
use crate::wire::bounds::{MAX_FRAGMENT_ROUTES, MAX_LIFETIME_MS};
use crate::wire::{CertificateBytes, RouteAdv, RoutePrefix, SignedAdv, Stamp, load_class};

/// Most bytes of names in one fragment: long domains must not make it outgrow a message.
const FRAGMENT_NAME_BYTES: usize = 16 * 1024;

/// Least time between two advertisements that differ in load only: load is a hint.
const LOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Links whose death is told by itself, per second: an agent that loses hundreds at a time would
/// issue as many advertisements, each of hundreds of links, and others take only so many
/// ([`super::pace`]).
const AT_ONCE_PER_SECOND: u64 = 64;

/// Whether we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Speaking,
    /// A newer process has our key.
    Yielded {
        since: Instant,
    },
    /// We said goodbye.
    Stopped,
}

/// Own state that advertisements are made of.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) certificate: CertificateBytes,
    /// What others read in our certificate.
    pub(super) admitted: Arc<Admitted>,
    pub(super) voice: Voice,
    pub(super) draining: bool,
    pub(super) incarnation: u64,
    pub(super) epoch: u64,
    pub(super) sequence: u64,
    pub(super) answers: u64,
    /// As last issued.
    pub(super) link: Option<SignedAdv>,
    /// As last issued, by fragment. Empty: never was an exit.
    pub(super) fragments: Vec<SignedAdv>,
    /// As the file has them.
    pub(super) configured: OwnRoutes,
    /// Those of them that are granted, sorted.
    pub(super) routes: OwnRoutes,
    /// Streams open at this exit.
    streams: u32,
    pub(super) refresh_at: Instant,
    /// The last refresh, by both clocks.
    pub(super) refreshed: Now,
    /// Link advertisements that need not wait.
    at_once: TokenBucket,
    link_due: Option<Instant>,
    routes_due: Option<Instant>,
    link_issued: Option<Instant>,
    routes_issued: Option<Instant>,
}

impl Own {
    pub(super) fn new(now: Now, settings: &Settings, certificate: &[u8]) -> Self {
        Self {
            certificate: CertificateBytes::new(certificate),
            admitted: Arc::new(unjudged(settings)),
            voice: Voice::Speaking,
            draining: false,
            incarnation: settings.epoch,
            epoch: settings.epoch,
            sequence: 0,
            answers: 0,
            link: None,
            fragments: Vec::new(),
            configured: OwnRoutes::default(),
            routes: OwnRoutes::default(),
            streams: 0,
            refresh_at: now.instant + settings.advertise_interval,
            refreshed: now,
            at_once: TokenBucket::new(now.instant, AT_ONCE_PER_SECOND),
            link_due: None,
            routes_due: None,
            link_issued: None,
            routes_issued: None,
        }
    }

    pub(super) fn is_speaking(&self) -> bool {
        match self.voice {
            Voice::Speaking => true,
            Voice::Yielded { .. } | Voice::Stopped => false,
        }
    }

    pub(super) fn next_due(&self) -> impl Iterator<Item = Instant> {
        let refresh = match self.voice {
            Voice::Speaking => Some(self.refresh_at),
            Voice::Yielded { .. } | Voice::Stopped => None,
        };
        refresh
            .into_iter()
            .chain(self.link_due)
            .chain(self.routes_due)
    }

    /// Returns whether that is a change.
    pub(super) fn set_draining(&mut self, draining: bool) -> bool {
        std::mem::replace(&mut self.draining, draining) != draining
    }

    pub(super) fn want_link(&mut self, now: Instant) {
        self.link_due = Some(now);
    }

    /// At once, unless too many were; then at most one per `interval`.
    pub(super) fn want_link_at_once(&mut self, now: Instant, interval: Duration) {
        if self.at_once.take(now, 1) {
            self.want_link(now);
        } else {
            self.want_link_after(now, interval);
        }
    }

    /// At once if the last one was issued `interval` ago.
    pub(super) fn want_link_after(&mut self, now: Instant, interval: Duration) {
        let earliest = self.link_issued.map_or(now, |issued| issued + interval);
        let due = earliest.max(now);
        self.link_due = Some(self.link_due.map_or(due, |other| other.min(due)));
    }

    /// Takes over `routes`, already granted and sorted, and plans their advertisement.
    pub(super) fn set_routes(&mut self, now: Instant, routes: OwnRoutes) {
        if self.routes == routes {
            return;
        }
        self.routes = routes;
        if self.fragments.is_empty() && self.routes == OwnRoutes::default() {
            self.routes_due = None;
        } else {
            self.want_routes(now, BATCH);
        }
    }

    pub(super) fn set_streams(&mut self, now: Instant, streams: u32) {
        let old = std::mem::replace(&mut self.streams, streams);
        if load_class(old) != load_class(streams) && !self.fragments.is_empty() {
            self.want_routes(now, LOAD_INTERVAL);
        }
    }

    fn want_routes(&mut self, now: Instant, interval: Duration) {
        let earliest = self.routes_issued.map_or(now, |issued| issued + interval);
        let due = earliest.max(now);
        self.routes_due = Some(self.routes_due.map_or(due, |other| other.min(due)));
    }

    /// Whether the link advertisement is due; if so it counts as issued.
    pub(super) fn take_link_due(&mut self, now: Instant) -> bool {
        take_due(&mut self.link_due, &mut self.link_issued, now)
    }

    /// Whether the routes are due; if so they count as issued.
    pub(super) fn take_routes_due(&mut self, now: Instant) -> bool {
        take_due(&mut self.routes_due, &mut self.routes_issued, now)
    }

    /// The stamp of the next advertisement.
    pub(super) fn stamp(&mut self, now: Now, settings: &Settings) -> Stamp {
        self.sequence += 1;
        let lifetime = u64::try_from(settings.route_ttl.as_millis()).unwrap_or(u64::MAX);
        Stamp {
            origin: settings.id,
            certificate_hash: *self.certificate.hash(),
            epoch: self.epoch,
            sequence: self.sequence,
            issued_at_ms: now.unix_ms,
            lifetime_ms: lifetime.min(MAX_LIFETIME_MS),
            max_hops: settings.max_hops,
            incarnation: self.incarnation,
            answers: self.answers,
        }
    }

    /// The routes cut into fragments; their stamps are for the caller to fill. At least one.
    pub(super) fn cut_routes(&self, stamp: &Stamp) -> Vec<RouteAdv> {
        let mut fragments = vec![RouteAdv {
            stamp: stamp.clone(),
            fragment: 0,
            fragments: 0,
            prefixes: Vec::new(),
            domains: Vec::new(),
            resolves: self.routes.resolves,
            load: load_class(self.streams),
            pool: String::new(),
        }];
        let mut names = 0;
        for domain in &self.routes.domains {
            let text = domain.to_string();
            names += text.len();
            let full = names > FRAGMENT_NAME_BYTES;
            if full {
                names = text.len();
            }
            open_fragment(&mut fragments, full).domains.push(text);
        }
        for (prefix, metric) in &self.routes.prefixes {
            open_fragment(&mut fragments, false)
                .prefixes
                .push(RoutePrefix {
                    prefix: *prefix,
                    metric: *metric,
                });
        }
        let count = fragments.len() as u16;
        for (index, fragment) in fragments.iter_mut().enumerate() {
            fragment.fragment = index as u16;
            fragment.fragments = count;
        }
        fragments
    }
}

/// Stands in until, and unless, the authority admits our own certificate.
pub(super) fn unjudged(settings: &Settings) -> Admitted {
    Admitted {
        id: settings.id,
        public_key: [0; 32],
        not_after_ms: u64::MAX,
        grants: None,
    }
}

fn take_due(due: &mut Option<Instant>, issued: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = due.is_some_and(|due| due <= now);
    if is_due {
        *due = None;
        *issued = Some(now);
    }
    is_due
}

/// The last fragment, or a new one if that is full.
fn open_fragment(fragments: &mut Vec<RouteAdv>, full: bool) -> &mut RouteAdv {
    let last = fragments.last().expect("there is at least one fragment");
    if full || last.prefixes.len() + last.domains.len() >= MAX_FRAGMENT_ROUTES {
        fragments.push(RouteAdv {
            stamp: last.stamp.clone(),
            fragment: 0,
            fragments: 0,
            prefixes: Vec::new(),
            domains: Vec::new(),
            resolves: false,
            load: 0,
            pool: String::new(),
        });
    }
    fragments
        .last_mut()
        .expect("there is at least one fragment")
}
