//! `warren events` against a fake agent.

use super::*;

#[tokio::test]
async fn every_event_is_a_line() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["events"]).await,
        concat!(
            "2026-01-02T03:04:05.001Z  #1  link up: transit-1 (22222222)\n",
            "2026-01-02T03:04:05.002Z  #2  session opened to exit-a (77777777)\n",
            "2026-01-02T03:04:05.003Z  #3  link suspect: transit-1 (22222222)\n",
            "2026-01-02T03:04:05.004Z  #4  failover to exit-a (77777777): link_down, ",
            "detected 150 ms, stalled 180 ms, 12.0 KiB in flight; ",
            "transit-1 (22222222) > exit-a (77777777) -> 33333333 > exit-a (77777777)\n",
            "2026-01-02T03:04:05.005Z  #5  link down: transit-1 (22222222): no heartbeat\n",
            "2026-01-02T03:04:05.006Z  #6  recovered from #4 after a stall of 180 ms\n",
            "2026-01-02T03:04:05.007Z  #7  clock skew: transit-9 (99999999) is 180 s behind this host\n",
            "2026-01-02T03:04:05.008Z  #8  this host's clock was set 60 s ahead\n",
        ),
    );
    assert_prints(
        &ask(fake.address, &["events", "--since", "7"]).await,
        "2026-01-02T03:04:05.008Z  #8  this host's clock was set 60 s ahead\n",
    );
}

#[tokio::test]
async fn the_json_is_the_apis() {
    let fake = fake().await;
    let json = ask(fake.address, &["events", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 8);
    assert_eq!(json[3]["kind"], "failover");
}
