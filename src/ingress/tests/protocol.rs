//! SOCKS5 as clients see it: greeting, authentication, odd requests, limits.

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::*;
use crate::identity::password;
use crate::tunnel::reset_on_drop;
use crate::tunnel::testing::PATIENCE;
use clients::{request_address, request_name};

fn user(username: &str, hash: String) -> User {
    User {
        username: username.to_owned(),
        password_hash: config::PasswordHash::inline(hash),
    }
}

fn argon2_user(username: &str, password: &str) -> User {
    user(username, password::hash(password.as_bytes()).unwrap())
}

fn bcrypt_user(username: &str, password: &str) -> User {
    // The lowest cost keeps the tests quick.
    user(username, bcrypt::hash(password, 4).unwrap())
}

#[tokio::test]
async fn a_client_is_connected_and_told_the_exits_address() {
    let running = Bed::with_loopback_exit().await.start().await;
    let target = testing::echo_server().await;
    let mut client = running.greeted().await;
    client.send(&request_address(1, target)).await;
    let (code, bound) = client.reply().await;
    assert_eq!(code, 0);
    assert!(bound.ip().is_loopback() && bound.port() != 0, "{bound}");
    assert!(client.echoes().await);
    let listed = running.ingress.streams.snapshot();
    assert_eq!(listed[0].target, target.to_string());
    assert_eq!((listed[0].bytes_up, listed[0].bytes_down), (13, 13));
    assert_eq!(listed[0].peer, FIRST);
    client.tcp.shutdown().await.unwrap();
    assert_eq!(client.rest().await.unwrap(), b"");
    timeout(PATIENCE, running.ingress.streams.emptied())
        .await
        .unwrap();
    assert_eq!(running.ingress.metrics().connects("connected"), 1);
}

#[tokio::test]
async fn a_client_that_sends_byte_by_byte_is_served() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.users(vec![argon2_user("anna", "secret")]);
    let running = bed.start().await;
    let target = testing::echo_server().await;
    let mut client = running.client().await;
    let mut messages = vec![vec![5, 2, 0, 2], b"\x01\x04anna\x06secret".to_vec()];
    messages.push(request_address(1, target));
    for message in messages {
        for byte in message {
            client.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(client.receive(4).await, [5, 2, 1, 0]);
    assert_eq!(client.reply().await.0, 0);
    assert!(client.echoes().await);
}

/// Everything at once, data for the target included.
#[tokio::test]
async fn a_client_that_does_not_wait_for_replies_is_served() {
    let running = Bed::with_loopback_exit().await.start().await;
    let mut client = running.client().await;
    let mut all = vec![5, 1, 0];
    all.extend(request_address(1, testing::echo_server().await));
    all.extend(b"early");
    client.send(&all).await;
    assert_eq!(client.receive(2).await, [5, 0]);
    assert_eq!(client.reply().await.0, 0);
    assert_eq!(client.receive(5).await, b"early");
}

#[tokio::test]
async fn passwords_are_checked_whatever_the_hash() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.users(vec![
        argon2_user("anna", "secret"),
        bcrypt_user("ben", "geheim"),
    ]);
    let running = bed.start().await;
    let target = testing::echo_server().await;
    for (username, password) in [("anna", "secret"), ("ben", "geheim"), ("anna", "secret")] {
        let mut client = running.client().await;
        assert_eq!(client.log_in(username, password).await, 0, "{username}");
        client.send(&request_address(1, target)).await;
        assert_eq!(client.reply().await.0, 0);
        assert!(client.echoes().await);
    }
    for (username, password) in [
        ("anna", "geheim"),
        ("ben", ""),
        ("carl", "secret"),
        ("", ""),
    ] {
        let mut client = running.client().await;
        assert_ne!(client.log_in(username, password).await, 0, "{username}");
        assert_eq!(client.rest().await.unwrap(), b"", "and closed");
    }
    assert_eq!(running.ingress.metrics().handshake_failures("auth"), 4);
}

#[tokio::test]
async fn a_client_without_an_accepted_method_is_told_so() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.users(vec![argon2_user("anna", "secret")]);
    let running = bed.start().await;
    for methods in [&[5, 1, 0][..], &[5, 2, 0, 1], &[5, 0]] {
        let mut client = running.client().await;
        client.send(methods).await;
        assert_eq!(client.receive(2).await, [5, 0xff]);
        assert_eq!(client.rest().await.unwrap(), b"");
    }
}

/// Each in its own words, so that nobody wonders about an empty reply.
#[tokio::test]
async fn clients_of_other_protocols_are_told_what_this_port_speaks() {
    let running = Bed::with_loopback_exit().await.start().await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\n\r\n",
        "POST http://a.example/ HTTP/1.0\r\ncontent-length: 0\r\n\r\n",
        "options * HTTP/1.1\r\n\r\n",
    ] {
        let mut client = running.client().await;
        client.send(request.as_bytes()).await;
        let answer = String::from_utf8(client.rest().await.unwrap()).unwrap();
        let port = client.tcp.peer_addr().unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 501 This is a SOCKS5 port\r\n"),
            "{answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{answer}"
        );
        assert!(
            body.contains(&format!("curl -x socks5h://{port} ")),
            "{answer}"
        );
    }
    for (greeting, answer) in [
        (
            &b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00"[..],
            &b"\0\x5b\0\0\0\0\0\0"[..],
        ),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x15\x03\x03\0\x02\x02\x28",
        ),
        (b"\0\x01\x02", b""),
        (b"\r\n\r\n\0\r\nQUIT\n", b""),
    ] {
        let mut client = running.client().await;
        client.send(greeting).await;
        assert_eq!(client.rest().await.unwrap(), answer, "{greeting:?}");
    }
    let counted = |reason| running.ingress.metrics().handshake_failures(reason);
    assert_eq!((counted("version"), counted("proxy_header")), (7, 1));
}

#[tokio::test]
async fn requests_that_cannot_be_served_get_their_reply() {
    let running = Bed::with_loopback_exit().await.start().await;
    let address = "127.0.0.1:80".parse().unwrap();
    let long = "a.".repeat(127) + "a";
    for (request, code) in [
        (request_address(2, address), 7),
        (request_address(3, address), 7),
        (request_address(9, address), 7),
        (vec![5, 1, 0, 2, 1, 2, 3, 4, 5, 6], 8),
        (request_name(&long, 80), 4),
        (request_name("", 80), 4),
        (vec![5, 1, 0, 3, 2, 0xff, 0xfe, 0, 80], 4),
    ] {
        let mut client = running.greeted().await;
        client.send(&request).await;
        assert_eq!(client.reply().await.0, code, "{request:?}");
        assert_eq!(client.rest().await.unwrap(), b"");
    }
    assert_eq!(running.ingress.metrics().handshake_failures("request"), 7);
    assert!(asked(&running).is_empty());
}

#[tokio::test]
async fn clients_over_the_limit_are_closed_until_one_leaves() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.config.max_connections = 2;
    let running = bed.start().await;
    let first = running.greeted().await;
    let _second = running.greeted().await;
    let mut third = running.client().await;
    assert!(matches!(third.rest().await.as_deref(), Ok(b"") | Err(_)));
    let metrics = running.ingress.metrics();
    assert_eq!(metrics.handshake_failures("max_connections"), 1);
    drop(first);
    while running.ingress.connections() == 2 {
        tokio::task::yield_now().await;
    }
    running.greeted().await;
}

#[tokio::test]
async fn a_client_that_stalls_its_handshake_is_closed() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.limits.socks_handshake_timeout = Duration::from_millis(50);
    let running = bed.start().await;
    for sent in [
        &b""[..],
        b"\x05",
        b"\x05\x01\x00",
        b"\x05\x01\x00\x05\x01\x00\x03\xff",
    ] {
        let mut client = running.client().await;
        client.send(sent).await;
        let rest = client.rest().await.unwrap();
        assert!(rest.is_empty() || rest == [5, 0]);
    }
    assert_eq!(running.ingress.metrics().handshake_failures("timed_out"), 4);
    assert_eq!(running.ingress.connections(), 0);
}

#[tokio::test]
async fn a_client_that_resets_while_it_waits_is_forgotten() {
    let mut bed = Bed::new();
    bed.sessions.silent.push(FIRST);
    bed.route("127.0.0.0/8", &[FIRST]);
    let running = bed.start().await;
    let mut client = running.greeted().await;
    let target = "127.0.0.1:80".parse().unwrap();
    client.send(&request_address(1, target)).await;
    while asked(&running).is_empty() {
        tokio::task::yield_now().await;
    }
    reset_on_drop(&client.tcp);
    drop(client);
    let gone = async {
        while running.ingress.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    assert_eq!(running.ingress.metrics().connects("client_gone"), 1);
}
