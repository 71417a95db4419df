//! `warren trace` against a fake agent.

use super::*;

#[tokio::test]
async fn every_hop_of_every_path_has_its_round_trips() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["trace", "10.1.2.3"]).await,
        concat!(
            "10.1.2.3 leaves the mesh at exit-a (77777777)\n",
            "HOP  AGENT                     MIN      AVG      MAX  LOST  NOTE\n",
            "  1  transit-1 (22222222)  0.10 ms  0.20 ms  0.40 ms   0/5\n",
            "  2  exit-a (77777777)     0.20 ms  0.40 ms  0.80 ms   0/5\n",
            "\n",
            "held ready:\n",
            "HOP  AGENT              MIN  AVG  MAX  LOST  NOTE\n",
            "  1  33333333             -    -    -   5/5  suspect\n",
            "  2  exit-a (77777777)    -    -    -   5/5  suspect\n",
            "\n",
            "the open session's last probe took 0.50 ms, 3 were lost so far; ",
            "it still uses the path held ready\n",
            "it doubts that path and sends along its alternate too\n",
        ),
    );
    assert_prints(
        &ask(fake.address, &["trace", "192.0.2.1"]).await,
        "192.0.2.1 has no live route; see `warren explain 192.0.2.1`\n",
    );
}

#[tokio::test]
async fn the_json_is_the_apis() {
    let fake = fake().await;
    let json = ask(fake.address, &["trace", "10.1.2.3", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["exit"], id(0x77).to_string());
    assert_eq!(json["path"][0]["rtt_ms"]["avg"], 0.2);
}
