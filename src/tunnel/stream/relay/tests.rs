use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::identity::AgentId;
use crate::record::{Side, StreamTable};
use crate::tunnel::testing::{PATIENCE, Session, session, tcp_pair};

/// client ↔ relay ↔ stream ↔ relay ↔ target, as in a mesh.
struct Bed {
    client: TcpStream,
    target: TcpStream,
    ingress: JoinHandle<RelayEnd>,
    exit: JoinHandle<RelayEnd>,
    table: Arc<StreamTable>,
}

async fn bed(session: &Session) -> Bed {
    let (client, ingress_tcp) = tcp_pair().await;
    let (exit_tcp, target) = tcp_pair().await;
    let (opened, accepted) = stream_pair(session).await;
    let table = StreamTable::new();
    let start = |tcp, stream, side| {
        let guard = table.open(side, AgentId([1; 16]), None, "target.test:1".to_owned());
        tokio::spawn(async move { relay(tcp, stream, &guard).await })
    };
    let ingress = start(ingress_tcp, opened, Side::Ingress);
    let exit = start(exit_tcp, accepted, Side::Exit);
    Bed {
        client,
        target,
        ingress,
        exit,
        table,
    }
}

/// Both ends of a stream whose head was read.
async fn stream_pair(session: &Session) -> (ExitStream, ExitStream) {
    let mut opened = session.opening().open().await.unwrap();
    opened.send.write_all(b"!").await.unwrap();
    let accepted = timeout(PATIENCE, session.accepting().accept()).await;
    let mut accepted = accepted.unwrap().unwrap();
    accepted.recv.read_exact(&mut [0]).await.unwrap();
    (opened, accepted)
}

async fn ends(bed: Bed) -> (RelayEnd, RelayEnd) {
    let both = async { tokio::join!(bed.ingress, bed.exit) };
    let (ingress, exit) = timeout(PATIENCE, both).await.expect("both relays end");
    (ingress.unwrap(), exit.unwrap())
}

async fn read_to_end(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut bytes))
        .await
        .expect("the connection ends")?;
    Ok(bytes)
}

/// Bytes that show a lost, doubled or moved piece.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

#[tokio::test]
async fn bytes_arrive_exactly_in_both_directions_and_are_counted() {
    let session = session().await;
    let mut bed = bed(&session).await;
    let sent = pattern(3_000_001);
    let (mut from_target, mut to_client) = bed.target.split();
    let echo = async {
        tokio::io::copy(&mut from_target, &mut to_client)
            .await
            .unwrap();
        to_client.shutdown().await.unwrap();
    };
    let (mut from_relay, mut to_relay) = bed.client.split();
    let send = async {
        to_relay.write_all(&sent).await.unwrap();
        to_relay.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let all = async { tokio::join!(echo, send, from_relay.read_to_end(&mut received)) };
    timeout(PATIENCE, all).await.unwrap().2.unwrap();
    assert!(received == sent);
    assert_eq!(bed.ingress.await.unwrap(), RelayEnd::Finished);
    assert_eq!(bed.exit.await.unwrap(), RelayEnd::Finished);
    let mut metrics = prometheus_client::registry::Registry::default();
    bed.table.register(&mut metrics);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics).unwrap();
    let up = r#"stream_bytes_total{direction="up"} 6000002"#;
    assert!(text.contains(up), "{text}");
}

#[tokio::test]
async fn a_client_that_finished_sending_still_receives() {
    let session = session().await;
    let mut bed = bed(&session).await;
    bed.client.write_all(b"question").await.unwrap();
    bed.client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut bed.target).await.unwrap(), b"question");
    bed.target.write_all(b"answer").await.unwrap();
    bed.target.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut bed.client).await.unwrap(), b"answer");
    assert_eq!(ends(bed).await, (RelayEnd::Finished, RelayEnd::Finished));
}

#[tokio::test]
async fn a_target_that_finished_sending_still_receives() {
    let session = session().await;
    let mut bed = bed(&session).await;
    bed.target.write_all(b"greeting").await.unwrap();
    bed.target.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut bed.client).await.unwrap(), b"greeting");
    bed.client.write_all(b"upload").await.unwrap();
    bed.client.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut bed.target).await.unwrap(), b"upload");
    assert_eq!(ends(bed).await, (RelayEnd::Finished, RelayEnd::Finished));
}

async fn reset_seen(tcp: &mut TcpStream) {
    let error = read_to_end(tcp).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reset_by_the_client_resets_the_target() {
    let session = session().await;
    let Bed {
        client,
        mut target,
        ingress,
        exit,
        ..
    } = bed(&session).await;
    reset_on_drop(&client);
    drop(client);
    reset_seen(&mut target).await;
    assert_eq!(ingress.await.unwrap(), RelayEnd::TcpReset);
    assert_eq!(exit.await.unwrap(), RelayEnd::StreamReset);
}

#[tokio::test]
async fn a_reset_by_the_target_resets_the_client() {
    let session = session().await;
    let Bed {
        mut client,
        target,
        ingress,
        exit,
        ..
    } = bed(&session).await;
    reset_on_drop(&target);
    drop(target);
    reset_seen(&mut client).await;
    assert_eq!(exit.await.unwrap(), RelayEnd::TcpReset);
    assert_eq!(ingress.await.unwrap(), RelayEnd::StreamReset);
}

/// The reset arrives at an ingress that reads nothing from the stream any more.
#[tokio::test]
async fn a_reset_after_the_targets_fin_reaches_the_client() {
    let session = session().await;
    let mut bed = bed(&session).await;
    bed.target.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut bed.client).await.unwrap(), b"");
    reset_on_drop(&bed.target);
    drop(bed.target);
    assert_eq!(
        timeout(PATIENCE, bed.exit).await.unwrap().unwrap(),
        RelayEnd::TcpReset
    );
    assert_eq!(
        timeout(PATIENCE, bed.ingress).await.unwrap().unwrap(),
        RelayEnd::StreamReset
    );
    let error = async {
        loop {
            if let Err(error) = bed.client.write_all(b"x").await {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, error)
        .await
        .expect("writing fails in the end");
}

/// Fills everything between `from` and its peer, which does not read.
async fn fill(from: &TcpStream, meter: impl Fn() -> u64) {
    let block = pattern(64 * 1024);
    let mut last = (0, 0);
    loop {
        let mut accepted = 0;
        while let Ok(written) = from.try_write(&block) {
            accepted += written;
        }
        let now = (accepted, meter());
        if now == last && accepted == 0 {
            return;
        }
        last = now;
        sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn a_stalled_reader_stops_only_its_own_stream() {
    let session = session().await;
    let stalled = bed(&session).await;
    let table = stalled.table.clone();
    stalled.client.writable().await.unwrap();
    fill(&stalled.client, || table.snapshot()[0].bytes_up).await;
    let mut neighbour = bed(&session).await;
    let sent = pattern(2_000_000);
    let exchange = async {
        let (write, read) = tokio::join!(
            async {
                neighbour.client.write_all(&sent).await.unwrap();
                neighbour.client.shutdown().await
            },
            read_to_end(&mut neighbour.target)
        );
        write.unwrap();
        read.unwrap()
    };
    assert!(timeout(PATIENCE, exchange).await.unwrap() == sent);
    assert!(!stalled.ingress.is_finished() && !stalled.exit.is_finished());
}

/// The upload is stuck in flow control, so nobody reads the client's socket.
#[tokio::test]
async fn a_reset_during_a_stalled_upload_is_noticed() {
    let session = session().await;
    let Bed {
        client,
        target,
        ingress,
        exit,
        table,
    } = bed(&session).await;
    client.writable().await.unwrap();
    fill(&client, || table.snapshot()[0].bytes_up).await;
    reset_on_drop(&client);
    drop(client);
    assert_eq!(
        timeout(PATIENCE, ingress).await.unwrap().unwrap(),
        RelayEnd::TcpReset
    );
    assert_eq!(
        timeout(PATIENCE, exit).await.unwrap().unwrap(),
        RelayEnd::StreamReset
    );
    drop(target);
}

#[tokio::test]
async fn a_lost_session_resets_tcp() {
    let session = session().await;
    let Bed {
        mut client,
        ingress,
        ..
    } = bed(&session).await;
    session.ingress.close(0_u32.into(), b"gone");
    reset_seen(&mut client).await;
    assert_eq!(ingress.await.unwrap(), RelayEnd::SessionLost);
}

#[tokio::test]
async fn the_future_of_an_idle_connection_is_small() {
    let session = session().await;
    let (tcp, _far) = tcp_pair().await;
    let stream = session.opening().open().await.unwrap();
    let table = StreamTable::new();
    let guard = table.open(
        Side::Ingress,
        AgentId([1; 16]),
        None,
        "target.test:1".to_owned(),
    );
    let size = size_of_val(&relay(tcp, stream, &guard));
    assert!(size <= 640, "{size} bytes");
}

mod own;
mod resets;
mod stalls;
