//! Requests whose destination had a route lately.

use super::*;
use crate::clock;
use crate::tunnel::reset_on_drop;
use crate::tunnel::testing::PATIENCE;

const NO_ROUTE: u8 = 3;

fn loopback() -> Prefixes {
    vec![("127.0.0.0/8".parse().unwrap(), vec![FIRST])]
}

/// An exit that is in reach, and no route to it yet.
async fn bed(had: bool, route_wait: Duration) -> Bed {
    let mut bed = Bed::with_loopback_exit().await;
    bed.table.prefixes.clear();
    bed.table.had = had;
    bed.config.route_wait = route_wait;
    bed
}

/// Waits until so many requests wait for a change of routes.
async fn are_waiting(running: &Running, count: usize) {
    while running.ingress.routes.changed.receiver_count() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_waits_for_a_route_that_was_there_lately() {
    let running = bed(true, PATIENCE).await.start().await;
    let target = testing::echo_server().await;
    let coming = async {
        are_waiting(&running, 1).await;
        let routes = &running.ingress.routes.changed;
        routes.send_replace(Some(loopback()));
    };
    let ((code, _), ()) = tokio::join!(running.ask(target), coming);
    assert_eq!(code, 0);
    assert_eq!(running.ingress.metrics().waits("found"), 1);
}

#[tokio::test]
async fn it_is_refused_when_the_time_is_over_and_at_once_if_there_never_was_a_route() {
    let wait = Duration::from_millis(100);
    for (had, waits, in_vain) in [
        (true, wait, 1),
        (true, Duration::ZERO, 0),
        (false, PATIENCE, 0),
    ] {
        let running = bed(had, waits).await.start().await;
        let begun = clock::now();
        assert_eq!(running.ask(testing::echo_server().await).await.0, NO_ROUTE);
        let took = clock::since(begun);
        assert!(in_vain == 0 || took >= wait, "{took:?}");
        assert_eq!(running.ingress.metrics().waits("in_vain"), in_vain);
    }
}

/// Whoever else resolves might know another host by that name.
#[tokio::test]
async fn a_name_under_a_lost_domain_route_is_asked_of_nobody_else() {
    let dns = testing::name_server(&[("web.corp.example", "127.0.0.1")]).await;
    let mut bed = bed(true, Duration::from_millis(100)).await;
    bed.exit(SECOND, &testing::config(&[], &[], vec![dns]))
        .await;
    bed.table.resolvers = vec![SECOND];
    bed.table.prefixes = loopback();
    let running = bed.start().await;
    let port = testing::echo_server().await.port();
    assert_eq!(running.ask_name("web.corp.example", port).await.0, NO_ROUTE);
    assert_eq!(asked(&running), HashMap::new());
}

/// The domain route comes while the request waits for a resolver.
#[tokio::test]
async fn a_name_that_becomes_somebodys_while_it_waits_is_asked_of_nobody_else() {
    let dns = testing::name_server(&[
        ("web.corp.example", "127.0.0.1"),
        ("web.example", "127.0.0.1"),
    ]);
    let dns = dns.await;
    let mut bed = bed(false, PATIENCE).await;
    bed.exit(SECOND, &testing::config(&[], &[], vec![dns]))
        .await;
    bed.table.resolvers = vec![SECOND];
    bed.table.prefixes = loopback();
    bed.table.restarting = Some("*.corp.example".parse().unwrap());
    let running = bed.start().await;
    let port = testing::echo_server().await.port();
    let coming = async {
        are_waiting(&running, 2).await;
        let routes = &running.ingress.routes.changed;
        routes.send_replace(Some(loopback()));
    };
    let (owned, other, ()) = tokio::join!(
        running.ask_name("web.corp.example", port),
        running.ask_name("web.example", port),
        coming
    );
    assert_eq!((owned.0, other.0), (NO_ROUTE, 0));
    let asked = asked(&running);
    assert_eq!((asked[&SECOND], asked[&FIRST]), (1, 1));
}

#[tokio::test]
async fn requests_that_wait_are_bounded_and_those_whose_client_is_gone_are_none() {
    let mut bed = bed(true, PATIENCE).await;
    bed.limits.waiting_requests = 2;
    let running = bed.start().await;
    let target = testing::echo_server().await;
    let request = clients::request_address(1, target);
    let mut waiting = Vec::new();
    for count in 1..=2 {
        let mut client = running.greeted().await;
        client.send(&request).await;
        are_waiting(&running, count).await;
        waiting.push(client);
    }
    assert_eq!(running.ask(target).await.0, NO_ROUTE);
    assert_eq!(running.ingress.metrics().waits("no_room"), 1);

    let hasty = waiting.pop().unwrap();
    reset_on_drop(&hasty.tcp);
    drop(hasty);
    are_waiting(&running, 1).await;
    assert_eq!(running.ingress.metrics().connects("client_gone"), 1);
    let coming = async {
        are_waiting(&running, 2).await;
        let routes = &running.ingress.routes.changed;
        routes.send_replace(Some(loopback()));
    };
    let ((code, _), ()) = tokio::join!(running.ask(target), coming);
    assert_eq!((code, waiting.pop().unwrap().reply().await.0), (0, 0));
}
