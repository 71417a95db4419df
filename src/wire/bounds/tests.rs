use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::identity::AgentId;
use crate::wire::{
    ControlMessage, Envelope, Features, Flood, LinkFlags, Neighbor, RoutePrefix, SignedAdv,
    decode_frame, encode_frame, load_class, rtt_class,
};

fn id() -> impl Strategy<Value = AgentId> {
    any::<[u8; 16]>().prop_map(AgentId)
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (
        id(),
        any::<[u8; 32]>(),
        0..=MAX_VERSION,
        0..=MAX_VERSION,
        any::<u64>(),
        0..=MAX_LIFETIME_MS,
        1..=MAX_HOPS,
        any::<(u64, u64)>(),
    )
        .prop_map(
            |(
                origin,
                certificate_hash,
                epoch,
                sequence,
                issued_at_ms,
                lifetime_ms,
                max_hops,
                (incarnation, answers),
            )| {
                Stamp {
                    origin,
                    certificate_hash,
                    epoch,
                    sequence,
                    issued_at_ms,
                    lifetime_ms,
                    max_hops,
                    incarnation,
                    answers,
                }
            },
        )
}

fn link() -> impl Strategy<Value = Advertisement> {
    let neighbor = (id(), 1..u32::MAX, 0..=MAX_RTT_CLASS, any::<u16>());
    (
        stamp(),
        any::<(bool, bool)>(),
        prop::collection::vec(neighbor, 0..40),
        "[a-z]{0,20}",
        any::<Option<u64>>(),
    )
        .prop_map(
            |(stamp, (draining, no_transit), neighbors, display_name, features)| {
                let mut neighbors: Vec<_> = neighbors
                    .into_iter()
                    .map(|(id, cost, rtt_class, mtu)| Neighbor {
                        id,
                        cost,
                        rtt_class,
                        mtu,
                    })
                    .filter(|neighbor| neighbor.id != stamp.origin)
                    .collect();
                neighbors.sort_by_key(|neighbor| neighbor.id);
                neighbors.dedup_by_key(|neighbor| neighbor.id);
                let flags = LinkFlags {
                    draining,
                    no_transit,
                };
                Advertisement::Link(LinkAdv {
                    stamp,
                    flags,
                    neighbors,
                    display_name,
                    features: features.map(Features),
                })
            },
        )
}

fn prefix() -> impl Strategy<Value = RoutePrefix> {
    let v4 = (any::<[u8; 4]>(), 0_u8..=32).prop_map(|(a, n)| IpNet::new(a.into(), n));
    let v6 = (any::<[u8; 16]>(), 0_u8..=128).prop_map(|(a, n)| IpNet::new(a.into(), n));
    (prop_oneof![v4, v6], any::<u32>()).prop_map(|(prefix, metric)| RoutePrefix {
        prefix: prefix.unwrap().trunc(),
        metric,
    })
}

fn route() -> impl Strategy<Value = Advertisement> {
    (
        stamp(),
        any::<u16>(),
        1..u16::MAX,
        prop::collection::vec(prefix(), 0..40),
        prop::collection::vec("(\\*\\.)?[a-z]{1,9}\\.[a-z]{1,9}", 0..9),
        any::<bool>(),
        0_u8..=32,
        "[a-z]{0,20}",
    )
        .prop_map(
            |(stamp, fragment, fragments, mut prefixes, domains, resolves, load, pool)| {
                prefixes.sort_by_key(|route| route.prefix);
                prefixes.dedup_by_key(|route| route.prefix);
                Advertisement::Route(RouteAdv {
                    stamp,
                    fragment: fragment % fragments,
                    fragments,
                    prefixes,
                    domains,
                    resolves,
                    load,
                    pool,
                })
            },
        )
}

proptest! {
    #[test]
    fn bodies_round_trip(adv in prop_oneof![link(), route()]) {
        prop_assert_eq!(Advertisement::decode(&adv.encode()).unwrap(), adv);
    }

    #[test]
    fn truncated_and_extended_bodies_are_refused(adv in prop_oneof![link(), route()], cut in any::<prop::sample::Index>()) {
        let mut body = adv.encode();
        prop_assert!(Advertisement::decode(&body[..cut.index(body.len())]).is_err());
        body.push(0);
        prop_assert!(matches!(Advertisement::decode(&body), Err(AdvError::Trailing(1))));
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0_u8..4, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Advertisement::decode(&[&[kind], &rest[..]].concat());
        let _ = Advertisement::decode(&rest);
        let _ = minicbor::decode::<ControlMessage>(&rest);
    }

    #[test]
    fn flipped_bits_never_panic_and_never_pass_for_the_same_bytes(adv in prop_oneof![link(), route()], at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut body = adv.encode();
        let at = at.index(body.len());
        body[at] ^= 1_u8 << bit;
        if let Ok(other) = Advertisement::decode(&body) {
            prop_assert!(other != adv || other.encode() != body);
        }
    }

    #[test]
    fn a_flood_keeps_body_and_signature_bytes(adv in prop_oneof![link(), route()], half in any::<[u8; 32]>(), ttl in any::<u8>(), hops in any::<u8>()) {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&half);
        let adv = SignedAdv::sign(adv, |_| signature);
        let flood = ControlMessage::Flood(Flood {
            certificates: vec![super::super::CertificateBytes::new(&half)],
            advertisements: vec![Envelope { adv: adv.clone(), ttl, hops }],
        });
        let mut frame = Vec::new();
        encode_frame(&flood, &mut frame);
        prop_assert!(frame.len() <= adv.wire_bytes() + 32 + 5 + 20);
        let mut input = bytes::BytesMut::from(&frame[..]);
        let back: ControlMessage = decode_frame(&mut input, 1 << 20).unwrap().unwrap();
        prop_assert_eq!(&back, &flood);
        let ControlMessage::Flood(back) = back else { panic!("a flood comes back") };
        prop_assert_eq!(back.advertisements[0].adv.body(), adv.body());
        prop_assert_eq!(back.advertisements[0].adv.signing_message(), adv.signing_message());
        prop_assert_eq!(back.advertisements[0].adv.key(), adv.key());
    }
}

fn sample() -> Stamp {
    Stamp {
        origin: AgentId([1; 16]),
        certificate_hash: [0; 32],
        epoch: 1,
        sequence: 1,
        issued_at_ms: 0,
        lifetime_ms: 1,
        max_hops: 8,
        incarnation: 1,
        answers: 0,
    }
}

fn sample_link(neighbors: Vec<Neighbor>) -> LinkAdv {
    LinkAdv {
        stamp: sample(),
        flags: LinkFlags::default(),
        neighbors,
        display_name: String::new(),
        features: None,
    }
}

fn neighbor(id: u8) -> Neighbor {
    Neighbor {
        id: AgentId([id; 16]),
        cost: 1,
        rtt_class: 0,
        mtu: 0,
    }
}

fn refused(adv: Advertisement) -> bool {
    matches!(
        Advertisement::decode(&adv.encode()),
        Err(AdvError::OutOfBounds(_))
    )
}

#[test]
fn bodies_out_of_bounds_are_refused() {
    let link = |neighbors| Advertisement::Link(sample_link(neighbors));
    assert!(!refused(link(vec![neighbor(2), neighbor(3)])));
    assert!(refused(link(vec![neighbor(3), neighbor(2)])), "order");
    assert!(refused(link(vec![neighbor(2), neighbor(2)])), "twice");
    assert!(refused(link(vec![neighbor(1)])), "itself");
    assert!(refused(link(vec![Neighbor {
        cost: 0,
        ..neighbor(2)
    }])));
    let stamped = |stamp| {
        Advertisement::Link(LinkAdv {
            stamp,
            ..sample_link(vec![])
        })
    };
    assert!(refused(stamped(Stamp {
        max_hops: 0,
        ..sample()
    })));
    assert!(refused(stamped(Stamp {
        max_hops: 16,
        ..sample()
    })));
    assert!(refused(stamped(Stamp {
        epoch: u64::MAX,
        ..sample()
    })));
    assert!(refused(stamped(Stamp {
        lifetime_ms: u64::MAX,
        ..sample()
    })));
    let big = vec![1; MAX_BODY_BYTES + 1];
    assert!(matches!(
        Advertisement::decode(&big),
        Err(AdvError::Oversized(_))
    ));
    assert!(matches!(
        Advertisement::decode(&[9]),
        Err(AdvError::UnknownKind(9))
    ));
    assert!(matches!(Advertisement::decode(&[]), Err(AdvError::Empty)));
}

#[test]
fn names_are_short_and_steer_no_terminal() {
    let pool = |pool: &str| {
        Advertisement::Route(RouteAdv {
            stamp: sample(),
            fragment: 0,
            fragments: 1,
            prefixes: Vec::new(),
            domains: Vec::new(),
            resolves: false,
            load: 0,
            pool: pool.to_owned(),
        })
    };
    let named = |name: &str| {
        Advertisement::Link(LinkAdv {
            display_name: name.to_owned(),
            ..sample_link(vec![])
        })
    };
    let long = "x".repeat(NAME_BYTES);
    for good in ["", "Zürich 1", "חיפה", &long] {
        assert!(!refused(named(good)) && !refused(pool(good)), "{good:?}");
    }
    let longer = "x".repeat(NAME_BYTES + 1);
    for wrong in [
        "a\nb",
        "\u{1b}[31m",
        "a\u{9b}2J",
        "\0",
        "a\u{2028}b",
        "\u{202e}txe",
        "\u{2066}a",
        "\u{200f}a",
        &longer,
    ] {
        assert!(refused(named(wrong)) && refused(pool(wrong)), "{wrong:?}");
    }
}

/// As releases without features wrote it.
const BEFORE: &[u8] = include_bytes!("../../../fuzz/corpus/advertisement/link");

fn as_link(body: &[u8]) -> LinkAdv {
    match Advertisement::decode(body) {
        Ok(Advertisement::Link(link)) => link,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_origin_that_tells_no_features_is_read_and_written_as_ever() {
    let link = as_link(BEFORE);
    assert_eq!(link.features, None);
    assert_eq!(link.display_name, "transit-1");
    assert_eq!(Advertisement::Link(link).encode(), BEFORE);
}

#[test]
fn an_agent_that_knows_no_features_reads_an_origin_that_tells_them() {
    /// [`LinkAdv`] as releases without features decode it.
    #[derive(minicbor::Decode)]
    struct Before {
        #[n(0)]
        stamp: Stamp,
        #[n(1)]
        flags: LinkFlags,
        #[n(2)]
        neighbors: Vec<Neighbor>,
        #[n(3)]
        display_name: String,
    }
    for bits in [0, 5, u64::MAX] {
        let link = LinkAdv {
            display_name: "transit-1".to_owned(),
            features: Some(Features(bits)),
            ..sample_link(vec![neighbor(2)])
        };
        let body = Advertisement::Link(link.clone()).encode();
        assert_eq!(as_link(&body), link);
        let mut decoder = minicbor::Decoder::new(&body[1..]);
        let before: Before = decoder.decode().unwrap();
        assert_eq!(decoder.position(), body.len() - 1, "nothing trails");
        let fields = (
            before.stamp,
            before.flags,
            before.neighbors,
            before.display_name,
        );
        let wanted = (link.stamp, link.flags, link.neighbors, link.display_name);
        assert_eq!(fields, wanted);
    }
}

#[test]
fn features_are_listed_by_number() {
    let bits = |bits: u64| Features(bits).bits().collect::<Vec<_>>();
    assert!(bits(0).is_empty());
    assert_eq!(bits(1 << 63 | 5), [0, 2, 63]);
}

#[test]
fn kinds_sign_under_different_tags() {
    let link = signing_message(&[LINK, 7]).unwrap();
    let route = signing_message(&[ROUTE, 7]).unwrap();
    assert!(link.starts_with(b"warren/link-adv/1\0"));
    assert!(route.starts_with(b"warren/route-adv/1\0"));
    assert_eq!(signing_message(&[9, 7]), None);
}

#[test]
fn classes_round_to_powers_of_two() {
    assert_eq!(
        [0, 1, 2, 3, 1_000, 1_448, 1_449].map(rtt_class),
        [0, 1, 2, 3, 11, 11, 12]
    );
    let classed = Neighbor {
        rtt_class: rtt_class(1_000),
        ..neighbor(2)
    };
    assert_eq!(classed.rtt_us(), 1_024);
    assert_eq!(rtt_class(u64::MAX), MAX_RTT_CLASS);
    assert_eq!(
        [0, 1, 2, 3, 4, u32::MAX].map(load_class),
        [0, 1, 2, 2, 3, 32]
    );
}
