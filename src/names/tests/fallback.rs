//! One bad server is not the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::ResponseCode::{self, FormErr, NotAuth, NotImp, Refused, ServFail};

use super::*;

const GOOD: &str = "192.0.2.1";

async fn good() -> Scripted {
    Scripted::start(|_| ips(&[GOOD])).await
}

#[tokio::test]
async fn a_server_that_fails_leads_to_the_next_in_either_order() {
    let codes: [ResponseCode; 5] = [ServFail, Refused, NotImp, FormErr, NotAuth];
    let mut bad: Vec<Act> = codes.map(Act::Code).to_vec();
    bad.extend(codes.map(Act::BareCode));
    bad.push(Act::Lame);
    for act in bad {
        let said = format!("{act:?}");
        let bad = Scripted::start(move |_| act.clone()).await;
        let good = good().await;
        let started = clock::now();
        for servers in [[&bad, &good], [&good, &bad]] {
            let found = ask(&resolver(&servers), "a.example").await;
            assert_eq!(found.unwrap(), [GOOD], "{said}");
        }
        // Nobody waited for what was said at once.
        assert!(clock::since(started) < Duration::from_millis(400), "{said}");
    }
}

#[tokio::test]
async fn a_silent_server_and_one_that_talks_nonsense_cost_half_a_second_once() {
    for act in [Act::Silence, Act::Garbage, Act::WrongId, Act::WrongQuestion] {
        let said = format!("{act:?}");
        let bad = Scripted::start(move |_| act.clone()).await;
        let good = good().await;
        let resolver = resolver(&[&bad, &good]);
        let started = clock::now();
        assert_eq!(ask(&resolver, "a.example").await.unwrap(), [GOOD], "{said}");
        let first = clock::since(started);
        assert!(first < Duration::from_millis(1_500), "{said}: {first:?}");
        let started = clock::now();
        assert_eq!(ask(&resolver, "b.example").await.unwrap(), [GOOD], "{said}");
        let second = clock::since(started);
        assert!(second < Duration::from_millis(400), "{said}: {second:?}");
    }
}

#[tokio::test]
async fn a_closed_port_costs_nothing() {
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let good = good().await;
    let resolver = Resolver::of_servers(&[address, good.address], PATIENCE);
    let started = clock::now();
    assert_eq!(ask(&resolver, "a.example").await.unwrap(), [GOOD]);
    assert!(clock::since(started) < Duration::from_millis(400));
}

#[tokio::test]
async fn no_such_name_and_no_such_record_are_answers() {
    let good = good().await;
    for act in [Act::NoName, Act::Addresses(Vec::new())] {
        let first = Scripted::start(move |_| act.clone()).await;
        let found = ask(&resolver(&[&first, &good]), "a.example").await;
        assert!(found.unwrap().is_empty());
    }
    assert!(good.seen().is_empty(), "the second server was asked");
}

#[tokio::test]
async fn many_who_ask_for_one_name_cost_its_families_a_query_each() {
    for act in [ips(&[GOOD]), Act::NoName, Act::Code(ServFail)] {
        let (slow, said) = (after(50, act.clone()), format!("{act:?}"));
        let server = Scripted::start(move |_| slow.clone()).await;
        let resolver = resolver(&[&server]);
        let crowd = (0..50).map(|_| ask(&resolver, "a.example"));
        let answers = futures_util::future::join_all(crowd).await;
        assert!(
            answers
                .windows(2)
                .all(|two| two[0].is_ok() == two[1].is_ok())
        );
        assert_eq!(server.seen().len(), 2, "{said}: {:?}", server.seen());
    }
}

/// Whoever asked first has less time left, and may leave before it is over.
#[tokio::test]
async fn who_came_later_does_not_fail_with_who_asked_first() {
    for leaves in [false, true] {
        let answers = Arc::new(AtomicBool::new(false));
        let own = answers.clone();
        let server = Scripted::start(move |_| match own.load(Ordering::SeqCst) {
            true => ips(&[GOOD]),
            false => Act::Silence,
        })
        .await;
        let resolver = Resolver::of_servers(&[server.address], Duration::from_secs(1));
        let mut first = Box::pin(ask(&resolver, "a.example"));
        let half = tokio::time::sleep(Duration::from_millis(500));
        tokio::select! {
            _ = &mut first => panic!("nobody answers yet"),
            () = half => {}
        }
        let second = ask(&resolver, "a.example");
        let rest = async {
            if !leaves {
                first.await.unwrap_err();
            }
            answers.store(true, Ordering::SeqCst);
        };
        let (found, ()) = tokio::join!(second, rest);
        assert_eq!(found.unwrap(), [GOOD], "the first one leaves: {leaves}");
    }
}

#[tokio::test]
async fn what_all_servers_fail_at_has_failed_at_once() {
    let one = Scripted::start(|_| Act::Code(ServFail)).await;
    let two = Scripted::start(|_| Act::Code(Refused)).await;
    let started = clock::now();
    let failed = ask(&resolver(&[&one, &two]), "a.example").await;
    assert!(
        matches!(failed, Err(LookupError::Failed { .. })),
        "{failed:?}"
    );
    assert!(clock::since(started) < Duration::from_millis(400));
}

#[tokio::test]
async fn silence_everywhere_takes_the_time_that_there_is() {
    let silent = Scripted::start(|_| Act::Silence).await;
    let time = Duration::from_millis(200);
    let resolver = Resolver::of_servers(&[silent.address], time);
    let failed = ask(&resolver, "a.example").await;
    assert!(matches!(failed, Err(LookupError::TimedOut { .. })));
    assert!(silent.seen().len() > 2, "asked again");
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without() {
    for refusal in [
        Act::Code(FormErr),
        Act::BareCode(FormErr),
        Act::Code(NotImp),
        Act::Code(ResponseCode::BADVERS),
        Act::Silence,
    ] {
        let said = format!("{refusal:?}");
        let is_silent = matches!(refusal, Act::Silence);
        let old = Scripted::start(move |seen| {
            if seen.edns {
                refusal.clone()
            } else {
                ips(&[GOOD])
            }
        })
        .await;
        let resolver = resolver(&[&old]);
        assert_eq!(ask(&resolver, "a.example").await.unwrap(), [GOOD], "{said}");
        if !is_silent {
            let before = old.seen().len();
            ask(&resolver, "b.example").await.unwrap();
            let mut after = old.seen().into_iter().skip(before);
            assert!(after.all(|seen| !seen.edns), "{said} is remembered");
        }
    }
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let many: Vec<IpAddr> = (0..200).map(|n| [192, 0, 2, n].into()).collect();
    let expected = many.len();
    let server = Scripted::start(move |seen| {
        if seen.tcp {
            Act::Addresses(many.clone())
        } else {
            Act::Truncated
        }
    })
    .await;
    let found = ask(&resolver(&[&server]), "a.example").await.unwrap();
    assert_eq!(found.len(), expected);
    // Truncated over TCP as well: that server has no answer.
    let broken = Scripted::start(|_| Act::Truncated).await;
    let good = good().await;
    let found = ask(&resolver(&[&broken, &good]), "a.example").await;
    assert_eq!(found.unwrap(), [GOOD]);
}

#[tokio::test]
async fn an_alias_is_followed_and_a_circle_is_not() {
    let server = Scripted::start(|seen| match seen.name.as_str() {
        "a.example" => Act::Alias("b.example"),
        "b.example" => Act::Alias("_c.example"),
        "_c.example" => ips(&[GOOD]),
        _ => Act::Alias("round.example"),
    })
    .await;
    let resolver = resolver(&[&server]);
    assert_eq!(ask(&resolver, "a.example").await.unwrap(), [GOOD]);
    assert!(ask(&resolver, "round.example").await.unwrap().is_empty());
}

#[tokio::test]
async fn odd_labels_are_asked_for_and_answers_are_kept() {
    let server = Scripted::start(|_| ips(&[GOOD, "2001:db8::1"])).await;
    let resolver = resolver(&[&server]);
    for name in ["_srv._tcp.a-.example", "-x.example", "a_b.example.", "X.y"] {
        let found = ask(&resolver, name).await.unwrap();
        assert_eq!(found, [GOOD, "2001:db8::1"], "{name}");
    }
    let before = server.seen().len();
    ask(&resolver, "x.Y.").await.unwrap();
    assert_eq!(server.seen().len(), before, "kept, whatever the case");
    assert!(ask(&resolver, "a b.example").await.unwrap().is_empty());
    for special in ["localhost", "app.localhost."] {
        assert_eq!(
            ask(&resolver, special).await.unwrap(),
            ["127.0.0.1", "::1"],
            "{special}"
        );
    }
    assert!(ask(&resolver, "x.invalid").await.unwrap().is_empty());
    assert_eq!(ask(&resolver, "10.0.0.1.").await.unwrap(), ["10.0.0.1"]);
    assert_eq!(server.seen().len(), before);
}
