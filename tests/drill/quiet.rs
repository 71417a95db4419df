//! Full load without a fault: nothing breaks, and the drill would see false alarms.

use crate::support::with_drill;

const SECONDS: u64 = 3;

#[test]
fn full_load_breaks_nothing() {
    let seen = with_drill(async |drill| drill.quiet(None, 2, 1, SECONDS).await);
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(seen.gbit_per_second > 0.0 && seen.connects > 0, "{seen:#?}");
    assert_eq!((seen.damaged, seen.broken), (0, 0), "{seen:#?}");
    assert_eq!(seen.leaks.total(), 0, "{seen:#?}");
}
