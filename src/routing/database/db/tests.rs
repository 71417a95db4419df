use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::routing::OwnRoutes;
use crate::routing::database::testing::*;
use crate::wire::{CertificateBytes, SignedAdv};

fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: GENESIS_MS,
    }
}

fn put(db: &mut Database, adv: &SignedAdv) -> bool {
    let stored = Stored::new(now(), adv.clone(), 1, 1).unwrap();
    let news = db.standing(&stored.key) == Standing::New;
    if news {
        let certificate = CertificateBytes::new(&good_certificate(stored.key.origin));
        let admitted = Arc::new(Admitted {
            id: stored.key.origin,
            public_key: [0; 32],
            not_after_ms: u64::MAX,
            grants: None,
        });
        db.insert(stored, &certificate, &admitted);
    }
    news
}

/// Everything that an exit says in a life of changing routes, and in the life after it.
fn life(sizes: &[usize]) -> Vec<SignedAdv> {
    let mut said = Vec::new();
    for (life, sizes) in sizes.chunks(4).enumerate() {
        let mut bench = Bench::new(crate::routing::Settings {
            epoch: 1_000 + life as u64,
            ..settings(1)
        });
        let mut hear = |bench: &Bench| {
            said.extend(bench.sent(2).into_iter().map(|envelope| envelope.adv));
        };
        hear(bench.up(2));
        for size in sizes {
            let prefixes = (0..*size).map(|i| {
                let text = format!("10.{}.{}.0/24", i / 256, i % 256);
                (text.parse().unwrap(), 0)
            });
            let routes = OwnRoutes {
                prefixes: prefixes.collect(),
                ..OwnRoutes::default()
            };
            hear(bench.on(|core, now| core.handle_routes(now, routes)));
            hear(bench.pass(secs(2)));
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_order_of_arrival_does_not_matter(
        sizes in prop::collection::vec(prop_oneof![0_usize..3, 0_usize..2_000], 1..8),
        shuffled in any::<u64>(),
    ) {
        let said = life(&sizes);
        let mut order: Vec<usize> = (0..said.len()).collect();
        order.sort_by_key(|index| (*index as u64 + 1).wrapping_mul(shuffled | 1));
        let (mut straight, mut mixed) = (Database::default(), Database::default());
        for adv in &said {
            put(&mut straight, adv);
        }
        for index in order {
            put(&mut mixed, &said[index]);
        }
        prop_assert_eq!(straight.buckets(), mixed.buckets());
        prop_assert_eq!(straight.bytes(), mixed.bytes());
        let count = |db: &Database| db.origin(id(1)).unwrap().routes_besides(u16::MAX);
        let last = sizes[sizes.len() - 1];
        prop_assert_eq!(count(&straight), last);
        prop_assert_eq!(count(&mixed), last);
    }
}

#[test]
fn bytes_and_buckets_return_to_nothing() {
    let mut db = Database::default();
    let adv = signed(link(stamp(9, 5, 1)));
    assert!(put(&mut db, &adv) && !put(&mut db, &adv));
    assert!(put(&mut db, &signed(link(stamp(9, 6, 1)))));
    assert_eq!(db.origin_count(), 1);
    let mut later = now();
    later.instant += secs(300 + 2 * 120);
    let (change, next) = db.remove_void(later, None);
    assert!(change.topology && next.is_none());
    assert_eq!((db.bytes(), db.origin_count()), (0, 0));
    assert_eq!(*db.buckets(), Buckets::default());
}

#[test]
fn of_equal_stamps_every_agent_keeps_the_same() {
    let one = signed(link(stamp(9, 5, 1)));
    let other = SignedAdv::from_parts(one.body().into(), [0xff; 64]);
    let (mut a, mut b) = (Database::default(), Database::default());
    assert!(put(&mut a, &one) && put(&mut a, &other));
    assert!(put(&mut b, &other) && !put(&mut b, &one));
    assert_eq!(a.buckets(), b.buckets());
}
