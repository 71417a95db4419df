//! What a broad route includes and what not.

use ipnet::IpNet;

use super::CheckLine;
use crate::config::Exit;
use crate::exit::SPECIAL;

/// Networks that many hosts of one site share (RFC 1918, RFC 6598): a default route includes them.
const PRIVATE: [&str; 4] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
];

pub(super) fn check(exit: &Exit) -> Vec<CheckLine> {
    let broad = exit.routes.iter().filter_map(|route| line(route, exit));
    let useless = exit.allow_special.iter().filter(|opened| {
        let overlaps = |special: &IpNet| special.contains(*opened) || opened.contains(special);
        !SPECIAL.iter().any(|special| overlaps(&special.range))
    });
    let useless = useless.map(|opened| {
        let text = format!("{opened} is nothing special: its routes alone decide");
        CheckLine::warn("exit.allow_special", text)
    });
    broad.chain(useless).collect()
}

/// `None`: the route holds nothing special.
fn line(route: &IpNet, exit: &Exit) -> Option<CheckLine> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for special in &SPECIAL {
        if special.range == *route || !route.contains(&special.range) {
            continue;
        }
        let opens = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&special.range));
        let is_meant = exit.routes.contains(&special.range) || opens(&exit.allow_special);
        let shown = format!("{} ({})", special.range, special.name);
        if is_meant {
            with.push(shown);
        } else {
            without.push(shown);
        }
    }
    if with.is_empty() && without.is_empty() {
        return None;
    }
    let private = PRIVATE.into_iter().filter(|net| {
        let net: Option<IpNet> = net.parse().ok();
        net.is_some_and(|net| route.contains(&net))
    });
    with.extend(private.map(|net| format!("{net} (private)")));
    let mut text = route.to_string();
    if !with.is_empty() {
        text += &format!(" includes {}", with.join(", "));
    }
    if !without.is_empty() {
        let without = without.join(", ");
        let and = if with.is_empty() { "" } else { ", and" };
        text +=
            &format!("{and} not {without}: those take a route of their own or exit.allow_special");
    }
    Some(CheckLine::ok("exit.routes", text))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn shown(routes: &[&str], opened: &[&str]) -> Vec<String> {
        let parse = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        let exit = Exit {
            routes: parse(routes),
            allow_special: parse(opened),
            ..fixture::exit().exit.unwrap()
        };
        check(&exit).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_broad_route_is_told_with_what_it_includes_and_what_not() {
        assert!(shown(&["10.0.0.0/8", "127.0.0.0/8"], &[]).is_empty());
        let lines = shown(&["0.0.0.0/0"], &["127.0.0.0/8"]);
        let (with, without) = lines[0].split_once(", and not ").unwrap();
        assert!(with.contains("includes 127.0.0.0/8 (loopback), 10.0.0.0/8 (private)"));
        assert!(without.contains("169.254.0.0/16 (link-local and metadata)"));
        let lines = shown(&["::/0"], &[]);
        assert!(lines[0].starts_with("ok    exit.routes: ::/0 not ::/128 (unspecified)"));
    }

    #[test]
    fn opening_what_is_not_special_is_warned_of() {
        let lines = shown(&["10.0.0.0/8"], &["10.0.0.0/8"]);
        assert!(lines[0].starts_with("warn  exit.allow_special: 10.0.0.0/8 is nothing special"));
        assert!(shown(&["127.0.0.0/8"], &["127.0.0.1/32"]).is_empty());
    }
}
