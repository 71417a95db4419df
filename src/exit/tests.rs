use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::time::timeout;

use super::testing::{closed_port, config, echo_server, exit, name_server, silent_target};
use super::*;
use crate::identity::AgentId;
use crate::names::Families;
use crate::names::testing::{Act, Scripted, after, ips};
use crate::tunnel::testing::{PATIENCE, Session, session};
use crate::tunnel::{ExitStream, receive_message, send_message};
use crate::wire::{
    ConnectReply, ConnectRequest, ConnectStatus, ResolveReply, ResolveRequest, StreamRequest,
    Target,
};

async fn status_of(exit: &Exit, target: Target) -> ConnectStatus {
    match timeout(PATIENCE, exit.connect(&Member::with_id(INGRESS), &target))
        .await
        .unwrap()
    {
        Ok(_) => ConnectStatus::Connected,
        Err(error) => error.status(),
    }
}

#[tokio::test]
async fn an_address_is_dialled_only_inside_the_routes() {
    let target = echo_server().await;
    let inside = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    let outside = exit(&config(&["10.0.0.0/8"], &[], vec![]));
    let dialled = inside
        .connect(&Member::with_id(INGRESS), &Target::Address(target))
        .await
        .unwrap();
    assert_eq!(dialled.bound, dialled.tcp.local_addr().unwrap());
    assert!(dialled.tcp.nodelay().unwrap());
    let socket = socket2::SockRef::from(&dialled.tcp);
    assert!(socket.keepalive().unwrap());
    let status = status_of(&outside, Target::Address(target)).await;
    assert_eq!(status, ConnectStatus::NotAllowed);
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), target.port());
    assert_eq!(
        status_of(&inside, Target::Address(mapped)).await,
        ConnectStatus::Connected
    );
    assert_eq!(
        status_of(&outside, Target::Address(mapped)).await,
        ConnectStatus::NotAllowed
    );
}

#[tokio::test]
async fn socket_errors_become_statuses() {
    let mut quick = config(&["127.0.0.0/8"], &[], vec![]);
    quick.connect_timeout = Duration::from_millis(100);
    let exit = exit(&quick);
    let refused = Target::Address(closed_port().await);
    assert_eq!(status_of(&exit, refused).await, ConnectStatus::Refused);
    let silent = silent_target().await;
    let timed_out = Target::Address(silent.address);
    assert_eq!(status_of(&exit, timed_out).await, ConnectStatus::TimedOut);
}

#[tokio::test]
async fn a_name_reaches_only_addresses_inside_the_routes() {
    let port = echo_server().await.port();
    let dns = name_server(&[
        ("in.corp.example", "127.0.0.1"),
        ("mixed.corp.example", "192.0.2.1"),
        ("mixed.corp.example", "127.0.0.1"),
        ("out.corp.example", "192.0.2.1"),
        ("other.example", "127.0.0.1"),
    ])
    .await;
    let exit = exit(&config(&["127.0.0.0/8"], &["*.corp.example"], vec![dns]));
    for (name, expected) in [
        ("in.corp.example", ConnectStatus::Connected),
        ("mixed.corp.example", ConnectStatus::Connected),
        ("out.corp.example", ConnectStatus::NotAllowed),
        ("none.corp.example", ConnectStatus::NameNotFound),
        ("other.example", ConnectStatus::NotAllowed),
        ("broken.corp.example", ConnectStatus::HostUnreachable),
    ] {
        let status = status_of(&exit, Target::Domain(name.to_owned(), port)).await;
        assert_eq!(status, expected, "{name}");
    }
}

#[tokio::test]
async fn names_resolve_in_both_families_within_the_time_limit() {
    let dns = name_server(&[
        ("both.example", "10.0.0.1"),
        ("both.example", "2001:db8::1"),
    ])
    .await;
    let mut quick = config(&[], &[], vec![dns]);
    quick.dns.timeout = Duration::from_millis(400);
    let exit = exit(&quick);
    let mut found = exit.resolve_whole(INGRESS, "both.example").await.unwrap();
    found.sort();
    let expected: Vec<std::net::IpAddr> =
        vec!["10.0.0.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(found, expected);
    assert!(
        exit.resolve_whole(INGRESS, "none.example")
            .await
            .unwrap()
            .is_empty()
    );
    let silent = timeout(PATIENCE, exit.resolve_whole(INGRESS, "silent.example")).await;
    assert!(matches!(
        silent.unwrap(),
        Err(ResolveError::TimedOut { .. })
    ));
}

#[tokio::test]
async fn queries_over_the_limit_are_refused_at_once() {
    let dns = name_server(&[]).await;
    let limits = config::Limits {
        dns_queries: 1,
        ..config::Limits::default()
    };
    let exit = Exit::new(
        &config(&[], &[], vec![dns]),
        &limits,
        OwnListeners::default(),
        StreamTable::new(),
        Journal::default(),
    );
    let hanging = tokio::spawn({
        let exit = exit.clone();
        async move { exit.resolve_whole(INGRESS, "silent.example").await }
    });
    tokio::task::yield_now().await;
    let refused = exit.resolve_whole(INGRESS, "other.example").await;
    assert!(matches!(refused, Err(ResolveError::Busy { .. })));
    hanging.abort();
}

#[tokio::test]
async fn one_ingress_leaves_the_others_connections_and_queries() {
    let dns = name_server(&[]).await;
    let limits = config::Limits {
        exit_connections: 9,
        dns_queries: 9,
        ..config::Limits::default()
    };
    let exit = Exit::new(
        &config(&["127.0.0.0/8"], &[], vec![dns]),
        &limits,
        OwnListeners::default(),
        StreamTable::new(),
        Journal::default(),
    );
    let greedy = serve(&exit).await;
    let target = echo_server().await;
    let request = StreamRequest::Connect(ConnectRequest {
        target: Target::Address(target),
    });
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = ask(&greedy, &request).await;
        assert_eq!(reply(&mut stream).await.status, ConnectStatus::Connected);
        held.push(stream);
    }
    let mut refused = ask(&greedy, &request).await;
    assert_eq!(reply(&mut refused).await.status, ConnectStatus::Internal);
    let other = serve_for(&exit, AgentId([8; 16])).await;
    let mut stream = ask(&other, &request).await;
    assert_eq!(reply(&mut stream).await.status, ConnectStatus::Connected);

    let resolving = |ingress| exit.resolve(ingress, "silent.example", Families::BOTH);
    let names: Vec<_> = std::iter::from_fn(|| resolving(INGRESS).ok()).collect();
    assert_eq!(names.len(), 8);
    assert!(resolving(AgentId([8; 16])).is_ok());
}

#[tokio::test]
async fn a_draining_exit_sends_new_work_elsewhere() {
    let exit = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    exit.drain(true);
    let target = Target::Address(echo_server().await);
    assert_eq!(status_of(&exit, target).await, ConnectStatus::Draining);
    assert!(exit.resolve_whole(INGRESS, "a.example").await.is_err());
    exit.drain(false);
    let target = Target::Address(echo_server().await);
    assert_eq!(status_of(&exit, target).await, ConnectStatus::Connected);
}

const INGRESS: AgentId = AgentId([9; 16]);

async fn serve(exit: &Arc<Exit>) -> Session {
    serve_for(exit, INGRESS).await
}

async fn serve_for(exit: &Arc<Exit>, ingress: AgentId) -> Session {
    let session = session().await;
    let member = Member::with_id(ingress).into();
    tokio::spawn(exit.clone().serve_connection(session.exit.clone(), member));
    session
}

async fn ask(session: &Session, request: &StreamRequest) -> ExitStream {
    let mut stream = session.opening().open().await.unwrap();
    send_message(&mut stream.send, request).await.unwrap();
    stream
}

fn connect_to(address: SocketAddr) -> StreamRequest {
    StreamRequest::Connect(ConnectRequest {
        target: Target::Address(address),
    })
}

async fn reply(stream: &mut ExitStream) -> ConnectReply {
    let reply = receive_message(&mut stream.recv);
    timeout(PATIENCE, reply).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_stream_is_connected_relayed_and_listed() {
    let exit = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    let session = serve(&exit).await;
    let target = echo_server().await;
    let mut stream = ask(&session, &connect_to(target)).await;
    let answer = reply(&mut stream).await;
    assert_eq!(answer.status, ConnectStatus::Connected);
    assert!(answer.bound.unwrap().ip().is_loopback());
    let listed = exit.streams.snapshot();
    assert_eq!(listed[0].target, target.to_string());
    assert_eq!(listed[0].peer, INGRESS);
    stream.send.write_all(b"ping").await.unwrap();
    stream.send.finish().unwrap();
    let echoed = timeout(PATIENCE, stream.recv.read_to_end(16))
        .await
        .unwrap();
    assert_eq!(echoed.unwrap(), b"ping");
    timeout(PATIENCE, exit.streams.emptied()).await.unwrap();
}

#[tokio::test]
async fn a_slow_dial_is_announced_and_dropped_when_the_ingress_leaves() {
    let exit = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    let session = serve(&exit).await;
    let silent = silent_target().await;
    let mut stream = ask(&session, &connect_to(silent.address)).await;
    assert_eq!(reply(&mut stream).await.status, ConnectStatus::Pending);
    drop(stream);
    let mut next = ask(&session, &connect_to(closed_port().await)).await;
    assert_eq!(reply(&mut next).await.status, ConnectStatus::Refused);
}

#[tokio::test]
async fn names_are_resolved_over_a_stream() {
    let dns = name_server(&[("a.example", "10.0.0.1")]).await;
    let exit = exit(&config(&[], &[], vec![dns]));
    let session = serve(&exit).await;
    for (name, addresses, fails) in [
        ("a.example", 1, false),
        ("none.example", 0, false),
        ("broken.example", 0, true),
    ] {
        let name = name.to_owned();
        let request = StreamRequest::Resolve(ResolveRequest { name, useful: None });
        let mut stream = ask(&session, &request).await;
        let answer: ResolveReply = timeout(PATIENCE, receive_message(&mut stream.recv))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer.addresses.len(), addresses);
        assert_eq!(answer.error.is_some(), fails);
    }
}

#[tokio::test]
async fn a_request_that_does_not_decode_ends_its_stream_only() {
    let exit = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    let session = serve(&exit).await;
    for garbage in [&b"\x00\x00\x00\x02\xff\xff"[..], b"\xff\xff\xff\xff"] {
        let (mut send, mut recv) = session.ingress.open_bi().await.unwrap();
        send.write_all(garbage).await.unwrap();
        let ended = timeout(PATIENCE, recv.read_to_end(16)).await.unwrap();
        assert!(ended.is_err());
    }
    assert_eq!(exit.metrics.bad_requests.get(), 2);
    let mut next = ask(&session, &connect_to(echo_server().await)).await;
    assert_eq!(reply(&mut next).await.status, ConnectStatus::Connected);
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_reset() {
    let limits = config::Limits {
        handshake_timeout: Duration::from_millis(30),
        ..config::Limits::default()
    };
    let exit = Exit::new(
        &config(&[], &[], vec![]),
        &limits,
        OwnListeners::default(),
        StreamTable::new(),
        Journal::default(),
    );
    let session = serve(&exit).await;
    let (mut send, mut recv) = session.ingress.open_bi().await.unwrap();
    send.write_all(&[0]).await.unwrap();
    let ended = timeout(PATIENCE, recv.read_to_end(16)).await.unwrap();
    assert!(ended.is_err());
}

/// An ingress that died without a word and came back, among others that stayed.
#[tokio::test]
async fn a_new_session_of_an_ingress_ends_its_earlier_one_and_no_other() {
    let exit = exit(&config(&["127.0.0.0/8"], &[], vec![]));
    let address = echo_server().await;
    let other = serve_for(&exit, AgentId([8; 16])).await;
    let mut others = ask(&other, &connect_to(address)).await;
    assert_eq!(reply(&mut others).await.status, ConnectStatus::Connected);
    let earlier = serve(&exit).await;
    let mut stream = ask(&earlier, &connect_to(address)).await;
    assert_eq!(reply(&mut stream).await.status, ConnectStatus::Connected);

    let later = serve(&exit).await;
    timeout(PATIENCE, earlier.ingress.closed()).await.unwrap();
    let mut next = ask(&later, &connect_to(address)).await;
    assert_eq!(reply(&mut next).await.status, ConnectStatus::Connected);
    assert!(other.exit.close_reason().is_none());
    let peers = || {
        exit.streams
            .snapshot()
            .into_iter()
            .map(|stream| stream.peer)
    };
    assert_eq!(peers().filter(|peer| *peer == AgentId([8; 16])).count(), 1);

    // What the earlier session leaves behind must not take the later one's place.
    let last = serve(&exit).await;
    timeout(PATIENCE, later.ingress.closed()).await.unwrap();
    assert!(last.exit.close_reason().is_none());
}

/// RFC 8305, 3: today's AAAA must not keep the A of a moment later out.
#[tokio::test]
async fn a_family_that_comes_late_is_dialled_whichever_it_is() {
    let target = echo_server().await;
    let routes = ["127.0.0.0/8", "::1/128", "2001:db8::/32"];
    for (aaaa, a) in [
        (
            ips(&["2001:db8::1", "::1"]),
            after(300, ips(&["127.0.0.1"])),
        ),
        (after(10, ips(&["::1"])), after(300, ips(&["127.0.0.1"]))),
        (Act::Silence, ips(&["127.0.0.1"])),
        (
            Act::Code(ResponseCode::ServFail),
            after(100, ips(&["127.0.0.1"])),
        ),
    ] {
        let said = format!("{aaaa:?}, {a:?}");
        let dns = Scripted::start(move |seen| if seen.is_v6 { aaaa.clone() } else { a.clone() });
        let exit = exit(&config(&routes, &["*.example"], vec![dns.await.address]));
        let name = Target::Domain("late.example.".to_owned(), target.port());
        assert_eq!(
            status_of(&exit, name).await,
            ConnectStatus::Connected,
            "{said}"
        );
    }
}
