//! One run: a mesh, a transfer through it, and faults under it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::condition::Condition;
use crate::fault::Fault;
use crate::mesh::{EXIT, INGRESS, LEFT, Layout, Mesh, RIGHT, WIRES, ip};
use crate::rng::Rng;
use crate::transfer::{Ledger, Transfer, serve};

/// Wires are so long at most, one way.
const LONGEST_MS: u64 = 10;

/// Doubt ends this soon after its reason did: a path is probed every 20 to 200 ms meanwhile.
const CALM_WITHIN: Duration = Duration::from_secs(3);

/// How rough the wires are while nothing is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every packet takes the same time.
    Clear,
    /// Some take longer, some come twice, some are overtaken.
    Gusty,
}

/// A mesh, and what goes through it.
pub(crate) struct Trial {
    pub(crate) mesh: Mesh,
    pub(crate) rng: Rng,
    pub(crate) ledger: Arc<Ledger>,
}

impl Trial {
    /// Starts a mesh with the default heartbeat and waits until it is whole.
    pub(crate) async fn start(seed: u64, costs: [u32; WIRES.len()], weather: Weather) -> Self {
        Self::with_heartbeat(seed, costs, weather, 100).await
    }

    /// The same with another heartbeat.
    pub(crate) async fn with_heartbeat(
        seed: u64,
        costs: [u32; WIRES.len()],
        weather: Weather,
        heartbeat_ms: u64,
    ) -> Self {
        let trial = Self::over(seed, costs, heartbeat_ms, |rng| {
            let mut condition = Condition::clean(rng.within(1..LONGEST_MS + 1));
            if weather == Weather::Gusty {
                condition.jitter_ms = rng.within(0..5);
                condition.duplicates = rng.within(0..20);
                condition.overtaken = rng.within(0..20);
            }
            [condition; 2]
        });
        trial.mesh.whole().await;
        trial
    }

    /// Starts a mesh over wires as `wire` draws them: towards the exit, and back.
    pub(crate) fn over(
        seed: u64,
        costs: [u32; WIRES.len()],
        heartbeat_ms: u64,
        wire: impl Fn(&mut Rng) -> [Condition; 2],
    ) -> Self {
        let mut rng = Rng::new(seed);
        let layout = Layout {
            costs,
            both_dial: rng.chance(50),
            heartbeat_ms,
        };
        let (accepted, sessions) = mpsc::channel(4);
        let ledger = Arc::new(Ledger::default());
        tokio::spawn(serve(sessions, ledger.clone()));
        let mesh = Mesh::start(Rng::new(rng.next()), layout, accepted);
        for (a, b) in WIRES {
            let [up, down] = wire(&mut rng);
            mesh.network.change(ip(a), ip(b), |way| *way = up);
            mesh.network.change(ip(b), ip(a), |way| *way = down);
        }
        Self { mesh, rng, ledger }
    }

    /// Opens the transfer.
    pub(crate) async fn transfer(&self) -> Transfer {
        let opener = self.mesh.agent(INGRESS).opener().expect("it is an ingress");
        Transfer::open(&opener, self.mesh.ids[EXIT], self.ledger.clone()).await
    }

    /// The transit that the ingress uses, or would use.
    pub(crate) fn active(&self) -> usize {
        let session = self.mesh.session().map(|session| session.path);
        let best = || {
            self.mesh
                .agent(INGRESS)
                .paths(self.mesh.ids[EXIT])
                .remove(0)
        };
        match session.unwrap_or_else(best).first_hop() == self.mesh.ids[LEFT] {
            true => LEFT,
            false => RIGHT,
        }
    }

    /// Waits for a random time of less than so many milliseconds.
    pub(crate) async fn pause(&mut self, below_ms: u64) {
        sleep(Duration::from_millis(self.rng.within(0..below_ms))).await;
    }

    /// Lets a fault happen to `transit` for `time`; tells the longest stall of either direction
    /// from its beginning until a second after its end.
    pub(crate) async fn strike(
        &mut self,
        fault: Fault,
        transit: usize,
        time: Duration,
    ) -> Duration {
        info!(?fault, transit, active = self.active(), ?time, "fault");
        let from = Instant::now();
        fault.happen(&mut self.mesh, transit, time).await;
        info!("the fault is over");
        sleep(Duration::from_secs(1)).await;
        let to = Instant::now();
        self.ledger.stall(from, to)
    }

    /// Waits until the session trusts its path.
    pub(crate) async fn calm(&self) {
        let since = Instant::now();
        let is_calm = || {
            let session = self.mesh.session().expect("the session lives");
            !session.suspect && !session.mirroring
        };
        while !is_calm() {
            assert!(
                since.elapsed() < CALM_WITHIN,
                "the path is doubted for ever"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }
}
