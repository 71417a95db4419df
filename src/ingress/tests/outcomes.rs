//! Where a request ends up: exits, names, retries, and the reply code of every outcome.

use std::io;

use tokio::io::AsyncReadExt;

use super::*;
use crate::names::testing::{Act, Scripted, after, ips};
use crate::tunnel::reset_on_drop;

#[tokio::test]
async fn without_a_route_nothing_is_dialled_and_no_name_is_asked_for() {
    let running = Bed::new().start().await;
    let target = testing::echo_server().await;
    assert_eq!(running.ask(target).await.0, 3);
    assert_eq!(running.ask_name("localhost", target.port()).await.0, 3);
    assert!(asked(&running).is_empty());
    assert_eq!(running.ingress.metrics().connects("no_route"), 2);
}

#[tokio::test]
async fn a_refusal_is_the_answer_and_no_other_exit_is_asked() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.table.prefixes[0].1.push(SECOND);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::closed_port().await).await.0, 5);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1)]));
}

#[tokio::test]
async fn an_address_outside_the_exits_routes_is_not_allowed() {
    let mut bed = Bed::new();
    let config = testing::config(&["10.0.0.0/8"], &[], vec![]);
    bed.exit(FIRST, &config).await;
    bed.route("127.0.0.0/8", &[FIRST]);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 2);
}

#[tokio::test]
async fn a_target_that_times_out_is_tried_through_the_next_exit() {
    let mut bed = Bed::new();
    let mut config = testing::config(&["127.0.0.0/8"], &[], vec![]);
    config.connect_timeout = Duration::from_millis(600);
    bed.exit(FIRST, &config).await;
    bed.exit(SECOND, &config).await;
    bed.route("127.0.0.0/8", &[FIRST, SECOND]);
    let running = bed.start().await;
    let silent = testing::silent_target().await;
    // Longer than one attempt may stay silent: the exits say that they are dialling.
    assert_eq!(running.ask(silent.address).await.0, 6);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1), (SECOND, 1)]));
    assert_eq!(running.ingress.metrics().retries.get(), 1);
}

#[tokio::test]
async fn an_exit_that_cannot_be_reached_is_passed_over() {
    for silent in [false, true] {
        let mut bed = Bed::with_loopback_exit().await;
        bed.table.prefixes[0].1.insert(0, SECOND);
        if silent {
            bed.sessions.silent.push(SECOND);
        }
        let running = bed.start().await;
        let (code, mut client) = running.ask(testing::echo_server().await).await;
        assert_eq!(code, 0);
        assert!(client.echoes().await);
        assert_eq!(running.ingress.metrics().retries.get(), 1);
        assert_eq!(running.ingress.streams.open_through(FIRST), 1);
    }
}

/// The session is up, but nobody answers on it: a frozen exit.
#[tokio::test]
async fn an_exit_that_takes_streams_and_says_nothing_is_passed_over() {
    let mut bed = Bed::with_loopback_exit().await;
    let frozen = session().await;
    bed.sessions.live.insert(SECOND, frozen.opening().clone());
    bed.table.prefixes[0].1.insert(0, SECOND);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 0);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1), (SECOND, 1)]));
}

#[tokio::test]
async fn a_draining_exit_is_passed_over() {
    let mut bed = Bed::with_loopback_exit().await;
    let config = testing::config(&["127.0.0.0/8"], &[], vec![]);
    bed.exit(SECOND, &config).await.drain(true);
    bed.table.prefixes[0].1.insert(0, SECOND);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 0);
}

#[tokio::test]
async fn when_every_exit_is_unreachable_the_network_is() {
    let mut bed = Bed::new();
    bed.route("127.0.0.0/8", &[FIRST, SECOND]);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 3);
    // They are still in the routes afterwards, so each gets a second chance.
    assert_eq!(asked(&running), HashMap::from([(FIRST, 2), (SECOND, 2)]));
}

#[tokio::test]
async fn a_domain_route_names_the_exit_which_resolves() {
    let port = testing::echo_server().await.port();
    let dns = testing::name_server(&[
        ("db.corp.example", "127.0.0.1"),
        ("outside.corp.example", "192.0.2.1"),
    ])
    .await;
    let mut bed = Bed::new();
    let config = testing::config(&["127.0.0.0/8"], &["*.corp.example"], vec![dns]);
    bed.exit(FIRST, &config).await;
    bed.domain("*.corp.example", &[FIRST]);
    let running = bed.start().await;
    let (code, mut client) = running.ask_name("DB.Corp.Example.", port).await;
    assert_eq!(code, 0);
    assert!(client.echoes().await);
    assert_eq!(running.ask_name("none.corp.example", port).await.0, 4);
    assert_eq!(running.ask_name("outside.corp.example", port).await.0, 2);
    assert_eq!(running.ask_name("elsewhere.example", port).await.0, 3);
}

#[tokio::test]
async fn other_names_are_resolved_through_the_mesh_and_matched_against_prefixes() {
    let port = testing::echo_server().await.port();
    let dns = testing::name_server(&[
        ("web.example", "127.0.0.1"),
        ("web.example", "2001:db8::1"),
        ("far.example", "192.0.2.1"),
    ])
    .await;
    let mut bed = Bed::with_loopback_exit().await;
    let resolver = testing::config(&[], &[], vec![dns]);
    bed.exit(SECOND, &resolver).await;
    bed.table.resolvers = vec![SECOND];
    let running = bed.start().await;
    let (code, mut client) = running.ask_name("web.example", port).await;
    assert_eq!(code, 0);
    assert!(client.echoes().await);
    assert_eq!(running.ask_name("far.example", port).await.0, 3);
    assert_eq!(running.ask_name("none.example", port).await.0, 4);
    assert_eq!(running.ask_name("broken.example", port).await.0, 4);
}

/// Only IPv4 is routed: the answer that decides comes long after the other one.
#[tokio::test]
async fn a_family_that_comes_late_from_a_resolver_takes_part() {
    let port = testing::echo_server().await.port();
    let dns = Scripted::start(|seen| match (seen.name.as_str(), seen.is_v6) {
        ("a.example", true) => ips(&["2001:db8::1"]),
        ("b.example", true) => Act::Silence,
        ("c.example", true) => after(300, ips(&["2001:db8::1"])),
        ("c.example", false) => ips(&["127.0.0.1"]),
        _ => after(300, ips(&["127.0.0.1"])),
    });
    let mut bed = Bed::with_loopback_exit().await;
    let resolver = testing::config(&[], &[], vec![dns.await.address]);
    bed.exit(SECOND, &resolver).await;
    bed.table.resolvers = vec![SECOND];
    let running = bed.start().await;
    for name in ["a.example", "b.example.", "c.example"] {
        let (code, mut client) = running.ask_name(name, port).await;
        assert_eq!(code, 0, "{name}");
        assert!(client.echoes().await);
    }
}

/// The exits' own time for a target would be over much later.
#[tokio::test]
async fn an_address_that_hangs_delays_the_next_by_a_moment() {
    let silent = testing::silent_target().await;
    let port = silent.address.port();
    // Alive, at the same port of another address.
    testing::echo_server_at((Ipv4Addr::new(127, 0, 0, 2), port).into()).await;
    let dns = Scripted::start(|seen| match (seen.name.as_str(), seen.is_v6) {
        ("first.example", false) => ips(&["127.0.0.1", "127.0.0.2"]),
        ("second.example", false) => ips(&["127.0.0.2", "127.0.0.1"]),
        // The family that hangs comes first, the other one while it is tried.
        ("late.example", true) => ips(&["::ffff:127.0.0.1"]),
        ("late.example", false) => after(300, ips(&["127.0.0.2"])),
        _ => ips(&[]),
    });
    let mut bed = Bed::new();
    let mut config = testing::config(&["127.0.0.0/8"], &[], vec![dns.await.address]);
    config.connect_timeout = Duration::from_secs(100);
    bed.exit(FIRST, &config).await;
    bed.route("127.0.0.0/8", &[FIRST]);
    bed.table.resolvers = vec![FIRST];
    let running = bed.start().await;
    for name in ["first.example", "second.example", "late.example"] {
        let started = crate::clock::now();
        let (code, mut client) = running.ask_name(name, port).await;
        assert_eq!(code, 0, "{name}");
        assert!(client.echoes().await);
        let took = crate::clock::since(started);
        assert!(took < Duration::from_secs(30), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn a_resolver_that_fails_is_followed_by_the_next() {
    let port = testing::echo_server().await.port();
    let empty = testing::name_server(&[]).await;
    let full = testing::name_server(&[
        ("silent.example", "192.0.2.1"),
        ("web.example", "127.0.0.1"),
    ]);
    let full = full.await;
    let gone = AgentId([7; 16]);
    let mut bed = Bed::with_loopback_exit().await;
    bed.exit(SECOND, &testing::config(&[], &[], vec![empty]))
        .await;
    let third = AgentId([4; 16]);
    bed.exit(third, &testing::config(&[], &[], vec![full]))
        .await;
    bed.table.resolvers = vec![gone, SECOND, third];
    let running = bed.start().await;
    assert_eq!(running.ask_name("web.example", port).await.0, 0);
    let asked = asked(&running);
    assert_eq!((asked[&gone], asked[&SECOND], asked[&third]), (1, 1, 1));
}

#[tokio::test]
async fn a_name_without_a_live_resolver_has_no_route() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.table.resolvers = vec![SECOND];
    let running = bed.start().await;
    assert_eq!(running.ask_name("web.example", 80).await.0, 3);
}

#[tokio::test]
async fn an_agents_own_exit_serves_its_own_clients() {
    let mut bed = Bed::new();
    let config = testing::config(&["127.0.0.0/8"], &[], vec![]);
    let exit = testing::exit(&config);
    let member = watch::channel(Member::with_id(OWN).into()).1;
    bed.own = Some(OwnExit { member, exit });
    bed.route("127.0.0.0/8", &[OWN]);
    bed.route("10.0.0.0/8", &[OWN]);
    let running = bed.start().await;
    let (code, mut client) = running.ask(testing::echo_server().await).await;
    assert_eq!(code, 0);
    assert!(client.echoes().await);
    let listed = running.ingress.streams.snapshot();
    assert_eq!((listed[0].bytes_up, listed[0].bytes_down), (13, 13));
    assert_eq!(running.ask(testing::closed_port().await).await.0, 5);
    assert_eq!(running.ask("10.0.0.1:80".parse().unwrap()).await.0, 2);
    assert!(asked(&running).is_empty());
}

#[tokio::test]
async fn a_reset_passes_from_end_to_end_through_any_exit() {
    for own in [false, true] {
        let mut bed = Bed::with_loopback_exit().await;
        if own {
            let config = testing::config(&["127.0.0.0/8"], &[], vec![]);
            let exit = testing::exit(&config);
            let member = watch::channel(Member::with_id(FIRST).into()).1;
            bed.own = Some(OwnExit { member, exit });
        }
        let running = bed.start().await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = listener.local_addr().unwrap();
        for client_resets in [false, true] {
            let (code, client) = running.ask(target).await;
            assert_eq!(code, 0);
            let (served, _) = listener.accept().await.unwrap();
            let (gone, mut left) = if client_resets {
                (client.tcp, served)
            } else {
                (served, client.tcp)
            };
            reset_on_drop(&gone);
            drop(gone);
            let error = left.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    }
}

/// Every status and failure is refused as the contract says.
#[test]
fn refusals_say_what_happened() {
    use crate::tunnel::OpenError;
    use crate::wire::ConnectStatus;

    let name = || "web.example:80".to_owned();
    for (error, refusal) in [
        (ConnectError::NoRoute(name()), Refusal::NoRoute),
        (ConnectError::NotFound(name()), Refusal::HostUnreachable),
        (ConnectError::NotResolved(name()), Refusal::HostUnreachable),
        (ConnectError::TimedOut(name()), Refusal::TimedOut),
        (
            ConnectError::Mesh(OpenError::NoPath(FIRST)),
            Refusal::NoRoute,
        ),
        (
            ConnectError::Mesh(OpenError::TimedOut { exit: FIRST }),
            Refusal::NoRoute,
        ),
    ] {
        assert_eq!(error.refusal(), refusal, "{error}");
    }
    for (status, refusal) in [
        (ConnectStatus::Internal, Refusal::Internal),
        (ConnectStatus::NotAllowed, Refusal::NotAllowed),
        (ConnectStatus::NetworkUnreachable, Refusal::NoRoute),
        (ConnectStatus::Draining, Refusal::NoRoute),
        (ConnectStatus::HostUnreachable, Refusal::HostUnreachable),
        (ConnectStatus::NameNotFound, Refusal::HostUnreachable),
        (ConnectStatus::Refused, Refusal::Refused),
        (ConnectStatus::TimedOut, Refusal::TimedOut),
    ] {
        let error = ConnectError::Exit {
            exit: FIRST,
            status,
            detail: String::new(),
        };
        assert_eq!(error.refusal(), refusal, "{error}");
    }
}

#[tokio::test]
async fn a_panic_ends_one_client_and_gives_its_place_back() {
    let mut bed = Bed::with_loopback_exit().await;
    bed.config.max_connections = 1;
    let running = bed.start().await;
    let mut client = running.greeted().await;
    let broken = SocketAddr::new(BROKEN, 80);
    client.send(&clients::request_address(1, broken)).await;
    assert_eq!(client.rest().await.unwrap_or_default(), b"");
    let (code, mut client) = running.ask(testing::echo_server().await).await;
    assert_eq!(code, 0);
    assert!(client.echoes().await);
}
