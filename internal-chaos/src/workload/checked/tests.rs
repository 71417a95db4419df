//! Every load against the target, directly and through a wire that does harm.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::super::serve::{Service, serve as serve_all};
use super::*;

/// Only a failing test takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a wire does to one direction of the first connection.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    /// Inverts a bit of this byte.
    Flip(usize),
    /// Leaves this byte out.
    Lose(usize),
    /// Closes both directions at this byte.
    Cut(usize),
}

struct World {
    address: SocketAddr,
    ledger: Arc<Ledger>,
}

async fn world() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World {
        address: listener.local_addr().unwrap(),
        ledger: Arc::default(),
    };
    let ledger = Arc::clone(&world.ledger);
    tokio::spawn(serve_all(listener, Service::Checked, ledger, |_, _| {}));
    world
}

impl World {
    fn plan(&self, kind: Kind) -> Plan {
        let target = Target::Address(self.address);
        Plan {
            bytes: 300_000,
            ledger: Some(Arc::clone(&self.ledger)),
            ..Plan::new(Route::Direct, target, kind, PATIENCE)
        }
    }

    /// A wire to the target for one connection.
    async fn wire(&self, up: Harm, down: Harm) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = self.address;
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(target).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let up = carry(from_client, to_server, up);
            let down = carry(from_server, to_client, down);
            tokio::pin!(up, down);
            // A cut takes both directions: what is left of the other one is dropped with it.
            tokio::select! {
                cut = &mut up => { let _ = cut || down.await; }
                cut = &mut down => { let _ = cut || up.await; }
            }
        });
        address
    }
}

/// Carries bytes; whether it cut the connection.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, harm: Harm) -> bool {
    let mut at = 0;
    let mut buffer = vec![0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let mut piece = buffer[..count].to_vec();
        let inside = |place: usize| (at..at + count).contains(&place).then(|| place - at);
        match harm {
            Harm::Flip(place) if inside(place).is_some() => piece[place - at] ^= 4,
            Harm::Lose(place) if inside(place).is_some() => drop(piece.remove(place - at)),
            Harm::Cut(place) if inside(place).is_some() => {
                piece.truncate(place - at);
                let _ = to.write_all(&piece).await;
                return true;
            }
            _ => {}
        }
        at += count;
        if to.write_all(&piece).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    false
}

#[tokio::test]
async fn every_load_is_clean_on_a_clean_wire() {
    let world = world().await;
    for &kind in Kind::value_variants() {
        let plan = Plan {
            connections: 3,
            rate: (kind == Kind::SlowReader).then(|| Rate::mbit(20)),
            ..world.plan(kind)
        };
        let report = run(&plan).await;
        assert!(report.is_clean(), "{kind}: {report:?}");
        assert_eq!(report.connections.ok, 3, "{kind}");
        assert_eq!(report.exact, report.bytes, "{kind}");
        let expected = match kind {
            Kind::Download | Kind::Upload | Kind::SlowReader => 900_000..=900_000,
            Kind::Both | Kind::HalfClose => 1_800_000..=1_800_000,
            Kind::Request => 900_000..=920_000,
            Kind::Storm => 192..=192,
        };
        assert!(expected.contains(&report.bytes), "{kind}: {}", report.bytes);
        assert!(report.stalls.counts.iter().sum::<u64>() >= 3, "{kind}");
    }
}

#[tokio::test]
async fn streams_end_with_their_time_and_at_their_pace() {
    let world = world().await;
    let slow = Kind::SlowReader;
    for kind in [
        Kind::Download,
        Kind::Upload,
        Kind::Both,
        Kind::Request,
        slow,
    ] {
        let plan = Plan {
            bytes: u64::MAX,
            time: Duration::from_millis(60),
            grace: PATIENCE,
            rate: Some(Rate::mbit(8)),
            ..world.plan(kind)
        };
        let report = run(&plan).await;
        assert!(report.is_clean() && report.exact > 0, "{kind}: {report:?}");
    }
}

/// As the drill has them: without a limit, told to end by somebody who watches.
#[tokio::test]
async fn a_watched_stream_ends_complete_when_it_is_told_to() {
    let world = world().await;
    for kind in [Kind::Download, Kind::Upload] {
        for rate in [Some(Rate::mbit(8)), None] {
            let plan = Plan {
                bytes: u64::MAX,
                rate,
                ..world.plan(kind)
            };
            let stream = plan.route.connect(&plan.target).await.unwrap();
            let watch = Arc::new(Watch::remembering());
            world.ledger.announce(7, &watch);
            let told = async {
                while watch.reads() < 9 {
                    tokio::task::yield_now().await;
                }
                watch.stop();
            };
            let (seen, ()) = tokio::join!(super::carry(&plan, 7, stream, &watch), told);
            assert_eq!(seen.ending, Ending::Complete, "{kind}");
            let arrived: usize = watch.take_arrivals().iter().map(|read| read.1).sum();
            assert_eq!(arrived as u64, watch.bytes(), "{kind}");
            assert!(watch.bytes() > seen.exact, "{kind}: with lengths and tags");
        }
    }
}

#[tokio::test]
async fn damage_is_named_whichever_way_it_went() {
    let world = world().await;
    for harm in [Harm::Flip(100_000), Harm::Lose(100_000)] {
        for (kind, up, down) in [
            (Kind::Download, Harm::None, harm),
            (Kind::SlowReader, Harm::None, harm),
            (Kind::Request, Harm::None, harm),
            (Kind::Upload, harm, Harm::None),
            (Kind::Both, harm, Harm::None),
            (Kind::Both, Harm::None, harm),
            (Kind::HalfClose, harm, Harm::None),
        ] {
            let target = Target::Address(world.wire(up, down).await);
            let plan = Plan {
                target,
                grace: Duration::from_secs(1),
                ..world.plan(kind)
            };
            let report = run(&plan).await;
            assert_eq!(report.damaged.len(), 1, "{kind}, {harm:?}: {report:?}");
            assert_eq!(report.connections.broken, 1, "{kind}, {harm:?}");
            // Those two have another stream, which is whole.
            if !matches!(kind, Kind::Both | Kind::HalfClose) {
                assert!(report.exact <= 100_000, "{kind}, {harm:?}: {report:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_cut_connection_is_broken_and_what_came_is_exact() {
    let world = world().await;
    for (kind, up, down) in [
        (Kind::Download, Harm::None, Harm::Cut(100_000)),
        (Kind::Upload, Harm::Cut(100_000), Harm::None),
        (Kind::Both, Harm::None, Harm::Cut(100_000)),
        (Kind::HalfClose, Harm::Cut(100_000), Harm::None),
        (Kind::Request, Harm::None, Harm::Cut(100_000)),
    ] {
        let plan = Plan {
            target: Target::Address(world.wire(up, down).await),
            grace: Duration::from_secs(2),
            // Short enough for the end of the test, long enough for the wire to be cut.
            time: Duration::from_secs(2),
            ..world.plan(kind)
        };
        let report = run(&plan).await;
        assert_eq!(report.connections.broken, 1, "{kind}: {report:?}");
        assert!(report.damaged.is_empty(), "{kind}: {report:?}");
        assert!(!report.errors.is_empty(), "{kind}");
        assert!(report.exact >= 90_000, "{kind}: {report:?}");
        assert_eq!(report.exact, report.bytes, "{kind}");
    }
}

#[tokio::test]
async fn connections_that_are_refused_have_failed() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = Target::Address(listener.local_addr().unwrap());
    drop(listener);
    let plan = Plan {
        target: nobody,
        connections: 5,
        concurrent: 2,
        ..world.plan(Kind::Storm)
    };
    let report = run(&plan).await;
    assert_eq!(report.connections.failed, 5);
    assert!(!report.is_clean());
    assert_eq!(report.errors.len(), 5);
}

#[test]
fn names_parse_back() {
    for &kind in Kind::value_variants() {
        assert_eq!(Kind::from_str(&kind.to_string(), false), Ok(kind));
        let text = serde_json::to_string(&kind).unwrap();
        assert_eq!(text, format!("\"{kind}\""));
    }
    assert!(Kind::from_str("flood", false).is_err());
}

#[test]
fn histograms_count_by_size() {
    let mut stalls = Histogram::default();
    for millis in [0, 10, 11, 100, 9_999, 10_001] {
        stalls.add(Duration::from_millis(millis));
    }
    assert_eq!(stalls.counts, [2, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(stalls.longest(), Duration::from_millis(10_001));
    let mut sum = Histogram::default();
    sum.merge(&stalls);
    sum.merge(&stalls);
    assert_eq!(sum.counts.iter().sum::<u64>(), 12);
    assert_eq!(sum.longest_us, stalls.longest_us);
}
