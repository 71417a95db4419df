//! Every load against the servers, over loopback and without a proxy.

use super::super::socks::{Route, Target};
use super::super::{bulk, echo, hold, storm};
use super::checked::Kind;
use super::*;

async fn start(service: Service) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, service, Arc::default(), |_, _| {}));
    Target::Address(address)
}

#[tokio::test]
async fn bulk_transfers_are_exact_both_ways() {
    let target = start(Service::Checked).await;
    for kind in [Kind::Download, Kind::Upload] {
        let time = Duration::from_secs(30);
        let plan = checked::Plan {
            connections: 3,
            bytes: 3_000_000,
            seed: 11,
            ..checked::Plan::new(Route::Direct, target.clone(), kind, time)
        };
        let report = bulk::run(&plan).await.unwrap();
        assert_eq!(report.bytes, 9_000_000, "{kind}");
        assert_eq!(report.connections, 3);
        assert_eq!(report.slowest_bytes, report.fastest_bytes);
        assert_eq!(report.longest_gap_ms > 0.0, kind == Kind::Download);
    }
}

#[tokio::test]
async fn a_time_limit_ends_a_download_and_bytes_that_are_wanted_must_come() {
    let target = start(Service::Checked).await;
    let time = Duration::from_millis(20);
    let mut plan = checked::Plan::new(Route::Direct, target, Kind::Download, time);
    assert!(bulk::run(&plan).await.unwrap().bytes > 0);
    plan.bytes = u64::MAX - 1;
    let error = bulk::run(&plan).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("bytes arrived of"),
        "{error:#}"
    );
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
    let report = storm::run(&plan).await;
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
    let report = storm::run(&plan).await;
    assert_eq!((report.succeeded, report.failed), (0, 4));
    assert!(report.first_error.unwrap().contains("cannot connect"));
}
