//! Reconciliation.

use crate::routing::database::testing::*;
use crate::routing::*;
use crate::wire::*;

#[test]
fn digests_summaries_and_requests_move_what_is_lacking() {
    let mut a = pair();
    a.hear(2, flood((9..60).map(|origin| link(stamp(origin, 5, 1)))));
    let mut b = Bench::new(settings(4));
    a.up(4);
    b.up(1);
    let digest = b.messages(1).last().unwrap().clone();
    a.pass(secs(1)).hear(4, digest.clone());
    let summary = a.messages(4).next().unwrap().clone();
    b.hear(1, summary);
    let request = b.messages(1).next().unwrap().clone();
    a.hear(4, request);
    assert!(
        a.floods(4).all(|flood| !flood.certificates.is_empty()),
        "answers enclose them"
    );
    for flood in a.floods(4).cloned().collect::<Vec<_>>() {
        b.hear(1, ControlMessage::Flood(flood));
    }
    assert!((9..60).all(|origin| known(&b, origin)));
    a.hear(4, digest);
    assert_eq!(a.core.counters().dropped(MessageDrop::SyncRate), 1);
    a.hear(
        4,
        ControlMessage::Digest(Digest {
            buckets: vec![1],
            reach: vec![].into(),
        }),
    );
    assert_eq!(a.core.counters().dropped(MessageDrop::Malformed), 1);
    a.pass(secs(30));
    assert!(
        a.messages(4)
            .any(|message| matches!(message, ControlMessage::Digest(_)))
    );
}

#[test]
fn messages_stay_below_half_the_limit() {
    let mut small = settings(1);
    small.limits.control_message = 4_096;
    let mut a = Bench::new(small);
    a.up(2)
        .up(3)
        .hear(2, flood((9..200).map(|origin| link(stamp(origin, 5, 1)))));
    assert!(a.floods(3).count() > 5);
    let zero = Digest {
        buckets: vec![0; 256],
        reach: vec![ENOUGH_REACH; 256].into(),
    };
    a.pass(secs(1)).hear(3, ControlMessage::Digest(zero));
    let summaries: Vec<_> = a.messages(3).cloned().collect();
    assert!(summaries.len() > 3);
    for message in summaries.iter().chain(a.messages(3)) {
        assert!(message.wire_bytes() <= 2_048 + 32);
    }
}

#[test]
fn who_may_ask_for_little_asks_for_a_part_and_again_soon() {
    let mut slow = settings(1);
    slow.limits.signatures_per_second = 40;
    let mut bench = Bench::new(slow);
    bench.up(2);
    let objects: Vec<ObjectKey> = (9..60)
        .map(|origin| signed(link(stamp(origin, 5, 1))).key().unwrap())
        .collect();
    let reach = vec![3; objects.len()].into();
    bench.hear(
        2,
        ControlMessage::BucketSummary(BucketSummary { objects, reach }),
    );
    let asked: Vec<_> = bench.messages(2).cloned().collect();
    let [ControlMessage::Request(request)] = &asked[..] else {
        panic!("one request")
    };
    assert_eq!(request.objects.len(), 10);
    bench.pass(secs(1));
    assert!(
        bench
            .messages(2)
            .any(|message| matches!(message, ControlMessage::Digest(_)))
    );
}

/// What waits for a neighbour that does not listen is bounded by what it is asked for.
#[test]
fn who_offers_again_and_again_is_asked_at_a_rate() {
    let mut slow = settings(1);
    slow.limits.signatures_per_second = 40;
    let mut bench = Bench::new(slow);
    bench.up(2);
    let offer = |epoch| {
        let objects: Vec<ObjectKey> = (9..60)
            .map(|origin| signed(link(stamp(origin, epoch, 1))).key().unwrap())
            .collect();
        let reach = vec![3; objects.len()].into();
        ControlMessage::BucketSummary(BucketSummary { objects, reach })
    };
    let objects = |message: &ControlMessage| {
        let ControlMessage::Request(request) = message else {
            return 0;
        };
        request.objects.len()
    };
    let mut asked = 0;
    for epoch in 1..100 {
        bench.hear(2, offer(epoch));
        asked += bench.messages(2).map(objects).sum::<usize>();
    }
    assert_eq!(asked, 20);
}

/// A restarted agent lost its epoch twice, and moved past its first process both times: the second
/// and the third process issued in one epoch.
#[test]
fn what_others_keep_instead_of_our_word_is_asked_for() {
    let mut bench = pair();
    let own = bench.core.link_adv(id(1)).unwrap().stamp.clone();
    let mut asks_for = |kind, sequence, check| {
        let version = Version {
            epoch: own.epoch,
            sequence,
            check,
        };
        let key = ObjectKey {
            origin: id(1),
            kind,
            fragment: 0,
            version,
        };
        let summary = BucketSummary {
            objects: vec![key],
            reach: vec![3].into(),
        };
        bench.hear(2, ControlMessage::BucketSummary(summary));
        bench.messages(2).next().is_some()
    };
    assert!(asks_for(ObjectKind::Link, own.sequence, u64::MAX));
    assert!(!asks_for(ObjectKind::Link, own.sequence, 0));
    assert!(!asks_for(ObjectKind::Link, own.sequence - 1, u64::MAX));
    assert!(asks_for(ObjectKind::Route, 1, 0), "we have no routes");
}

#[test]
fn what_came_the_long_way_round_is_offered_more_reach() {
    let far = |hops| {
        let adv = signed(link(stamp(9, 5, 1)));
        ControlMessage::Flood(Flood {
            certificates: vec![CertificateBytes::new(&good_certificate(id(9)))],
            advertisements: vec![envelope(adv, hops)],
        })
    };
    let mut near = pair();
    near.hear(2, far(0));
    let mut away = Bench::new(settings(4));
    away.up(2).hear(2, far(7)).up(1);
    let digest = away.messages(1).last().unwrap().clone();
    near.up(4).hear(4, digest);
    let summary = near.messages(4).next().unwrap().clone();
    away.hear(1, summary);
    let request = away.messages(1).next().unwrap().clone();
    near.hear(4, request);
    let answer = near.messages(4).next().unwrap().clone();
    away.hear(1, answer);
    assert_eq!(count(&away, AdvResult::Widened), 1);
    assert_eq!(away.sent(2).last().map(|envelope| envelope.hops), Some(2));
}
