//! An agent that is its own exit.

use super::*;

/// client ↔ relay ↔ target.
async fn own() -> (TcpStream, TcpStream, JoinHandle<RelayEnd>) {
    let (client, near) = tcp_pair().await;
    let (far, target) = tcp_pair().await;
    let table = StreamTable::new();
    let guard = table.open(Side::Ingress, AgentId([1; 16]), None, String::new());
    let relaying = tokio::spawn(async move { relay_own(near, far, &guard).await });
    (client, target, relaying)
}

async fn end(relaying: JoinHandle<RelayEnd>) -> RelayEnd {
    let ended = timeout(PATIENCE, relaying).await;
    ended.expect("the relay ends").unwrap()
}

#[tokio::test]
async fn bytes_and_ends_pass_in_both_directions() {
    let (mut client, mut target, relaying) = own().await;
    let sent = pattern(3_000_001);
    let (write, read) = tokio::join!(
        async {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await
        },
        read_to_end(&mut target)
    );
    write.unwrap();
    assert!(read.unwrap() == sent);
    target.write_all(b"answer").await.unwrap();
    target.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut client).await.unwrap(), b"answer");
    assert_eq!(end(relaying).await, RelayEnd::Finished);
}

#[tokio::test]
async fn a_reset_after_a_half_close_ends_both_connections() {
    for client_leaves in [true, false] {
        let (client, target, relaying) = own().await;
        let (mut leaves, mut stays) = match client_leaves {
            true => (client, target),
            false => (target, client),
        };
        leaves.shutdown().await.unwrap();
        assert_eq!(read_to_end(&mut stays).await.unwrap(), b"");
        reset_on_drop(&leaves);
        drop(leaves);
        assert_eq!(end(relaying).await, RelayEnd::TcpReset);
    }
}

#[tokio::test]
async fn an_answer_before_a_reset_arrives() {
    let (mut client, mut target, relaying) = own().await;
    client.write_all(b"a request").await.unwrap();
    target.peek(&mut [0]).await.unwrap();
    target.write_all(b"answer").await.unwrap();
    drop(target);
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"answer");
    reset_seen(&mut client).await;
    assert_eq!(end(relaying).await, RelayEnd::TcpReset);
}
