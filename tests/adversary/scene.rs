//! What an innocent user sees beside an attack: echoes and new connections, before, meanwhile, after.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::identity::AgentId;

use crate::churn::Stop;
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// Echoes and connections may take so many times what they take in peace: the attack shares the
/// processors with everybody. `docs/security.md` has the figures of a machine that does nothing else.
const TIMES: u32 = 10;

/// What they may take in any case, at the median and at the 90th of a hundred: a debug build, and others
/// test beside it. Without the limits it is more, or for ever. One is made after the other, so that a
/// machine that stands still for seconds is seen in the slowest of them alone, which are not judged.
const FLOOR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Echoes that take less are as before.
const RECOVERED: Duration = Duration::from_millis(20);

/// An exit behind a transit, and an echo through them.
pub(crate) struct Scene {
    pub(crate) mesh: Mesh,
    pub(crate) target: Target,
    echo: Echo,
}

/// Three of a hundred.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    pub(crate) p50: Duration,
    p90: Duration,
    pub(crate) p99: Duration,
}

/// What was seen.
pub(crate) struct Seen {
    what: String,
    /// By the attack, from its begin to its end.
    pub(crate) sent: u64,
    idle: (Took, Took),
    attacked: (Took, Took),
    /// Of the agent under attack, percent of one processor.
    cpu: f64,
    /// Its memory at the end of the attack, MB.
    pub(crate) memory: f64,
    /// Until echoes were as quick as before.
    recovered: Duration,
}

impl Took {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self {
            p50: took[took.len() / 2],
            p90: took[took.len() * 9 / 10],
            p99: took[(took.len() * 99 / 100).saturating_sub(1)],
        }
    }

    /// Of both what took longer.
    fn worse(self, other: Self) -> Self {
        Self {
            p50: self.p50.max(other.p50),
            p90: self.p90.max(other.p90),
            p99: self.p99.max(other.p99),
        }
    }

    /// Not out of all proportion to `idle`.
    pub(crate) fn assert_beside(self, idle: Self, what: &str) {
        let most = (idle.p50 * TIMES).max(FLOOR.0);
        assert!(self.p50 < most, "{what}: p50 {:?} over {most:?}", self.p50);
        let most = (idle.p90 * TIMES).max(FLOOR.1);
        assert!(self.p90 < most, "{what}: p90 {:?} over {most:?}", self.p90);
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Spec::new("exit"))
    }

    /// With more to say of the exit.
    pub(crate) fn with(exit: Spec) -> Self {
        let mesh = Mesh::start_all([
            exit.listen().exit(LOOPBACK),
            Spec::new("transit").listen().peer("exit"),
            Spec::new("ingress").socks5().peer("transit"),
        ]);
        mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
        let target = Target::start();
        let echo = Echo::open(mesh.socks("ingress"), target.address());
        Self { mesh, target, echo }
    }

    pub(crate) fn id(&self, name: &str) -> AgentId {
        self.mesh.id(name).parse().expect("an agent id")
    }

    fn echoes(&mut self, count: usize) -> Took {
        Took::of(crate::handshakes::echoes(&mut self.echo, count))
    }

    fn connects(&self, count: usize) -> Took {
        let (socks, target) = (self.mesh.socks("ingress"), self.target.address());
        let connect = |_| {
            let start = Instant::now();
            fetch(socks, target);
            let took = start.elapsed();
            thread::sleep(Duration::from_millis(5));
            took
        };
        Took::of((0..count).map(connect).collect())
    }

    /// Uses the mesh while `flood`, which is aimed at `agent`, is repeated without a pause; each call tells
    /// how much it sent. Links live, and neither echoes nor new connections are slowed.
    pub(crate) fn under(
        &mut self,
        agent: &str,
        what: &str,
        flood: impl Fn() -> u64 + Send + Sync,
    ) -> Seen {
        self.under_and(agent, what, flood, |_, _| {})
    }

    /// As [`under`](Self::under), and does more of what innocents do `meanwhile`.
    pub(crate) fn under_and(
        &mut self,
        agent: &str,
        what: &str,
        flood: impl Fn() -> u64 + Send + Sync,
        meanwhile: impl FnOnce(&mut Mesh, &Target),
    ) -> Seen {
        let idle = (self.echoes(100), self.connects(50));
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let cpu = |mesh: &Mesh| mesh.metric(agent, "process_cpu_seconds_total");
        let (attacked, cpu, memory) = thread::scope(|scope| {
            let _end = Stop(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    sent.fetch_add(flood(), Ordering::Relaxed);
                }
            });
            eventually("the flood has begun", || {
                (sent.load(Ordering::Relaxed) > 0).then_some(())
            });
            let (start, before) = (Instant::now(), cpu(&self.mesh));
            let attacked = (self.echoes(300), self.connects(100));
            let used = (cpu(&self.mesh) - before) / start.elapsed().as_secs_f64();
            let memory = self.mesh.metric(agent, "process_resident_memory_bytes") / 1e6;
            meanwhile(&mut self.mesh, &self.target);
            (attacked, 100.0 * used, memory)
        });
        let recovered = self.recover(idle.0);
        let seen = Seen {
            what: what.to_owned(),
            sent: sent.into_inner(),
            idle,
            attacked,
            cpu,
            memory,
            recovered,
        };
        println!("{seen}");
        // Whatever else the machine does, it does afterwards, too.
        let after = (self.echoes(100), self.connects(50));
        attacked.0.assert_beside(idle.0.worse(after.0), what);
        attacked.1.assert_beside(idle.1.worse(after.1), what);
        self.mesh.await_peers("exit", 1);
        let down = self.mesh.get("ingress", "/api/events").body;
        assert!(!down.contains("link_down"), "{what}: {down}");
        seen
    }

    /// Waits until echoes take no more than twice what they took, or than [`RECOVERED`].
    fn recover(&mut self, idle: Took) -> Duration {
        let start = Instant::now();
        eventually("echoes are as before", || {
            let now = self.echoes(10);
            (now.p99 < (2 * idle.p99).max(RECOVERED)).then(|| start.elapsed())
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        let pair = |took: Took| format!("{:.2}/{:.1}", ms(took.p50), ms(took.p99));
        write!(
            f,
            "{}: {} sent; {:.0} % of a CPU, {:.0} MB; echo p50/p99 ms idle {}, attacked {}; \
             new connection idle {}, attacked {}; recovered in {:.0} ms",
            self.what,
            self.sent,
            self.cpu,
            self.memory,
            pair(self.idle.0),
            pair(self.attacked.0),
            pair(self.idle.1),
            pair(self.attacked.1),
            ms(self.recovered),
        )
    }
}
