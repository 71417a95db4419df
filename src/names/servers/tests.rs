use super::*;
use crate::names::name::absolute;
use crate::names::testing::{Act, Scripted, ips};
use hickory_proto::rr::RecordType;

fn question(name: &str) -> Question {
    Question {
        name: absolute(name).unwrap(),
        records: RecordType::A,
    }
}

#[tokio::test]
async fn rotating_spreads_queries_and_tcp_may_come_first() {
    let one = Scripted::start(|_| ips(&["192.0.2.1"])).await;
    let two = Scripted::start(|_| ips(&["192.0.2.2"])).await;
    let mut how = How::within(Duration::from_secs(4), 2);
    (how.rotate, how.use_tcp) = (true, true);
    let servers = Servers::new(&[one.address, two.address], how);
    for number in 0..4 {
        let name = format!("n{number}.example");
        servers.query(&question(&name)).await.unwrap();
    }
    for server in [&one, &two] {
        assert_eq!(server.seen().len(), 2);
        assert!(server.seen().iter().all(|seen| seen.tcp));
    }
}

#[tokio::test]
async fn without_servers_there_is_no_answer() {
    let servers = Servers::new(&[], How::within(Duration::from_secs(4), 0));
    let failed = servers.query(&question("a.example")).await;
    assert!(matches!(failed, Err(Trouble::Silent)));
}

#[tokio::test]
async fn a_lost_datagram_is_made_up_for() {
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Act::Silence,
        _ => ips(&["192.0.2.1"]),
    })
    .await;
    let servers = Servers::new(&[server.address], How::within(Duration::from_secs(1), 1));
    assert!(servers.query(&question("a.example")).await.is_ok());
    assert!(!servers.servers[0].is_shunned());
}
