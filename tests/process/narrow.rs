//! Links whose largest packet is small, or changes under open connections, as tunnels come and go.
//!
//! `cargo test --release --test process narrow:: -- --nocapture` on a quiet machine prints what such a
//! change costs a connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use internal_chaos::impairment::Impairment;
use internal_chaos::packet::Ways;
use internal_chaos::relay::{Options, Relay};

use crate::support::traffic::{MIB, try_fetch};
use crate::support::wait::{eventually, within};
use crate::support::{LOOPBACK, Mesh, Spec, Target, pattern, socks};

/// Bytes of IPv4 and UDP headers.
const HEADERS: usize = 28;

/// A tunnel comes, a narrower one, both go, and once more.
const CHANGES: [usize; 5] = [1_300, 1_280, 1_500, 1_280, 1_500];

/// How long each lasts: longer than the 2 s after which a path is looked at for being wide again.
const HOLD: Duration = Duration::from_millis(2_500);

/// The longest silence that a change may cost. A second at most is what a quiet machine sees; here
/// other work stops agents for seconds.
const SILENCE: Duration = Duration::from_secs(10);

/// From the link until a connection works; two seconds on a quiet machine.
const ROUTES_WITHIN: Duration = Duration::from_secs(10);

/// Beside the download, which goes as fast as it can: so much there and back every so often.
const PIECE: usize = 16 * 1024;
const PACE: Duration = Duration::from_millis(10);

/// More than comes before it is told to end.
const ENDLESS: u64 = 1_000_000 * MIB;

fn set(relay: &Relay, mtu: usize) {
    let wire = Impairment {
        mtu: Some(mtu - HEADERS),
        ..Impairment::CLEAR
    };
    relay.set(Ways::Both, wire);
}

/// When bytes came.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Instant>>>);

impl Arrivals {
    fn note(&self) {
        self.0.lock().expect("no panic").push(Instant::now());
    }

    fn any_since(&self, at: Instant) -> bool {
        self.0.lock().expect("no panic").last() > Some(&at)
    }

    /// The longest time without a byte that ended between the two.
    fn silence(&self, from: Instant, to: Instant) -> Duration {
        let arrivals = self.0.lock().expect("no panic");
        let pairs = arrivals.windows(2).map(|pair| (pair[0], pair[1]));
        let ended = pairs.filter(|(_, end)| (from..to).contains(end));
        let lengths = ended.map(|(begin, end)| end - begin);
        lengths.max().unwrap_or_default()
    }
}

/// Reads pattern bytes and checks each, until the end, or until told to stop; returns how many.
fn check(mut stream: TcpStream, arrivals: Arrivals, stop: Option<Arc<AtomicBool>>) -> u64 {
    let (mut block, mut at) = (vec![0; 64 * 1024], 0);
    while !stop
        .as_ref()
        .is_some_and(|stop| stop.load(Ordering::Relaxed))
    {
        let count = stream.read(&mut block).expect("the connection lives");
        if count == 0 {
            break;
        }
        let wrong = pattern::first_wrong(&block[..count], at);
        assert_eq!(wrong, None, "position of the first wrong byte");
        at += count as u64;
        arrivals.note();
    }
    at
}

/// A download as fast as it goes, and bytes that go there and come back.
struct Load {
    stop: Arc<AtomicBool>,
    down: Arrivals,
    round: Arrivals,
    download: JoinHandle<u64>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<u64>,
}

impl Load {
    fn start(proxy: SocketAddr, target: SocketAddr) -> Self {
        let open = |ask: String| {
            let mut stream = socks::connect(proxy, target).expect("it is in reach");
            writeln!(stream, "{ask}").expect("it takes a request");
            stream
        };
        let stop = Arc::new(AtomicBool::new(false));
        let (down, round) = (Arrivals::default(), Arrivals::default());
        let bulk = open(format!("bulk {ENDLESS}"));
        let (arrivals, stopped) = (down.clone(), stop.clone());
        let download = thread::spawn(move || check(bulk, arrivals, Some(stopped)));
        let mut echo = open("echo".to_owned());
        let (back, arrivals) = (echo.try_clone().expect("a socket"), round.clone());
        let receiver = thread::spawn(move || check(back, arrivals, None));
        let stopped = stop.clone();
        let sender = thread::spawn(move || {
            let (mut piece, mut at) = (vec![0; PIECE], 0);
            while !stopped.load(Ordering::Relaxed) {
                pattern::fill(&mut piece, at);
                echo.write_all(&piece).expect("the connection lives");
                at += PIECE as u64;
                thread::sleep(PACE);
            }
            echo.shutdown(Shutdown::Write)
                .expect("the connection lives");
            at
        });
        Self {
            stop,
            down,
            round,
            download,
            sender,
            receiver,
        }
    }

    fn await_bytes(&self, since: Instant) {
        eventually("both carry bytes", || {
            (self.down.any_since(since) && self.round.any_since(since)).then_some(())
        });
    }

    /// Every byte that was sent came back.
    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = "it checked every byte";
        let (sent, back) = (self.sender.join(), self.receiver.join());
        assert_eq!(sent.expect(ended), back.expect(ended));
        assert!(self.download.join().expect(ended) > 0);
    }
}

/// Ingress, transit, exit; what lies between the last two is the relay's.
fn chain() -> (Mesh, Relay) {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("transit").listen().peer("exit"));
    mesh.add(Spec::new("ingress").socks5().peer("transit"));
    let relay = Relay::start(&Options::to(mesh.link("exit"))).expect("a relay on loopback");
    mesh.detour("transit", "exit", relay.address());
    (mesh, relay)
}

#[test]
fn a_connection_outlives_a_link_that_shrinks_and_grows() {
    let (mut mesh, relay) = chain();
    for name in ["exit", "transit", "ingress"] {
        mesh.start(name);
    }
    mesh.await_ready("ingress");
    let target = Target::start();
    let load = Load::start(mesh.socks("ingress"), target.address());
    load.await_bytes(Instant::now());
    for mtu in CHANGES {
        let changed = Instant::now();
        set(&relay, mtu);
        thread::sleep(HOLD);
        load.await_bytes(Instant::now());
        let over = Instant::now();
        let (down, round) = (&load.down, &load.round);
        let (down, round) = (down.silence(changed, over), round.silence(changed, over));
        println!("MTU {mtu}: download silent for {down:?}, there and back for {round:?}");
        assert!(down.max(round) <= SILENCE, "{mtu}: {down:?}, {round:?}");
    }
    load.finish();
}

#[test]
fn every_width_has_routes_soon_after_its_link_whatever_it_was_before() {
    let (mut mesh, relay) = chain();
    let target = Target::start();
    mesh.start("exit");
    mesh.start("ingress");
    for mtu in [1_280, 1_281, 1_300, 1_363, 1_400, 1_500, 1_280] {
        set(&relay, mtu);
        mesh.start("transit");
        mesh.await_peers("exit", 1);
        mesh.await_peers("ingress", 1);
        let linked = Instant::now();
        let socks = mesh.socks("ingress");
        within(ROUTES_WITHIN, &format!("a connection at MTU {mtu}"), || {
            try_fetch(socks, target.address()).then_some(())
        });
        let took = linked.elapsed();
        println!("MTU {mtu}: a connection {took:?} after the links");
        eventually(&format!("a trace at MTU {mtu} is answered"), || {
            let traced = mesh.get("ingress", "/api/trace?dest=127.0.0.1").json();
            let mut hops = traced["path"].as_array()?.iter();
            hops.all(|hop| !hop["rtt_ms"].is_null()).then_some(())
        });
        mesh.kill("transit");
        mesh.await_peers("exit", 0);
        mesh.await_peers("ingress", 0);
    }
}
