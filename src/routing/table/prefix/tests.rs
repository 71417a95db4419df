use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::routing::fixture::{agent, routes};
use crate::wire::RoutePrefix;

fn covering(table: &PrefixTable, ip: &str) -> Vec<String> {
    let covering = table.covering(ip.parse().unwrap());
    covering.iter().map(|(p, _)| p.to_string()).collect()
}

fn matching(table: &PrefixTable, name: &str) -> Vec<String> {
    let matching = table.matching(name);
    matching.iter().map(|(p, _)| p.to_string()).collect()
}

#[test]
fn prefixes_are_found_longest_first_in_their_own_family() {
    let adv = routes(
        1,
        &[
            ("0.0.0.0/0", 0),
            ("10.0.0.0/8", 0),
            ("10.1.0.0/16", 0),
            ("::/0", 0),
            ("fd00::/8", 0),
        ],
        &[],
    );
    let table = PrefixTable::build([&adv].into_iter());
    assert_eq!(
        covering(&table, "10.1.2.3"),
        ["10.1.0.0/16", "10.0.0.0/8", "0.0.0.0/0"]
    );
    assert_eq!(covering(&table, "11.0.0.1"), ["0.0.0.0/0"]);
    assert_eq!(covering(&table, "fd00::1"), ["fd00::/8", "::/0"]);
    assert_eq!(table.prefix_count(), 5);
}

#[test]
fn mapped_addresses_are_ipv4() {
    let adv = routes(1, &[("10.0.0.0/8", 0), ("::/0", 0)], &[]);
    let table = PrefixTable::build([&adv].into_iter());
    assert_eq!(covering(&table, "10.1.2.3"), ["10.0.0.0/8"]);
    assert_eq!(covering(&table, "::ffff:10.1.2.3"), ["10.0.0.0/8"]);
}

#[test]
fn exact_names_come_before_wildcards_and_long_ones_before_short() {
    let patterns = [
        "*.corp.example",
        "*.example",
        "api.corp.example",
        "*.api.corp.example",
    ];
    let adv = routes(1, &[], &patterns);
    let table = PrefixTable::build([&adv].into_iter());
    assert_eq!(
        matching(&table, "API.corp.example."),
        ["api.corp.example", "*.corp.example", "*.example"]
    );
    assert_eq!(matching(&table, "corp.example"), ["*.example"]);
    assert_eq!(matching(&table, ".corp.example"), ["*.example"]);
    assert_eq!(matching(&table, "example"), Vec::<String>::new());
    assert_eq!(table.domain_count(), 4);
}

#[test]
fn of_an_exits_repeated_offers_the_cheapest_counts() {
    let advs = [
        routes(2, &[("10.0.0.0/8", 9), ("10.0.0.0/8", 4)], &[]),
        routes(1, &[("10.0.0.0/8", 7)], &[]),
        routes(2, &[("10.0.0.0/8", 6)], &[]),
    ];
    let table = PrefixTable::build(advs.iter());
    let (_, entries) = table.covering([10, 0, 0, 1].into())[0];
    let offers: Vec<(AgentId, u32)> = entries.iter().map(|e| (table.exit(e), e.metric)).collect();
    assert_eq!(offers, [(agent(1), 7), (agent(2), 4)]);
}

#[test]
fn unreadable_domains_are_counted_and_left_out() {
    let adv = routes(1, &[], &["a.*.example", "ok.example"]);
    let table = PrefixTable::build([&adv].into_iter());
    assert_eq!((table.domain_count(), table.unreadable_domains()), (1, 1));
}

#[test]
fn who_offers_nothing_is_no_exit() {
    let mut resolver = routes(2, &[], &[]);
    resolver.resolves = true;
    let mut later = resolver.clone();
    later.stamp.origin = agent(3);
    later.fragment = 1;
    let advs = [routes(1, &[], &[]), resolver, later];
    let table = PrefixTable::build(advs.iter());
    let exits: Vec<AgentId> = table.exits().iter().map(|exit| exit.id).collect();
    assert_eq!(exits, [agent(2)]);
}

/// Prefixes crowded into a few bits, so that they nest.
fn any_prefix() -> impl Strategy<Value = IpNet> {
    let v4 = (0_u32..16, 0_u8..=32)
        .prop_map(|(bits, len)| (IpAddr::from(Ipv4Addr::from(bits << 28 | bits)), len));
    let v6 = (0_u128..16, 0_u8..=128)
        .prop_map(|(bits, len)| (IpAddr::from(Ipv6Addr::from(bits << 124 | bits)), len));
    prop_oneof![v4, v6].prop_map(|(ip, len)| IpNet::new(ip, len).unwrap().trunc())
}

/// No IPv4-mapped address: the table takes that as IPv4, a linear scan does not.
fn any_ip() -> impl Strategy<Value = IpAddr> {
    any_prefix().prop_map(|prefix| prefix.broadcast().to_canonical())
}

proptest! {
    #[test]
    fn covering_prefixes_are_what_a_linear_scan_finds(
        offers in prop::collection::vec((1_u32..5, any_prefix(), 0_u32..9), 0..40),
        ip in any_ip(),
    ) {
        let advs: Vec<RouteAdv> = offers.iter().map(|&(origin, prefix, metric)| {
            let mut adv = routes(origin, &[], &[]);
            adv.prefixes.push(RoutePrefix { prefix, metric });
            adv
        }).collect();
        let table = PrefixTable::build(advs.iter());

        let mut expected: BTreeMap<(u8, IpNet), BTreeMap<AgentId, u32>> = BTreeMap::new();
        for &(origin, prefix, metric) in &offers {
            if prefix.contains(&ip) {
                let exits = expected.entry((prefix.prefix_len(), prefix)).or_default();
                let known = exits.entry(agent(origin)).or_insert(metric);
                *known = metric.min(*known);
            }
        }
        let expected: Vec<(IpNet, Vec<(AgentId, u32)>)> = expected
            .into_iter()
            .rev()
            .map(|((_, prefix), exits)| (prefix, exits.into_iter().collect()))
            .collect();
        let found: Vec<(IpNet, Vec<(AgentId, u32)>)> = table
            .covering(ip)
            .into_iter()
            .map(|(prefix, entries)| {
                (prefix, entries.iter().map(|e| (table.exit(e), e.metric)).collect())
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn matching_domains_are_what_a_linear_scan_finds(
        patterns in prop::collection::vec("(\\*\\.)?([ab]\\.){0,3}c", 0..12),
        name in "([abA]\\.){0,4}[cC]\\.?",
    ) {
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let table = PrefixTable::build([&routes(1, &[], &texts)].into_iter());
        let found = matching(&table, &name);
        let mut expected: Vec<DomainPattern> = patterns
            .iter()
            .map(|text| text.parse::<DomainPattern>().unwrap())
            .filter(|pattern| pattern.matches(&name))
            .collect();
        expected.sort_by_key(|pattern| match pattern {
            DomainPattern::Exact(_) => usize::MIN,
            DomainPattern::Below(parent) => usize::MAX - parent.len(),
        });
        expected.dedup();
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        prop_assert_eq!(found, expected);
    }
}
