//! An agent that says what it is told, and a server in front of it.

mod events;
mod routes;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::identity::AgentId;

/// An id that is easy to recognise: one byte, repeated.
pub(crate) fn id(byte: u8) -> AgentId {
    AgentId([byte; 16])
}

/// What long names end in.
pub(crate) const LONG: &str = "2001:db8:1234:5678:9abc:def0:1234:5678-of-the-far-data-centre";

pub(crate) struct FakeAgent {
    pub(crate) status: Mutex<Status>,
    pub(crate) empty: AtomicBool,
    /// Names and addresses are as long as they get.
    pub(crate) long: AtomicBool,
    /// Connections that a drain has to wait for.
    left: Mutex<usize>,
    registry: Registry,
}

impl FakeAgent {
    pub(crate) fn new(metrics: &Metrics) -> Arc<Self> {
        let mut registry = Registry::with_prefix("warren");
        metrics.register(&mut registry);
        Arc::new(Self {
            status: Mutex::new(Status::Healthy),
            empty: AtomicBool::new(false),
            long: AtomicBool::new(false),
            left: Mutex::new(4),
            registry,
        })
    }

    /// `text`, or as long a one of its kind.
    fn long(&self, text: &str) -> String {
        match self.long.load(Ordering::Relaxed) {
            true => format!("{text}-{LONG}"),
            false => text.to_owned(),
        }
    }

    /// Each look at a drain finds one connection less; three are left at first.
    fn drain_view(&self, status: Status) -> Option<DrainView> {
        if status != Status::Draining {
            return None;
        }
        let mut left = self.left.lock().unwrap();
        *left = left.saturating_sub(1);
        let stage = match *left {
            0 => DrainStage::Drained,
            _ => DrainStage::Emptying,
        };
        Some(DrainView {
            stage,
            connections: *left,
            left_s: 30,
            cut: 0,
        })
    }

    fn change(&self, to: Status, message: &str) -> Result<DrainAnswer, Refused> {
        let mut status = self.status.lock().unwrap();
        if *status == Status::Unavailable {
            return Err(Refused("the agent is stopping".to_owned()));
        }
        *status = to;
        Ok(DrainAnswer {
            status: to,
            message: message.to_owned(),
            drain: self.drain_view(to),
        })
    }

    fn unless_empty<T>(&self, list: Vec<T>) -> Vec<T> {
        if self.empty.load(Ordering::Relaxed) {
            Vec::new()
        } else {
            list
        }
    }
}

impl Agent for FakeAgent {
    fn health(&self) -> Health {
        let status = *self.status.lock().unwrap();
        let reasons = match status {
            Status::Healthy => Vec::new(),
            _ => vec![self.long("10.0.0.0/8 has one exit left")],
        };
        Health {
            status,
            agent_id: id(0x11),
            display_name: self.long("ingress-1"),
            version: "0.1.0".into(),
            uptime_s: 3_725,
            peers: 2,
            routes: 5,
            streams: 1,
            socks5_running: true,
            exit_handler_running: false,
            drain: self.drain_view(status),
            reasons,
        }
    }

    fn weight(&self) -> Option<u8> {
        None
    }

    fn peers(&self) -> Vec<PeerView> {
        let up = PeerView {
            id: id(0x22),
            display_name: Some(self.long("transit-\u{1b}[31m1")),
            address: self.long("192.0.2.1:4433"),
            state: PeerState::Up,
            direction: Direction::Dialled,
            rtt_ms: Some(0.25),
            cost: 1,
            mtu: Some(1_452),
            uptime_s: Some(61),
            protocol: Some(1),
            last_error: None,
        };
        let down = PeerView {
            id: id(0x33),
            display_name: None,
            address: "transit-2.example:4433".into(),
            state: PeerState::Connecting,
            direction: Direction::Accepted,
            rtt_ms: None,
            cost: 10,
            mtu: None,
            uptime_s: None,
            protocol: None,
            last_error: Some(self.long("handshake timed out")),
        };
        self.unless_empty(vec![up, down])
    }

    fn routes(&self) -> Vec<RouteView> {
        let near = RouteView {
            kind: RouteKind::Prefix,
            destination: self.long("10.0.0.0/8"),
            exit: id(0x77),
            exit_name: "exit-a".into(),
            metric: 2,
            hops: 2,
            path: vec![id(0x22), id(0x77)],
            rtt_ms: Some(0.4),
            alternate: Some(vec![id(0x33), id(0x77)]),
            chosen: true,
            added: false,
        };
        let own = RouteView {
            kind: RouteKind::Domain,
            destination: "*.corp.example".into(),
            exit: id(0x11),
            exit_name: "ingress-1".into(),
            metric: 0,
            hops: 0,
            path: Vec::new(),
            rtt_ms: None,
            alternate: None,
            chosen: false,
            added: true,
        };
        self.unless_empty(vec![near, own])
    }

    fn streams(&self) -> Vec<StreamView> {
        self.unless_empty(vec![StreamView {
            id: 42,
            ingress: id(0x11),
            exit: id(0x77),
            client: Some(self.long("127.0.0.1:50000")),
            target: self.long("10.1.2.3:443"),
            path: vec![id(0x22), id(0x77)],
            age_s: 5,
            bytes_up: 900,
            bytes_down: 1_572_864,
        }])
    }

    fn sessions(&self) -> Vec<MemberView> {
        self.unless_empty(vec![MemberView {
            ingress: id(0x22),
            groups: vec!["ops".to_owned()],
            roles: vec!["ingress".to_owned()],
            not_after: "2027-01-01T00:00:00Z".to_owned(),
            age_s: 5,
        }])
    }

    fn topology(&self) -> TopologyView {
        let agent = |byte, name: &str| AgentView {
            id: id(byte),
            display_name: self.long(name),
            this: byte == 0x11,
            transit: true,
            draining: false,
            routes: 0,
            features: (byte == 0x11).then(|| vec![0, 63]),
        };
        TopologyView {
            agents: vec![
                agent(0x11, "ingress-1"),
                agent(0x22, "transit-1"),
                // A default display name: the head of the id.
                agent(0x33, "33333333"),
                agent(0x77, "exit-a"),
            ],
            edges: vec![EdgeView {
                a: id(0x11),
                b: id(0x22),
                cost: 1,
                rtt_ms: Some(0.25),
                mtu: Some(1_452),
            }],
            departed: vec![DepartedView {
                id: id(0x99),
                display_name: self.long("transit-9"),
            }],
        }
    }

    fn events(&self, since: u64) -> Vec<EventView> {
        let events = events::all(self.long("no heartbeat")).into_iter();
        self.unless_empty(events.filter(|event| event.number > since).collect())
    }

    async fn explain(&self, dest: &Dest) -> Result<ExplainView, ExplainError> {
        let text = dest.to_string();
        match text.as_str() {
            "broken.example" => panic!("a defect, as the test wants it"),
            "slow.example" => std::future::pending().await,
            "unknown.example" => {
                return Err(ExplainError::Resolve {
                    name: text,
                    reason: "no exit has servers".into(),
                });
            }
            "192.0.2.1" => {
                return Ok(ExplainView {
                    dest: text,
                    resolved: None,
                    chosen: None,
                    candidates: Vec::new(),
                });
            }
            _ => {}
        }
        let candidate = |exit, transit, metric, rejected: Option<&str>| CandidateView {
            exit: id(exit),
            path: vec![id(transit), id(exit)],
            metric,
            prefix: self.long("10.0.0.0/8"),
            rejected: rejected.map(|why| self.long(why)),
        };
        Ok(ExplainView {
            dest: text,
            resolved: None,
            chosen: Some(ChosenView {
                exit: id(0x77),
                path: vec![id(0x22), id(0x77)],
                metric: 2,
                rtt_ms: 0.4,
            }),
            candidates: vec![
                candidate(0x77, 0x22, 2, None),
                candidate(0x88, 0x33, 11, Some("higher metric")),
            ],
        })
    }

    async fn drain(&self) -> Result<DrainAnswer, Refused> {
        self.change(Status::Draining, "draining")
    }

    async fn reload(&self) -> ReloadAnswer {
        match *self.status.lock().unwrap() {
            Status::Healthy => {
                ReloadAnswer::reloaded(vec!["drain.timeout".into(), "peers[00]".into()])
            }
            Status::Unavailable => ReloadAnswer::failed(vec![
                "agent.yaml:1:1: agnet: unknown key; did you mean agent?".into(),
                "agent.yaml:2:1: x: unknown key".into(),
            ]),
            _ => ReloadAnswer::refused(vec![Refusal {
                key: "agent.id".into(),
                why: "an agent's id is its key's".into(),
            }]),
        }
    }

    fn advertised(&self) -> AdvertiseAnswer {
        routes::answer(*self.status.lock().unwrap())
    }

    async fn advertise(&self, _: RouteChange) -> AdvertiseAnswer {
        self.advertised()
    }

    async fn undrain(&self) -> Result<DrainAnswer, Refused> {
        self.change(Status::Healthy, "serving")
    }

    async fn trace(&self, dest: &Dest) -> Result<TraceView, ExplainError> {
        let explained = self.explain(dest).await?;
        let hop = |byte, name: &str, avg: Option<f64>| HopView {
            id: id(byte),
            display_name: Some(self.long(name)),
            rtt_ms: avg.map(|avg| RttView {
                min: avg / 2.0,
                avg,
                max: avg * 2.0,
            }),
            sent: 5,
            lost: if avg.is_some() { 0 } else { 5 },
            suspect: avg.is_none(),
            draining: false,
        };
        let near = vec![
            hop(0x22, "transit-1", Some(0.2)),
            hop(0x77, "exit-a", Some(0.4)),
        ];
        let far = vec![hop(0x33, "33333333", None), hop(0x77, "exit-a", None)];
        let chosen = explained.chosen.is_some();
        Ok(TraceView {
            dest: explained.dest,
            exit: explained.chosen.map(|chosen| chosen.exit),
            path: if chosen { near } else { Vec::new() },
            alternate: chosen.then(|| far.clone()),
            session: chosen.then_some(SessionView {
                path: far,
                rtt_ms: Some(0.5),
                suspect: true,
                mirroring: true,
                probes_lost: 3,
            }),
        })
    }

    fn encode_metrics(&self, names: bool) -> String {
        let mut text = format!("names_told {}\n", u8::from(names));
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

/// A server on loopback with a [`FakeAgent`] behind it.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) agent: Arc<FakeAgent>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<()>,
}

pub(crate) async fn serve(settings: Settings) -> Fake {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = server.local_addr();
    let agent = FakeAgent::new(&settings.metrics);
    let (stop, stopped) = oneshot::channel();
    let served = server.serve(Arc::clone(&agent), settings, async {
        let _ = stopped.await;
    });
    Fake {
        address,
        agent,
        stop,
        served: tokio::spawn(served),
    }
}
