//! What came before a reset arrives, as between two kernels.

use futures_util::FutureExt;

use super::*;
use crate::tunnel::testing::session_with;

/// What `from` says, then closes while it has something unread: its kernel sends a RST.
async fn say_and_close_rudely(mut from: TcpStream, words: &[u8]) {
    from.peek(&mut [0]).await.unwrap();
    from.write_all(words).await.unwrap();
}

/// What arrives at `tcp` before it is reset.
async fn read_to_reset(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, tcp.read_to_end(&mut bytes)).await;
    let end = end.expect("the connection ends");
    assert_eq!(
        end.expect_err("not a clean end").kind(),
        io::ErrorKind::ConnectionReset
    );
    bytes
}

#[tokio::test]
async fn a_kernel_keeps_what_came_before_a_reset() {
    let (mut near, far) = tcp_pair().await;
    near.write_all(b"unread").await.unwrap();
    say_and_close_rudely(far, b"answer").await;
    assert_eq!(read_to_reset(&mut near).await, b"answer");
}

#[tokio::test]
async fn an_answer_before_a_close_with_unread_bytes_arrives() {
    let session = session().await;
    for length in [0, 10, 100_000] {
        let mut bed = bed(&session).await;
        bed.client.write_all(b"a request").await.unwrap();
        let answer = pattern(length);
        say_and_close_rudely(bed.target, &answer).await;
        assert!(read_to_reset(&mut bed.client).await == answer, "{length}");
        assert_eq!(bed.exit.await.unwrap(), RelayEnd::TcpReset);
        assert_eq!(bed.ingress.await.unwrap(), RelayEnd::StreamReset);
    }
}

#[tokio::test]
async fn words_of_a_client_that_leaves_its_banner_unread_arrive() {
    let session = session().await;
    let mut bed = bed(&session).await;
    bed.target.write_all(b"a banner").await.unwrap();
    say_and_close_rudely(bed.client, b"last words").await;
    assert_eq!(read_to_reset(&mut bed.target).await, b"last words");
    assert_eq!(bed.ingress.await.unwrap(), RelayEnd::TcpReset);
    assert_eq!(bed.exit.await.unwrap(), RelayEnd::StreamReset);
}

/// Like an HTTP server that refuses an upload: the client is still sending when the answer comes.
#[tokio::test]
async fn an_answer_arrives_in_the_middle_of_an_upload() {
    let session = session().await;
    let mut bed = bed(&session).await;
    let (mut reads, mut writes) = bed.client.split();
    let upload = async {
        let block = pattern(64 * 1024);
        while writes.write_all(&block).await.is_ok() {}
    };
    let answered = say_and_close_rudely(bed.target, b"401");
    let answer = async {
        let mut answer = [0; 3];
        reads.read_exact(&mut answer).await.unwrap();
        answer
    };
    let all = async { tokio::join!(upload, answered, answer) };
    let ((), (), answer) = timeout(PATIENCE, all).await.unwrap();
    assert_eq!(&answer, b"401");
    assert_eq!(bed.exit.await.unwrap(), RelayEnd::TcpReset);
}

/// More than buffers hold: the reader takes it all before it sees the reset.
#[tokio::test]
async fn a_slow_reader_gets_everything_before_the_reset() {
    let session = session().await;
    let mut bed = bed(&session).await;
    bed.client.write_all(b"a request").await.unwrap();
    let answer = pattern(6_000_000);
    let mut got = Vec::new();
    let reading = async {
        let mut block = vec![0; 200_000];
        while let Ok(read @ 1..) = bed.client.read(&mut block).await {
            got.extend_from_slice(&block[..read]);
            sleep(Duration::from_millis(2)).await;
        }
    };
    // All of it is in the kernel's hands, or beyond, before the target leaves.
    let answered = async {
        let mut target = bed.target;
        target.write_all(&answer).await.unwrap();
        let mut unsent = unsent::Unsent::default();
        poll_fn(|cx| unsent.poll_gone(cx, &target)).await;
    };
    let all = async { tokio::join!(reading, answered) };
    timeout(PATIENCE, all).await.unwrap();
    assert!(got == answer, "{} of {} bytes", got.len(), answer.len());
}

#[tokio::test]
async fn a_reader_that_stalls_holds_up_a_reset_for_a_while_only() {
    let session = session().await;
    let Bed {
        client,
        target,
        ingress,
        exit,
        table,
    } = bed(&session).await;
    target.writable().await.unwrap();
    fill(&target, || table.snapshot()[1].bytes_down).await;
    reset_on_drop(&target);
    drop(target);
    let ended = timeout(PATIENCE, ingress).await.unwrap().unwrap();
    assert_eq!(ended, RelayEnd::StreamReset);
    let ended = timeout(PATIENCE, exit).await.unwrap().unwrap();
    assert_eq!(ended, RelayEnd::TcpReset);
    drop(client);
}

/// A session whose idle time-out does not strike while a paused clock is moved.
async fn enduring() -> Session {
    let mut transport = quinn::TransportConfig::default();
    transport.max_idle_timeout(None);
    session_with(transport).await
}

/// Lets so much time pass at once, and both ends of the session do what is due.
async fn pass(session: &Session, time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    stream_pair(session).await;
}

/// The other agent neither delivers the rest nor says that it cannot. Meanwhile its stream is whole up to
/// the reset, as it may have a slow line; after a minute it is reset at once.
#[tokio::test]
async fn the_rest_before_a_reset_may_take_a_minute_and_no_longer() {
    let session = enduring().await;
    let (mut client, tcp) = tcp_pair().await;
    let (opened, mut accepted) = stream_pair(&session).await;
    let table = StreamTable::new();
    let guard = table.open(Side::Ingress, AgentId([1; 16]), None, String::new());
    client.write_all(b"last words").await.unwrap();
    let relaying = tokio::spawn(async move { relay(tcp, opened, &guard).await });
    accepted.recv.read_exact(&mut [0; 9]).await.unwrap();
    reset_on_drop(&client);
    drop(client);
    let ended = timeout(PATIENCE, relaying).await;
    assert_eq!(ended.unwrap().unwrap(), RelayEnd::TcpReset);
    assert_eq!(table.count(), 0, "its place is free");
    pass(&session, Duration::from_secs(50)).await;
    let early = accepted.recv.received_reset().now_or_never();
    assert!(early.is_none(), "{early:?}");
    pass(&session, Duration::from_secs(11)).await;
    let reset = timeout(PATIENCE, accepted.recv.received_reset()).await;
    assert_eq!(reset.unwrap().unwrap(), Some(TCP_RESET));
}

/// Whatever ends a relay in the middle, the other side must not take it for whole.
#[tokio::test]
async fn a_relay_that_panics_or_is_dropped_resets_both_ends() {
    let session = session().await;
    for panics in [true, false] {
        let (mut client, tcp) = tcp_pair().await;
        let (opened, mut accepted) = stream_pair(&session).await;
        let table = StreamTable::new();
        let guard = table.open(Side::Ingress, AgentId([1; 16]), None, String::new());
        let broken = tokio::spawn(async move {
            tokio::select! {
                _ = relay(tcp, opened, &guard) => {}
                () = sleep(Duration::from_millis(50)) => {
                    assert!(!panics, "a defect, as the test wants it");
                }
            }
        });
        client.write_all(b"half a").await.unwrap();
        let mut half = [0; 6];
        accepted.recv.read_exact(&mut half).await.unwrap();
        assert_eq!(broken.await.is_err(), panics);
        let rest = timeout(PATIENCE, accepted.recv.read_to_end(9)).await;
        rest.unwrap().expect_err("not whole");
        assert_eq!(read_to_reset(&mut client).await, b"");
    }
}

/// An end of an older release: it opens no stream of notes and allows none.
#[tokio::test]
async fn without_notes_a_reset_is_passed_on_at_once() {
    let mut transport = quinn::TransportConfig::default();
    transport.max_concurrent_uni_streams(0_u32.into());
    let session = session_with(transport).await;
    let mut bed = bed(&session).await;
    reset_on_drop(&bed.target);
    drop(bed.target);
    reset_seen(&mut bed.client).await;
    assert_eq!(bed.exit.await.unwrap(), RelayEnd::TcpReset);
    assert_eq!(bed.ingress.await.unwrap(), RelayEnd::StreamReset);
}

#[tokio::test]
async fn notes_that_cannot_be_end_the_session() {
    for bytes in [
        &[0, 0, 0, 3, 0x82, 2, 6][..],
        &[9; 8],
        &[0, 0, 0, 2, 0x82, 0],
    ] {
        let session = session().await;
        session.accepting();
        let mut forged = session.ingress.open_uni().await.unwrap();
        forged.write_all(bytes).await.unwrap();
        let closed = timeout(PATIENCE, session.ingress.closed()).await.unwrap();
        let quinn::ConnectionError::ApplicationClosed(close) = closed else {
            panic!("{closed}");
        };
        assert_eq!(close.error_code, 4_u32.into());
    }
}

#[tokio::test]
async fn a_note_of_an_unknown_stream_is_passed_over() {
    let session = session().await;
    session.accepting();
    let mut forged = session.ingress.open_uni().await.unwrap();
    forged.write_all(&[0, 0, 0, 3, 0x82, 8, 6]).await.unwrap();
    let mut bed = bed(&session).await;
    bed.target.write_all(b"x").await.unwrap();
    bed.client.read_exact(&mut [0]).await.unwrap();
    assert!(session.exit.close_reason().is_none());
}
