use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::Server;
use super::super::testing::serve;
use super::*;

/// Long enough for any answer on a busy machine; tests end before.
const NEVER: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_millis(50);

fn timeouts() -> Timeouts {
    Timeouts {
        head: NEVER,
        lifetime: NEVER,
        grace: NEVER,
    }
}

/// What the server still sends; a reset counts as an end.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_cut() {
    let fake = serve(Settings::for_test(Timeouts {
        head: SOON,
        ..timeouts()
    }))
    .await;
    let mut slow = TcpStream::connect(fake.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nHost: loc")
        .await
        .unwrap();
    assert!(!rest(&mut slow).await.contains("200 OK"));

    let mut idle = TcpStream::connect(fake.address).await.unwrap();
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn an_idle_kept_connection_is_cut() {
    let fake = serve(Settings::for_test(Timeouts {
        head: SOON,
        ..timeouts()
    }))
    .await;
    let mut kept = TcpStream::connect(fake.address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    kept.write_all(request).await.unwrap();
    assert!(rest(&mut kept).await.ends_with("OK"));
}

#[tokio::test]
async fn an_old_connection_is_cut_even_under_way() {
    let fake = serve(Settings::for_test(Timeouts {
        lifetime: SOON,
        grace: SOON,
        ..timeouts()
    }))
    .await;
    let mut stuck = TcpStream::connect(fake.address).await.unwrap();
    let request = b"GET /api/explain?dest=slow.example HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stuck.write_all(request).await.unwrap();
    assert_eq!(rest(&mut stuck).await, "");
}

#[tokio::test]
async fn connections_over_the_limit_are_dropped_and_counted() {
    let settings = Settings {
        // One network alone gets half of them.
        connections: 4,
        ..Settings::for_test(timeouts())
    };
    let fake = serve(settings.clone()).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(fake.address).await.unwrap();
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // Answered, so its place is taken.
        stream.readable().await.unwrap();
        held.push(stream);
    }
    let mut third = TcpStream::connect(fake.address).await.unwrap();
    assert_eq!(rest(&mut third).await, "");

    // A place comes free when a client leaves; the server notices in its own time.
    drop(held.pop());
    let metrics = loop {
        let mut stream = TcpStream::connect(fake.address).await.unwrap();
        let request = b"GET /metrics HTTP/1.0\r\n\r\n";
        if stream.write_all(request).await.is_ok() {
            let answer = rest(&mut stream).await;
            if !answer.is_empty() {
                break answer;
            }
        }
    };
    assert!(
        metrics.contains("warren_http_refusals_total{reason=\"connection_limit\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn large_bodies_and_heads_are_refused() {
    let fake = serve(settings()).await;
    let large = "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16385\r\n\
                 Connection: close\r\n\r\n";
    let answer = raw(fake.address, large).await;
    assert_eq!(answer.status, 413);
    assert!(answer.error().contains("16384 bytes"));

    let filler = "x".repeat(20_000);
    let mut stream = TcpStream::connect(fake.address).await.unwrap();
    let request = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX-Filler: {filler}\r\n\r\n");
    // The server may answer and close before it has all.
    let _ = stream.write_all(request.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.contains(" 431 "), "{answer}");
}

#[tokio::test]
async fn shutdown_finishes_answers_and_frees_the_port() {
    let fake = serve(Settings::for_test(Timeouts {
        grace: SOON,
        ..timeouts()
    }))
    .await;
    let mut idle = TcpStream::connect(fake.address).await.unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.write_all(request).await.unwrap();
    idle.readable().await.unwrap();
    fake.stop.send(()).unwrap();
    fake.served.await.unwrap();
    assert!(rest(&mut idle).await.ends_with("OK"));
    drop(idle);
    Server::bind(fake.address).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_an_error() {
    let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = first.local_addr();
    let error = Server::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
