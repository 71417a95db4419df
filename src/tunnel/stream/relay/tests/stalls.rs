//! Streams that nobody reads, beside others.

use super::*;
use crate::tunnel::testing::session_with;

/// What both ends of the session hold unread at most, as little as makes a test short.
const WINDOW: u32 = 8 * 1024 * 1024;

/// Without books, 32 of them would use the window up: QUIC lets one hold 256 KiB here.
const STALLED: usize = 60;

async fn narrow() -> Session {
    let mut transport = quinn::TransportConfig::default();
    transport.receive_window(WINDOW.into());
    session_with(transport).await.within(WINDOW.into())
}

#[tokio::test]
async fn many_stalled_readers_leave_room_for_others() {
    let session = narrow().await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let bed = bed(&session).await;
        bed.target.writable().await.unwrap();
        stalled.push(bed);
    }
    // Far more than the kernels take.
    let block = pattern(64 * 1024);
    let (mut quiet, mut sent) = (0, [0; STALLED]);
    while quiet < 5 {
        let before = sent;
        for (bed, sent) in stalled.iter().zip(&mut sent) {
            while let Ok(written) = bed.target.try_write(&block) {
                *sent += written;
            }
        }
        quiet = if sent == before { quiet + 1 } else { 0 };
        sleep(Duration::from_millis(50)).await;
    }
    assert!(session.accepting().are_short() && session.opening().are_short());
    let mut other = bed(&session).await;
    let whole = pattern(2_000_000);
    let exchange = async {
        let (write, read) = tokio::join!(
            async {
                other.target.write_all(&whole).await.unwrap();
                other.target.shutdown().await
            },
            read_to_end(&mut other.client)
        );
        write.unwrap();
        read.unwrap()
    };
    assert!(timeout(PATIENCE, exchange).await.unwrap() == whole);
    // The stalled ones have lost nothing.
    let mut one = stalled.pop().unwrap();
    one.target.shutdown().await.unwrap();
    let rest = timeout(PATIENCE, async {
        let mut bytes = Vec::new();
        one.client.read_to_end(&mut bytes).await.map(|_| bytes)
    });
    let rest = rest.await.unwrap().unwrap();
    assert_eq!(rest.len(), sent[STALLED - 1]);
    drop(stalled);
    let no_longer = async {
        while session.accepting().are_short() || session.opening().are_short() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, no_longer).await.unwrap();
}
