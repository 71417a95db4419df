//! Receiving: what is stored, forwarded, dropped.

mod clocks;

use crate::routing::database::testing::*;
use crate::routing::*;
use crate::wire::*;

#[test]
fn floods_travel_on_as_received_with_the_certificate_once() {
    let mut bench = pair();
    let adv = signed(link(stamp(9, 5, 1)));
    let certificates = vec![CertificateBytes::new(&good_certificate(id(9)))];
    bench.hear(
        2,
        ControlMessage::Flood(Flood {
            certificates: certificates.clone(),
            advertisements: vec![envelope(adv.clone(), 2)],
        }),
    );
    assert_eq!(bench.sent(2), [], "not back to the sender");
    let on: Vec<_> = bench.floods(3).cloned().collect();
    let [
        Flood {
            certificates: sent,
            advertisements,
        },
    ] = on.as_slice()
    else {
        panic!("one flood to 3")
    };
    assert_eq!(*sent, certificates);
    assert_eq!((advertisements[0].ttl, advertisements[0].hops), (4, 3));
    assert_eq!(advertisements[0].adv.body(), adv.body());
    bench.hear(2, flood([link(stamp(9, 5, 2))]));
    assert!(bench.floods(3).all(|flood| flood.certificates.is_empty()));
    // A new session knows nothing.
    bench.up(3).hear(2, flood([link(stamp(9, 5, 3))]));
    assert!(bench.floods(3).all(|flood| flood.certificates.len() == 1));
}

#[test]
fn features_that_nobody_here_knows_are_kept_and_travel_on_under_their_signature() {
    let mut bench = pair();
    let Advertisement::Link(plain) = link(stamp(9, 5, 1)) else {
        panic!("of links");
    };
    let told = |features, sequence| {
        Advertisement::Link(LinkAdv {
            stamp: stamp(9, 5, sequence),
            features,
            ..plain.clone()
        })
    };
    for (sequence, features) in (1..).zip([None, Some(Features(0)), Some(Features(u64::MAX))]) {
        let adv = signed(told(features, sequence));
        let certificates = vec![CertificateBytes::new(&good_certificate(id(9)))];
        let advertisements = vec![envelope(adv.clone(), 2)];
        bench.hear(
            2,
            ControlMessage::Flood(Flood {
                certificates,
                advertisements,
            }),
        );
        assert!(
            bench.outputs.contains(&Output::TopologyChanged),
            "the graph has them"
        );
        assert_eq!(bench.core.link_adv(id(9)).unwrap().features, features);
        let on = bench.sent(3);
        assert_eq!(on.last().unwrap().adv.body(), adv.body());
        assert_eq!(on.last().unwrap().adv.signature(), adv.signature());
    }
}

#[test]
fn newer_is_higher_epoch_then_sequence_and_known_is_not_forwarded() {
    let mut bench = pair();
    for (epoch, sequence, result) in [
        (5, 2, AdvResult::Accepted),
        (5, 2, AdvResult::Duplicate),
        (5, 1, AdvResult::Stale),
        (5, 3, AdvResult::Accepted),
        (6, 1, AdvResult::Accepted),
        (5, 9, AdvResult::Stale),
    ] {
        let before = count(&bench, result);
        bench.hear(2, flood([link(stamp(9, epoch, sequence))]));
        assert_eq!(count(&bench, result), before + 1, "{epoch} {sequence}");
        assert_eq!(bench.sent(3).is_empty(), result != AdvResult::Accepted);
    }
}

#[test]
fn a_refresh_changes_nothing_for_paths() {
    let mut bench = pair();
    bench.hear(2, flood([link(stamp(9, 5, 1))]));
    assert!(bench.outputs.contains(&Output::TopologyChanged));
    bench.hear(2, flood([link(stamp(9, 5, 2))]));
    assert!(!bench.outputs.contains(&Output::TopologyChanged));
}

#[test]
fn the_flood_ends_at_max_hops_and_a_shorter_way_goes_on() {
    let mut bench = pair();
    let adv = signed(link(stamp(9, 5, 1)));
    let hear = |bench: &mut Bench, from, hops, ttl| {
        let mut envelope = envelope(adv.clone(), 0);
        (envelope.hops, envelope.ttl) = (hops, ttl);
        bench.hear(
            from,
            ControlMessage::Flood(Flood {
                certificates: vec![CertificateBytes::new(&good_certificate(id(9)))],
                advertisements: vec![envelope],
            }),
        );
    };
    hear(&mut bench, 2, 8, 9);
    assert_eq!(count(&bench, AdvResult::TooFar), 1);
    hear(&mut bench, 2, 7, 200);
    assert!(
        known(&bench, 9) && bench.sent(3).is_empty(),
        "the reach is the origin's to set"
    );
    hear(&mut bench, 2, 3, 4);
    assert_eq!(count(&bench, AdvResult::Widened), 1);
    assert_eq!((bench.sent(3)[0].ttl, bench.sent(3)[0].hops), (3, 4));
    hear(&mut bench, 3, 5, 2);
    assert_eq!(count(&bench, AdvResult::Duplicate), 1);
}

#[test]
fn a_bad_signature_convicts_the_sender() {
    let mut bench = pair();
    let good = signed(link(stamp(9, 5, 1)));
    let forged = SignedAdv::from_parts(good.body().into(), [7; 64]);
    let certificates = vec![CertificateBytes::new(&good_certificate(id(9)))];
    bench.hear(
        2,
        ControlMessage::Flood(Flood {
            certificates,
            advertisements: vec![envelope(forged, 0)],
        }),
    );
    let reason = DisconnectReason::BadSignature { origin: id(9) };
    assert!(bench.outputs.contains(&Output::Disconnect {
        neighbor: id(2),
        reason
    }));
    assert!(!known(&bench, 9) && bench.sent(3).is_empty());
    bench.hear(2, flood([link(stamp(9, 5, 2))]));
    assert!(!known(&bench, 9), "nothing more is heard from it");
}

#[test]
fn what_cannot_be_trusted_is_dropped_and_counted_only() {
    let mut bench = pair();
    let cases = [
        (
            certificate(id(9), u64::MAX, false, ""),
            AdvResult::Untrusted,
        ),
        (
            certificate(id(9), GENESIS_MS, true, ""),
            AdvResult::CertificateExpired,
        ),
        (good_certificate(id(8)), AdvResult::ForeignCertificate),
    ];
    for (bytes, result) in cases {
        let certificate = CertificateBytes::new(&bytes);
        let certificate_hash = *certificate.hash();
        let adv = signed(link(Stamp {
            certificate_hash,
            ..stamp(9, 5, 1)
        }));
        bench.hear(
            2,
            ControlMessage::Flood(Flood {
                certificates: vec![certificate],
                advertisements: vec![envelope(adv, 0)],
            }),
        );
        assert_eq!(count(&bench, result), 1, "{}", result.label());
        assert!(!known(&bench, 9) && bench.outputs.is_empty());
    }
    let garbage = SignedAdv::from_parts([1, 2, 3].into(), [0; 64]);
    bench.hear(
        2,
        ControlMessage::Flood(Flood {
            certificates: vec![],
            advertisements: vec![envelope(garbage, 0)],
        }),
    );
    assert_eq!(count(&bench, AdvResult::Malformed), 1);
}

#[test]
fn our_own_certificate_proves_nobody_else() {
    let mut bench = pair();
    let own = stamp(1, 5, 1).certificate_hash;
    let stolen = Stamp {
        certificate_hash: own,
        ..stamp(9, 5, 1)
    };
    let adv = SignedAdv::sign(link(stolen), |message| sign(id(1), message));
    bench.hear(
        2,
        ControlMessage::Flood(Flood {
            certificates: vec![],
            advertisements: vec![envelope(adv, 0)],
        }),
    );
    assert_eq!(count(&bench, AdvResult::ForeignCertificate), 1);
    assert!(!known(&bench, 9) && bench.outputs.is_empty());
}

#[test]
fn an_unknown_certificate_is_asked_for_at_most_once_a_second() {
    let mut bench = pair();
    let bare = |sequence| {
        ControlMessage::Flood(Flood {
            certificates: vec![],
            advertisements: vec![envelope(signed(link(stamp(9, 5, sequence))), 0)],
        })
    };
    bench.hear(2, bare(1));
    assert_eq!(count(&bench, AdvResult::UnknownCertificate), 1);
    assert!(matches!(
        bench.messages(2).next(),
        Some(ControlMessage::Request(_))
    ));
    bench.hear(2, bare(2));
    assert_eq!(bench.messages(2).count(), 0);
}

#[test]
fn fewer_fragments_and_a_new_epoch_void_the_rest() {
    let mut bench = pair();
    let part = |epoch, sequence, fragment, fragments, prefix| {
        Advertisement::Route(route(
            stamp(9, epoch, sequence),
            fragment,
            fragments,
            &[prefix],
        ))
    };
    let prefixes = |bench: &Bench| bench.core.routes_of(id(9)).count();
    bench.hear(
        2,
        flood((0..3).map(|i| part(5, u64::from(i) + 1, i, 3, "10.0.0.0/8"))),
    );
    assert_eq!(prefixes(&bench), 3);
    bench.hear(2, flood([part(5, 4, 0, 1, "10.0.0.0/8")]));
    assert_eq!(prefixes(&bench), 1);
    bench.hear(2, flood([part(5, 3, 2, 3, "10.0.0.0/8")]));
    assert_eq!(prefixes(&bench), 1, "void fragments stay void");
    bench.hear(2, flood([link(stamp(9, 6, 1))]));
    assert_eq!(prefixes(&bench), 0, "its process is dead");
    assert!(bench.outputs.contains(&Output::RoutesChanged));
}

#[test]
fn what_expires_is_gone_after_the_slack() {
    let mut bench = pair();
    bench.hear(2, flood([link(stamp(9, 5, 1))]));
    bench.pass(secs(300 + 118));
    assert!(known(&bench, 9));
    bench.pass(secs(2));
    assert!(!known(&bench, 9));
    bench.hear(2, flood([link(stamp(8, 5, 1))]));
    assert_eq!(count(&bench, AdvResult::Expired), 1);
    assert!(known(&bench, 1), "our own are refreshed");
}

#[test]
fn the_future_is_refused_with_one_line_for_each_agent() {
    let mut bench = pair();
    let ahead = |origin, ms| Stamp {
        issued_at_ms: GENESIS_MS + 1_000 + ms,
        ..stamp(origin, 5, 1)
    };
    for _ in 0..3 {
        bench.hear(2, flood([link(ahead(9, 120_001))]));
    }
    assert_eq!(count(&bench, AdvResult::FutureDated), 3);
    assert!(bench.outputs.is_empty(), "the line came with the first");
    bench.hear(2, flood([link(ahead(8, 120_001))]));
    let (origin, ahead_ms) = (id(8), 120_001);
    let skew = Alarm::ClockSkew { origin, ahead_ms };
    assert_eq!(bench.outputs, [Output::Alarm(skew)]);
    bench.hear(2, flood([link(ahead(9, 120_000))]));
    assert!(known(&bench, 9));
}

#[test]
fn limits_drop_and_count() {
    let mut small = settings(1);
    small.limits.origins = 2;
    small.limits.neighbors_per_origin = 1;
    small.limits.routes_per_origin = 2;
    let mut bench = Bench::new(small.clone());
    bench
        .up(2)
        .hear(2, flood([9, 8].map(|origin| link(stamp(origin, 5, 1)))));
    assert_eq!(count(&bench, AdvResult::OriginLimit), 1);
    let fat = route(stamp(9, 5, 2), 0, 2, &["10.0.0.0/8", "11.0.0.0/8"]);
    let more = route(stamp(9, 5, 3), 1, 2, &["12.0.0.0/8"]);
    bench.hear(2, flood([fat, more].map(Advertisement::Route)));
    assert_eq!(count(&bench, AdvResult::RouteLimit), 1);
    small.limits.origins = 9;
    small.limits.advertisement_bytes = bench.core.database_bytes();
    let mut full = Bench::new(small.clone());
    full.up(2)
        .hear(2, flood((3..9).map(|origin| link(stamp(origin, 5, 1)))));
    assert!(count(&full, AdvResult::MemoryLimit) > 0);
    assert!(full.core.database_bytes() <= small.limits.advertisement_bytes);
    small.limits.signatures_per_second = 3;
    small.limits.advertisement_bytes = usize::MAX;
    let mut slow = Bench::new(small.clone());
    slow.up(2)
        .hear(2, flood((3..5).map(|origin| link(stamp(origin, 5, 1)))));
    assert_eq!(
        count(&slow, AdvResult::SignatureRate),
        1,
        "two checks for a new origin"
    );
    slow.pass(secs(1)).hear(2, flood([link(stamp(4, 5, 1))]));
    assert!(known(&slow, 4), "repaired once there is room again");
    small.limits.control_bytes_per_second = 100;
    let mut narrow = Bench::new(small);
    narrow.up(2).hear(2, flood([link(stamp(4, 5, 1))]));
    assert_eq!(narrow.core.counters().dropped(MessageDrop::ByteRate), 1);
    narrow.hear(7, flood([]));
    assert_eq!(narrow.core.counters().dropped(MessageDrop::NoSession), 1);
}

/// A member that fills the store with fragments of nothing, as large as they may be: what it says in fields
/// that nobody knows yet is kept and passed on like all else.
#[test]
fn one_origin_leaves_room_for_the_news_of_others() {
    let mut small = settings(1);
    small.limits.routes_per_origin = 100;
    small.limits.advertisement_bytes = 1024 * 1024;
    let mut bench = Bench::new(small);
    bench.up(2);
    let padded = |fragment: u16| {
        let stamp = stamp(9, 5, 1 + u64::from(fragment));
        let route = Advertisement::Route(route(stamp, fragment, 200, &[]));
        let mut body = route.encode();
        // One field more at the end of the array.
        assert_eq!(body[1], 0x88);
        body[1] = 0x89;
        body.extend([0x59, 0xc3, 0x50]);
        body.resize(body.len() + 50_000, 0);
        assert!(Advertisement::decode(&body).is_ok());
        let tagged = [b"warren/route-adv/1\0".as_slice(), &body].concat();
        let padded = SignedAdv::from_parts(body.into(), sign(id(9), &tagged));
        ControlMessage::Flood(Flood {
            certificates: vec![CertificateBytes::new(&good_certificate(id(9)))],
            advertisements: vec![envelope(padded, 0)],
        })
    };
    for fragment in 0..200 {
        bench.hear(2, padded(fragment)).pass(ms(100));
    }
    assert!(count(&bench, AdvResult::Accepted) >= 3, "they are good");
    assert!(count(&bench, AdvResult::MemoryLimit) > 100);
    assert!(bench.core.database_bytes() < 300 * 1024);
    bench.hear(2, flood([link(stamp(8, 5, 1))]));
    assert!(known(&bench, 8));
}
