//! Lines that fit a screen, whatever agents call themselves.

use super::super::text::width_of;
use super::*;
use crate::api::testing::LONG;

const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["peers"],
    &["routes"],
    &["streams"],
    &["events"],
    &["explain", "10.1.2.3"],
    &["explain", "192.0.2.1"],
    &["trace", "10.1.2.3"],
];

#[tokio::test]
async fn sixty_columns_hold_every_table() {
    let fake = fake().await;
    *fake.agent.status.lock().unwrap() = Status::Degraded;
    for long in [false, true] {
        fake.agent.long.store(long, Ordering::Relaxed);
        for width in [60, 61, 72, 80, 100, 132] {
            for command in COMMANDS {
                let ended = ask_in(width, fake.address, command).await;
                assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
                let widest = ended.out.lines().map(width_of).max().unwrap();
                assert!(widest <= width, "{command:?} at {width}:\n{}", ended.out);
            }
        }
    }
}

#[tokio::test]
async fn no_screen_is_too_narrow() {
    let fake = fake().await;
    for long in [false, true] {
        fake.agent.long.store(long, Ordering::Relaxed);
        for command in COMMANDS {
            for width in [1, 20] {
                let ended = ask_in(width, fake.address, command).await;
                assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_cut_is_whole_with_wide() {
    let fake = fake().await;
    fake.agent.long.store(true, Ordering::Relaxed);
    for command in ["peers", "routes", "streams"] {
        let cut = ask_in(60, fake.address, &[command]).await.out;
        assert!(
            cut.contains('…') && !cut.contains(LONG),
            "{command}:\n{cut}"
        );
        let whole = ask_in(60, fake.address, &[command, "--wide"]).await.out;
        assert!(!whole.contains('…') && whole.contains(LONG), "{whole}");
    }
    // What tells why is folded, not cut.
    let explained = ask_in(60, fake.address, &["explain", "10.1.2.3"]).await.out;
    let words: String = explained.split_whitespace().collect();
    assert!(words.contains("highermetric"), "{explained}");
}

#[tokio::test]
async fn short_names_stand_alone_and_paths_name_what_is_between() {
    let fake = fake().await;
    let routes = ask_in(60, fake.address, &["routes"]).await;
    assert_prints(
        &routes,
        concat!(
            "   DESTINATION    EXIT       METRIC  VIA           ALTERNATE\n",
            "*  10.0.0.0/8     exit-a          2  transit-1     33333333\n",
            "   *.corp.examp…  ingress-1       0  (this agent)  -\n",
            "(--wide shows RTT too)\n",
        ),
    );
    let peers = ask_in(60, fake.address, &["peers"]).await.out;
    let errors = "last errors:\n33333333: handshake timed out\n";
    assert!(peers.ends_with(errors), "{peers}");
    let status = ask_in(60, fake.address, &["status"]).await.out;
    assert!(
        status.contains("01-02 03:04:05  link_down  exit-a"),
        "{status}"
    );
    let events = ask_in(60, fake.address, &["events", "--since", "3"])
        .await
        .out;
    assert!(
        events.starts_with("01-02 03:04:05  #4  failover to exit-a: link_down,\n  detected"),
        "{events}"
    );
}
