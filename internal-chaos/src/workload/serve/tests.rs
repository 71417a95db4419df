//! Every load against the servers, over loopback and without a proxy.

use super::super::socks::{Route, Target};
use super::super::{bulk, echo, hold, storm};
use super::*;

async fn start(service: Service) -> Target {
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, service).await.unwrap();
    let address = server.address().unwrap();
    tokio::spawn(server.run());
    Target::Address(address)
}

#[tokio::test]
async fn bulk_transfers_are_exact_both_ways() {
    let target = start(Service::Bulk).await;
    for direction in [Direction::Download, Direction::Upload] {
        let plan = bulk::Plan {
            route: Route::Direct,
            target: target.clone(),
            connections: 3,
            request: Request {
                direction,
                seed: 11,
                bytes: 3_000_000,
                time: Duration::MAX,
            },
        };
        let report = bulk::run(&plan).await.unwrap();
        assert_eq!(report.bytes, 9_000_000, "{direction:?}");
        assert_eq!(report.connections, 3);
        assert_eq!(report.slowest_bytes, report.fastest_bytes);
    }
}

#[tokio::test]
async fn a_time_limit_ends_a_download() {
    let plan = bulk::Plan {
        route: Route::Direct,
        target: start(Service::Bulk).await,
        connections: 1,
        request: Request {
            direction: Direction::Download,
            seed: 0,
            bytes: u64::MAX,
            time: Duration::from_millis(20),
        },
    };
    assert!(bulk::run(&plan).await.unwrap().bytes > 0);
}

#[tokio::test]
async fn echoes_storms_and_idle_connections() {
    let target = start(Service::Echo).await;
    for reconnect in [false, true] {
        let plan = echo::Plan {
            route: Route::Direct,
            target: target.clone(),
            samples: 20,
            time: Duration::from_secs(30),
            pause: Duration::ZERO,
            reconnect,
        };
        let report = echo::run(&plan).await.unwrap();
        assert_eq!(report.samples, 20);
        assert!(report.p50_us > 0.0 && report.p50_us <= report.p99_us);
    }
    let plan = storm::Plan {
        route: Route::Direct,
        target: target.clone(),
        concurrent: 8,
        connections: 50,
        time: Duration::from_secs(30),
    };
    let report = storm::run(&plan).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (50, 0));
    let held = hold::open(&Route::Direct, &target, 40).await.unwrap();
    assert_eq!(held.len(), 40);
}

#[tokio::test]
async fn a_storm_counts_failures() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::Address(listener.local_addr().unwrap());
    drop(listener);
    let plan = storm::Plan {
        route: Route::Direct,
        target,
        concurrent: 2,
        connections: 4,
        time: Duration::from_secs(30),
    };
    let report = storm::run(&plan).await.unwrap();
    assert_eq!((report.succeeded, report.failed), (0, 4));
    assert!(report.first_error.unwrap().contains("cannot connect"));
}
