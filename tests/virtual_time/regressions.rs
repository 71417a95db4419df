//! What the scenarios found, each by itself.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use warren::wire::packet::{Header, PacketType, QUIC_FIXED_BIT};

use crate::fault::{Fault, Wire};
use crate::mesh::{EXIT, INGRESS, LEFT, RIGHT, WIRES, ip};
use crate::seeds::for_seeds;
use crate::trial::{Trial, Weather};

/// Probes follow what they are for at once: so much is for handshakes and timers.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Until an exit doubts a short path by itself, because its packets are not answered: 30 ms of quiet
/// and 70 ms for an answer, a piece and a round trip. The ingress, which still hears it, waits 150 ms
/// at least until a probe is missed, and tells it then.
const OWN_DOUBT: Duration = Duration::from_millis(130);

/// End-to-end packets that one agent sends to a neighbour.
struct Tapped(mpsc::UnboundedReceiver<Box<[u8]>>);

impl Trial {
    fn tap(&self, from: usize, to: usize) -> Tapped {
        Tapped(self.mesh.network.tap(ip(from), ip(to)))
    }
}

impl Tapped {
    /// Waits for a packet of this type.
    async fn wait_for(&mut self, wanted: PacketType) {
        loop {
            let packet = self.0.recv().await.expect("the network lives");
            let is_link_quic = packet[0] & QUIC_FIXED_BIT != 0;
            if !is_link_quic && Header::parse(&packet).unwrap().packet_type() == wanted {
                return;
            }
        }
    }
}

/// The exit needs a second way from the first moment on, not from the next probe of a schedule.
#[test]
fn a_session_probes_both_paths_at_once() {
    for_seeds("a_session_probes", 20, |seed| async move {
        let trial = Trial::start(seed, [1; 4], Weather::Clear).await;
        let taps = [LEFT, RIGHT].map(|transit| trial.tap(INGRESS, transit));
        let transfer = trial.transfer().await;
        let opened = Instant::now();
        for mut tap in taps {
            tap.wait_for(PacketType::Probe).await;
        }
        let took = opened.elapsed();
        assert!(took <= AT_ONCE, "{took:?}");
        transfer.finish().await;
    });
}

/// The exit mirrors along the last backup that it was shown: here the path in use, as it was before.
#[test]
fn a_new_backup_is_probed_at_once() {
    for_seeds("a_new_backup", 20, |seed| async move {
        let mut trial = Trial::start(seed, [1; 4], Weather::Clear).await;
        let transfer = trial.transfer().await;
        sleep(Duration::from_secs(2)).await;
        let left = trial.active();
        trial.mesh.kill(left);
        sleep(Duration::from_secs(1)).await;
        trial.pause(1_000).await;
        trial.mesh.revive(left);
        let mut tap = trial.tap(INGRESS, left);
        trial.mesh.two_ways().await;
        let known = Instant::now();
        tap.wait_for(PacketType::Probe).await;
        let took = known.elapsed();
        assert!(took <= AT_ONCE, "{took:?}");
        transfer.finish().await;
    });
}

/// The first probe along a faster backup comes together with the end of the handshake. An exit that
/// doubts sends along the backup, too, unless it knows none.
#[test]
fn an_exit_knows_the_backup_from_the_first_moments_on() {
    for_seeds("an_exit_knows", 20, |seed| async move {
        let mut trial = Trial::start(seed, [1, 2, 1, 2], Weather::Clear).await;
        for (a, b) in WIRES {
            let delay_ms = if (a, b) == (INGRESS, LEFT) { 3 } else { 1 };
            for (from, to) in [(a, b), (b, a)] {
                let network = &trial.mesh.network;
                network.change(ip(from), ip(to), |way| way.delay_ms = delay_ms);
            }
        }
        let transfer = trial.transfer().await;
        sleep(Duration::from_millis(50)).await;
        trial.pause(150).await;
        assert_eq!(trial.active(), LEFT);
        let mut tap = trial.tap(EXIT, RIGHT);
        let struck = Instant::now();
        let mirrored = async {
            tap.wait_for(PacketType::ToIngress).await;
            struck.elapsed()
        };
        let fault = Fault::CutUp(Wire::Near);
        let happen = fault.happen(&mut trial.mesh, LEFT, Duration::from_secs(1));
        let (took, ()) = tokio::join!(mirrored, happen);
        assert!(took <= OWN_DOUBT, "{took:?}");
        transfer.finish().await;
    });
}
