use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::identity::Grants;
use crate::routing::fixture::{Mesh, agent, routes};
use crate::routing::table::losses::LATELY;
use crate::wire::RouteAdv;

const SECOND: Duration = Duration::from_secs(1);
const MANY: usize = 1_000;

fn table(mesh: &Mesh, advs: &[RouteAdv]) -> RouteTable {
    let prefixes = crate::routing::PrefixTable::build(advs.iter());
    RouteTable::new(prefixes.into(), mesh.table(8).into())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn linked() -> Mesh {
    Mesh::with_links(3, &[(0, 1), (1, 2)])
}

fn offers() -> RouteAdv {
    routes(
        2,
        &[("10.0.0.0/8", 0), ("fd00::/8", 0)],
        &["*.corp.example", "exact.example"],
    )
}

#[test]
fn a_withdrawn_domain_is_nobody_elses_for_a_while() {
    let whole = table(&linked(), &[offers()]);
    let none = table(&linked(), &[]);
    let start = Instant::now();
    let mut lately = Lately::new(MANY);
    lately.handle_change(start, &whole, &none);
    let at = |seconds| start + seconds * SECOND;
    for (name, owned) in [
        ("a.corp.example", true),
        ("exact.example.", true),
        ("bank.example", false),
    ] {
        assert_eq!(lately.owned_domain(at(599), name), owned, "{name}");
        assert!(!lately.owned_domain(at(600), name), "{name}");
    }
    // It is there again, and goes again.
    lately.handle_change(at(300), &none, &whole);
    lately.handle_change(at(400), &whole, &none);
    assert!(lately.owned_domain(at(999), "a.corp.example"));
    let mut small = Lately::new(1);
    small.handle_change(start, &whole, &none);
    let owned = ["a.corp.example", "exact.example"];
    let owned = owned.map(|name| small.owned_domain(start, name));
    assert_eq!(owned.iter().filter(|owned| **owned).count(), 1);
}

#[test]
fn what_went_out_of_reach_or_was_withdrawn_had_a_route_for_ten_seconds() {
    let mut cut = linked();
    cut.cut(1, 2);
    let whole = table(&linked(), &[offers()]);
    let mut mute = offers();
    mute.prefixes.clear();
    mute.domains.clear();
    mute.resolves = true;
    let lost = [
        table(&cut, &[offers()]),
        table(&linked(), &[]),
        table(&linked(), &[mute]),
    ];
    for after in &lost {
        let now = Instant::now();
        let mut lately = Lately::new(MANY);
        lately.handle_change(now, &whole, after);
        for (at, had) in [(now, true), (now + 9 * SECOND, true), (now + LATELY, false)] {
            for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
                assert_eq!(lately.had_ip(at, ip(address)), had, "{address}");
            }
            for name in ["a.corp.example", "A.B.Corp.example.", "exact.example"] {
                assert_eq!(lately.had_domain(at, name), had, "{name}");
            }
        }
        for address in ["11.0.0.1", "fe80::1"] {
            assert!(!lately.had_ip(now, ip(address)), "{address}");
        }
        for name in [
            "corp.example",
            "a.exact.example",
            "other.example",
            ".corp.example",
        ] {
            assert!(!lately.had_domain(now, name), "{name}");
        }
    }
}

#[test]
fn what_is_served_still_or_was_never_served_is_no_loss() {
    let mut mesh = linked();
    mesh.link(0, 2, 5, 1);
    let (whole, now) = (table(&mesh, &[offers()]), Instant::now());
    let mut lately = Lately::new(MANY);
    // One way is left, then another exit, then nothing that anybody could miss.
    mesh.cut(1, 2);
    let one_way = table(&mesh, &[offers()]);
    lately.handle_change(now, &whole, &one_way);
    let mut other = offers();
    other.stamp.origin = agent(1);
    let other = table(&mesh, &[other]);
    lately.handle_change(now, &one_way, &other);
    lately.handle_change(now, &table(&mesh, &[]), &table(&mesh, &[]));
    assert!(!lately.had_ip(now, ip("10.0.0.1")));
    assert!(!lately.had_domain(now, "exact.example"));
    assert!(!lately.had_resolver(now, "a.example", &[agent(0), agent(1)]));
}

#[test]
fn a_way_that_grew_too_long_for_an_exit_is_a_loss() {
    let mut near = offers();
    near.stamp.max_hops = 1;
    let mut mesh = Mesh::with_links(3, &[(0, 1), (1, 2), (0, 2)]);
    let whole = table(&mesh, &[near.clone()]);
    mesh.cut(0, 2);
    let (after, now) = (table(&mesh, &[near]), Instant::now());
    let mut lately = Lately::new(MANY);
    lately.handle_change(now, &whole, &after);
    assert!(lately.had_ip(now, ip("10.0.0.1")));
}

#[test]
fn resolvers_were_had_while_any_agent_in_reach_resolved() {
    let mut resolver = routes(2, &[], &[]);
    resolver.resolves = true;
    let (whole, now) = (table(&linked(), &[resolver]), Instant::now());
    let mut lately = Lately::new(MANY);
    lately.handle_change(now, &whole, &table(&linked(), &[]));
    assert!(lately.had_resolver(now, "a.example", &[]));
    assert!(!lately.had_resolver(now + LATELY, "a.example", &[]));
    lately.handle_change(now + LATELY, &whole, &whole);
    assert!(lately.exits.is_empty());
}

/// One exit that may be asked is lost while others live that may not.
#[test]
fn a_lost_resolver_was_had_also_while_others_resolve_other_names() {
    let exits = [
        (1, "warren:resolve:*.other.example"),
        (2, "warren:resolve:*.corp.example"),
    ];
    let exits = exits.map(|(origin, grant)| {
        let grants = Grants::from_uris([grant]).unwrap().unwrap();
        (routes(origin, &[("10.0.0.0/8", 0)], &[]), grants)
    });
    let table = |mesh: &Mesh, count: usize| {
        let exits = exits[..count].iter();
        let advs = exits.map(|(adv, grants)| (adv, Some(grants)));
        let prefixes = crate::routing::PrefixTable::build_granted(advs);
        RouteTable::new(prefixes.into(), mesh.table(8).into())
    };
    let (whole, now) = (table(&linked(), 2), Instant::now());
    let mut cut = linked();
    cut.cut(1, 2);
    for after in [table(&linked(), 1), table(&cut, 2)] {
        let mut lately = Lately::new(MANY);
        lately.handle_change(now, &whole, &after);
        for (name, named, had) in [
            ("db.corp.example", &[][..], true),
            ("db.other.example", &[], false),
            ("bank.example", &[], false),
            ("bank.example", &[agent(2)], true),
            ("db.corp.example", &[agent(1)], false),
        ] {
            assert_eq!(
                lately.had_resolver(now, name, named),
                had,
                "{name} {named:?}"
            );
        }
    }
}

#[test]
fn the_last_of_several_losses_counts() {
    let (whole, none) = (table(&linked(), &[offers()]), table(&linked(), &[]));
    let start = Instant::now();
    let mut lately = Lately::new(MANY);
    lately.handle_change(start, &whole, &none);
    lately.handle_change(start + 6 * SECOND, &none, &whole);
    lately.handle_change(start + 7 * SECOND, &whole, &none);
    lately.handle_change(start + 12 * SECOND, &none, &none);
    let at = start + 16 * SECOND;
    assert!(lately.had_ip(at, ip("10.0.0.1")) && lately.had_domain(at, "exact.example"));
    lately.handle_change(start + 18 * SECOND, &none, &none);
    assert_eq!(lately.losses.len(), 0);
}

/// A table in which `origin` advertises so many names that no other round has, each beside `others`.
fn flooded(origin: u32, round: usize, names: usize, others: &[RouteAdv]) -> RouteTable {
    let names: Vec<String> = (0..names)
        .map(|at| format!("n{at}.r{round}.flood.example"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let flood = routes(origin, &[], &names);
    table(&linked(), &[&[flood], others].concat())
}

#[test]
fn a_flood_of_names_pushes_out_its_own_and_nobody_elses() {
    let start = Instant::now();
    let mut lately = Lately::new(100);
    let whole = table(&linked(), &[offers()]);
    let mut before = flooded(1, 0, 60, &[]);
    lately.handle_change(start, &whole, &before);
    for round in 1..10_usize {
        let after = flooded(1, round, 60, &[]);
        lately.handle_change(start + SECOND, &before, &after);
        before = after;
    }
    let at = start + 2 * SECOND;
    for name in ["a.corp.example", "exact.example"] {
        assert!(lately.owned_domain(at, name), "{name}");
    }
    // The flood's newest are there, its oldest are not.
    assert!(lately.owned_domain(at, "n59.r8.flood.example"));
    assert!(!lately.owned_domain(at, "n0.r1.flood.example"));
}

/// A name of two is the other's still when one flood has taken it, too.
#[test]
fn who_advertises_somebody_elses_name_cannot_make_it_be_forgotten() {
    let start = Instant::now();
    let mut lately = Lately::new(100);
    let both = table(&linked(), &[offers(), routes(1, &[], &["*.corp.example"])]);
    let mut before = flooded(1, 0, 60, &[]);
    lately.handle_change(start, &both, &before);
    for round in 1..10_usize {
        let after = flooded(1, round, 60, &[]);
        lately.handle_change(start + SECOND, &before, &after);
        before = after;
    }
    assert!(lately.owned_domain(start + 2 * SECOND, "a.corp.example"));
}

/// Seconds in a slow build; a walk through all that is remembered for each name takes many minutes.
#[test]
fn a_full_memory_of_names_costs_no_more_for_each_than_an_empty_one() {
    let start = Instant::now();
    let mut lately = Lately::new(100_000);
    let mut before = flooded(1, 0, 10_000, &[]);
    for round in 1..15_usize {
        let after = flooded(1, round, 10_000, &[]);
        lately.handle_change(start + SECOND, &before, &after);
        before = after;
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// One exit's routes come and go without end, beside another one's.
#[test]
fn who_loses_routes_without_end_pushes_out_its_own_losses() {
    let start = Instant::now();
    let mut lately = Lately::new(100);
    let whole = table(&linked(), &[offers()]);
    let none = table(&linked(), &[]);
    lately.handle_change(start, &whole, &none);
    for round in 0..20_u32 {
        let prefixes: Vec<String> = (0..60).map(|at| format!("20.{round}.{at}.0/24")).collect();
        let prefixes: Vec<(&str, u32)> = prefixes.iter().map(|text| (text.as_str(), 0)).collect();
        // It offers the other one's, too.
        let names = ["*.corp.example", "exact.example"];
        let flood = routes(1, &[&prefixes[..], &[("fd00::/8", 0)]].concat(), &names);
        let flood = table(&linked(), &[flood, offers()]);
        lately.handle_change(start + SECOND, &flood, &none);
        assert!(lately.losses.len() <= 100);
    }
    let at = start + 2 * SECOND;
    assert!(lately.had_ip(at, ip("10.0.0.1")) && lately.had_ip(at, ip("fd00::1")));
    assert!(lately.had_domain(at, "a.corp.example") && lately.had_domain(at, "exact.example"));
    assert!(lately.had_ip(at, ip("20.19.59.1")) && !lately.had_ip(at, ip("20.0.0.1")));
}

proptest! {
    /// Whatever comes and goes: no more than the limit is held, and the newest are.
    #[test]
    fn memory_is_bounded_and_the_newest_losses_are_kept(lost in prop::collection::vec(0_u8..40, 1..60)) {
        let limit = 8;
        let (mesh, start) = (linked(), Instant::now());
        let mut lately = Lately::new(limit);
        for (second, number) in (0_u32..).zip(&lost) {
            let adv = routes(2, &[(&format!("10.{number}.0.0/16"), 0)], &[]);
            let now = start + SECOND / 10 * second;
            lately.handle_change(now, &table(&mesh, &[adv]), &table(&mesh, &[]));
            prop_assert!(lately.losses.len() <= limit);
        }
        let now = start + SECOND / 10 * lost.len() as u32;
        for number in lost.iter().rev().take(limit) {
            let had = lately.had_ip(now, ip(&format!("10.{number}.0.1")));
            prop_assert!(had);
        }
    }
}
