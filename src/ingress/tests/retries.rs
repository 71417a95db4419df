//! Exits that go out of reach while they are asked, and what is tried then.

use super::*;
use crate::tunnel::send_message;
use crate::tunnel::testing::PATIENCE;
use crate::wire::{ConnectReply, ConnectStatus};
use tokio::time::timeout;

/// No attempt of these tests ends because its time is over.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// Waits until `exit` is asked.
async fn is_asked(running: &Running, exit: AgentId) {
    let mut asked = running.sessions.asked.subscribe();
    drop(asked.wait_for(|asked| asked.contains(&exit)).await);
}

/// Cuts every way to `exit` once it is asked.
async fn lose(running: &Running, exit: AgentId) {
    is_asked(running, exit).await;
    running.sessions.lost.send_replace(vec![exit]);
}

fn patient(mut bed: Bed) -> Bed {
    bed.patience.one_of_many = FOR_EVER;
    bed.patience.last = FOR_EVER;
    bed.patience.resolver = FOR_EVER;
    bed
}

#[tokio::test]
async fn an_exit_that_goes_out_of_reach_is_passed_over_at_that_moment() {
    let mut bed = patient(Bed::with_loopback_exit().await);
    bed.sessions.silent.push(SECOND);
    bed.table.prefixes[0].1.insert(0, SECOND);
    let running = bed.start().await;
    let target = testing::echo_server().await;
    let ((code, _), ()) = tokio::join!(running.ask(target), lose(&running, SECOND));
    assert_eq!(code, 0);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1), (SECOND, 1)]));
}

/// It said that it dials, so its own time limit would be the only one.
#[tokio::test]
async fn an_exit_that_goes_out_of_reach_while_it_dials_is_passed_over_too() {
    let mut bed = patient(Bed::with_loopback_exit().await);
    let dialling = session().await;
    bed.sessions.live.insert(SECOND, dialling.opening().clone());
    bed.table.prefixes[0].1.insert(0, SECOND);
    let running = bed.start().await;
    let pending = async {
        let (mut send, _recv) = dialling.exit.accept_bi().await.unwrap();
        let reply = ConnectReply {
            status: ConnectStatus::Pending,
            bound: None,
            detail: String::new(),
        };
        send_message(&mut send, &reply).await.unwrap();
        running.sessions.lost.send_replace(vec![SECOND]);
        send
    };
    let target = testing::echo_server().await;
    let ((code, _), _send) = tokio::join!(running.ask(target), pending);
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_resolver_that_goes_out_of_reach_is_followed_by_the_next() {
    let dns = testing::name_server(&[("web.example", "127.0.0.1")]).await;
    let mut bed = patient(Bed::with_loopback_exit().await);
    let third = AgentId([4; 16]);
    bed.exit(third, &testing::config(&[], &[], vec![dns])).await;
    bed.sessions.silent.push(SECOND);
    bed.table.resolvers = vec![SECOND, third];
    let running = bed.start().await;
    let port = testing::echo_server().await.port();
    let asking = running.ask_name("web.example", port);
    let ((code, _), ()) = tokio::join!(asking, lose(&running, SECOND));
    assert_eq!(code, 0);
}

#[tokio::test]
async fn an_exit_that_turned_up_meanwhile_is_asked_when_all_others_were_lost() {
    let mut bed = patient(Bed::with_loopback_exit().await);
    bed.sessions.silent.push(SECOND);
    bed.table.prefixes[0].1 = vec![SECOND];
    let running = bed.start().await;
    let changing = async {
        is_asked(&running, SECOND).await;
        let now = vec![("127.0.0.0/8".parse().unwrap(), vec![FIRST])];
        running.ingress.routes.changed.send_replace(Some(now));
        running.sessions.lost.send_replace(vec![SECOND]);
    };
    let target = testing::echo_server().await;
    let ((code, _), ()) = tokio::join!(running.ask(target), changing);
    assert_eq!(code, 0);
    assert_eq!(running.ingress.metrics().retries.get(), 1);
}

/// The one way to an exit died, and the mesh is about to tell of another.
#[tokio::test]
async fn a_request_whose_exits_were_lost_waits_for_a_way_back() {
    let mut bed = patient(Bed::with_loopback_exit().await);
    bed.config.route_wait = FOR_EVER;
    bed.sessions.silent.push(SECOND);
    bed.table.prefixes[0].1 = vec![SECOND];
    let running = bed.start().await;
    let routes = &running.ingress.routes.changed;
    let changing = async {
        is_asked(&running, SECOND).await;
        routes.send_replace(Some(Vec::new()));
        running.sessions.lost.send_replace(vec![SECOND]);
        while routes.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        // One that does not help, then one that does.
        let prefix = |text: &str| vec![(text.parse().unwrap(), vec![FIRST])];
        routes.send_replace(Some(prefix("10.0.0.0/8")));
        tokio::task::yield_now().await;
        routes.send_replace(Some(prefix("127.0.0.0/8")));
    };
    let target = testing::echo_server().await;
    let ((code, _), ()) = tokio::join!(running.ask(target), changing);
    assert_eq!(code, 0);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1), (SECOND, 1)]));
}

#[tokio::test]
async fn a_way_that_does_not_come_back_is_waited_for_so_long_only() {
    let mut bed = patient(Bed::new());
    bed.config.route_wait = Duration::from_millis(50);
    bed.sessions.silent.push(SECOND);
    bed.route("127.0.0.0/8", &[SECOND]);
    let running = bed.start().await;
    let changing = async {
        is_asked(&running, SECOND).await;
        let routes = &running.ingress.routes.changed;
        routes.send_replace(Some(Vec::new()));
        running.sessions.lost.send_replace(vec![SECOND]);
    };
    let target = testing::echo_server().await;
    let ((code, _), ()) = tokio::join!(running.ask(target), changing);
    assert_eq!(code, 3);
    assert_eq!(asked(&running), HashMap::from([(SECOND, 1)]));
}

#[tokio::test]
async fn the_only_exit_gets_a_second_chance_if_it_is_in_reach_again_and_no_third() {
    let mut bed = patient(Bed::new());
    // A session that ended, as that of an exit that restarts.
    let ended = session().await;
    ended.exit.close(0_u32.into(), b"");
    timeout(PATIENCE, ended.ingress.closed()).await.unwrap();
    bed.sessions.live.insert(FIRST, ended.opening().clone());
    bed.route("127.0.0.0/8", &[FIRST]);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 3);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 2)]));
}

#[tokio::test]
async fn a_silent_exit_gets_no_second_chance() {
    let mut bed = Bed::new();
    bed.patience.last = Duration::from_millis(50);
    bed.sessions.silent.push(FIRST);
    bed.route("127.0.0.0/8", &[FIRST]);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 6);
    assert_eq!(asked(&running), HashMap::from([(FIRST, 1)]));
}

/// However many exits and addresses there are.
#[tokio::test]
async fn attempts_are_bounded_over_both_rounds() {
    let mut bed = Bed::new();
    let exits: Vec<AgentId> = (10..15).map(|id| AgentId([id; 16])).collect();
    bed.route("127.0.0.0/8", &exits);
    let running = bed.start().await;
    assert_eq!(running.ask(testing::echo_server().await).await.0, 3);
    assert_eq!(asked(&running).values().sum::<usize>(), 8);
}

#[tokio::test]
async fn the_only_resolver_gets_a_second_chance_and_no_third() {
    let mut bed = patient(Bed::new());
    bed.sessions.silent.push(SECOND);
    bed.table.resolvers = vec![SECOND];
    let running = bed.start().await;
    let asking = running.ask_name("web.example", 80);
    let ((code, _), ()) = tokio::join!(asking, lose(&running, SECOND));
    assert_eq!(code, 3);
    assert_eq!(asked(&running), HashMap::from([(SECOND, 2)]));
}
