//! What is done to the mesh, and undone.

use std::time::Duration;

use tokio::time::sleep;

use crate::condition::Condition;
use crate::mesh::{EXIT, INGRESS, Mesh, ip};
use crate::rng::Rng;

/// Which of a path's two wires is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Between the ingress and the transit.
    Near,
    /// Between the transit and the exit.
    Far,
}

/// A fault of one transit or of a wire beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is done.
    Nothing,
    /// The transit vanishes without a word; another process with its key comes back.
    Kill,
    /// Both directions lose everything.
    Cut(Wire),
    /// What goes towards the exit is lost.
    CutUp(Wire),
    /// What goes towards the ingress is lost.
    CutDown(Wire),
    /// The transit receives no end-to-end packet, and keeps its links.
    Grey,
    /// Both directions take so many milliseconds more.
    Slow(Wire, u64),
    /// Both directions lose so many of a thousand packets.
    Lossy(Wire, u64),
    /// The dialling end's NAT gives it another port.
    Rebind(Wire),
    /// Cut and whole again and again, so many milliseconds each.
    Flap(Wire, u64),
}

impl Fault {
    /// Any fault.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let wire = match rng.chance(50) {
            true => Wire::Near,
            false => Wire::Far,
        };
        match rng.within(0..11) {
            0 => Self::Nothing,
            1 | 2 => Self::Kill,
            3 => Self::Cut(wire),
            4 => Self::CutUp(wire),
            5 => Self::CutDown(wire),
            6 => Self::Grey,
            7 => Self::Slow(wire, rng.within(20..400)),
            8 => Self::Lossy(wire, rng.within(100..1_000)),
            9 => Self::Rebind(wire),
            _ => Self::Flap(wire, rng.within(20..600)),
        }
    }

    /// One that silences a path for good.
    pub(crate) fn silent(rng: &mut Rng) -> Self {
        let wire = match rng.chance(50) {
            true => Wire::Near,
            false => Wire::Far,
        };
        match rng.within(0..5) {
            0 => Self::Kill,
            1 => Self::Cut(wire),
            2 => Self::CutUp(wire),
            3 => Self::CutDown(wire),
            _ => Self::Grey,
        }
    }

    /// Strikes `transit`, lasts for `time`, and is over.
    pub(crate) async fn happen(self, mesh: &mut Mesh, transit: usize, time: Duration) {
        match self {
            Self::Nothing => sleep(time).await,
            Self::Kill => {
                mesh.kill(transit);
                sleep(time).await;
                mesh.revive(transit);
            }
            Self::Cut(wire) => {
                both(mesh, transit, wire, |way| way.cut = true);
                sleep(time).await;
                both(mesh, transit, wire, |way| way.cut = false);
            }
            Self::CutUp(wire) => {
                let (from, to) = ends(transit, wire);
                one_way(mesh, from, to, time).await;
            }
            Self::CutDown(wire) => {
                let (to, from) = ends(transit, wire);
                one_way(mesh, from, to, time).await;
            }
            Self::Grey => {
                grey(mesh, transit, true);
                sleep(time).await;
                grey(mesh, transit, false);
            }
            Self::Slow(wire, more) => {
                both(mesh, transit, wire, |way| way.delay_ms += more);
                sleep(time).await;
                both(mesh, transit, wire, |way| way.delay_ms -= more);
            }
            Self::Lossy(wire, loss) => {
                both(mesh, transit, wire, |way| way.loss += loss);
                sleep(time).await;
                both(mesh, transit, wire, |way| way.loss -= loss);
            }
            Self::Rebind(wire) => {
                let (host, peer) = ends(transit, wire);
                mesh.network.rebind(ip(host), ip(peer));
                sleep(time).await;
            }
            Self::Flap(wire, each) => {
                let each = Duration::from_millis(each);
                let times = time.as_millis() / each.as_millis() / 2 + 1;
                for _ in 0..times {
                    both(mesh, transit, wire, |way| way.cut = true);
                    sleep(each).await;
                    both(mesh, transit, wire, |way| way.cut = false);
                    sleep(each).await;
                }
            }
        }
    }
}

async fn one_way(mesh: &Mesh, from: usize, to: usize, time: Duration) {
    mesh.network.change(ip(from), ip(to), |way| way.cut = true);
    sleep(time).await;
    mesh.network.change(ip(from), ip(to), |way| way.cut = false);
}

fn grey(mesh: &Mesh, transit: usize, on: bool) {
    for end in [INGRESS, EXIT] {
        mesh.network
            .change(ip(end), ip(transit), |way| way.grey = on);
    }
}

fn both(mesh: &Mesh, transit: usize, wire: Wire, change: impl Fn(&mut Condition)) {
    let (a, b) = ends(transit, wire);
    mesh.network.change(ip(a), ip(b), &change);
    mesh.network.change(ip(b), ip(a), &change);
}

/// The end nearer to the ingress first; it dials.
fn ends(transit: usize, wire: Wire) -> (usize, usize) {
    match wire {
        Wire::Near => (INGRESS, transit),
        Wire::Far => (transit, EXIT),
    }
}
