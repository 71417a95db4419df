//! Whether the kernel's table of tracked connections has room, and remembers links between heartbeats.

use super::sysctl::Sysctl;
use super::{CheckLine, connections};
use crate::config::Config;

const SUBJECT: &str = "conntrack";

const COUNT: &str = "net.netfilter.nf_conntrack_count";
const MAX: &str = "net.netfilter.nf_conntrack_max";

/// Life of an entry that only one side has sent for, and of one both have: the shorter decides.
const UDP: [&str; 2] = [
    "net.netfilter.nf_conntrack_udp_timeout",
    "net.netfilter.nf_conntrack_udp_timeout_stream",
];

/// Says nothing on a host that tracks none.
pub(super) fn check(config: &Config, sysctl: &Sysctl) -> Vec<CheckLine> {
    let room = room(config, sysctl);
    room.into_iter().chain(memory(config, sysctl)).collect()
}

fn room(config: &Config, sysctl: &Sysctl) -> Option<CheckLine> {
    let (count, max) = (sysctl.number(COUNT)?, sysctl.number(MAX)?);
    let needed = connections::tracked(config);
    let free = max.saturating_sub(count);
    if max == 0 {
        return Some(CheckLine::ok(SUBJECT, "the table has no limit"));
    }
    let told = format!("{count} of {max} entries are taken");
    Some(if free == 0 {
        let text = format!(
            "{told}: the kernel drops the packets of whatever is new; find what fills the table, or \
             raise {MAX}"
        );
        CheckLine::fail(SUBJECT, text)
    } else if free < needed {
        let more = count.saturating_add(needed);
        let text = format!(
            "{told}, and the file allows connections for {needed}; `sysctl -w {MAX}={more}`, or \
             exempt them (nftables: notrack)"
        );
        CheckLine::warn(SUBJECT, text)
    } else {
        CheckLine::ok(SUBJECT, format!("{told}, {needed} are needed"))
    })
}

/// A link is forgotten by a stateful firewall, or gets another port by NAT, if its entry ends between
/// two heartbeats.
fn memory(config: &Config, sysctl: &Sysctl) -> Option<CheckLine> {
    let lives = UDP.into_iter().filter_map(|name| {
        let seconds = sysctl.number(name)?;
        Some((seconds, name))
    });
    let (seconds, name) = lives.min()?;
    let heartbeat = config.connections.heartbeat;
    // The timer counts in ticks and heartbeats come late.
    let needed = 2 * heartbeat.as_secs_f64().ceil() as u64;
    (seconds < needed).then(|| {
        let text = format!(
            "UDP flows are forgotten after {seconds} s, and heartbeats come every {heartbeat:?}: a \
             firewall or NAT on this host loses idle links; `sysctl -w {name}={}`",
            needed.max(30)
        );
        CheckLine::warn(SUBJECT, text)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture;
    use super::super::sysctl::testing::given;
    use super::*;

    fn shown(settings: &[(&str, &str)], heartbeat: Duration) -> Vec<String> {
        let mut config = fixture::ingress();
        config.connections.heartbeat = heartbeat;
        config.socks5.as_mut().unwrap().max_connections = 1_000;
        config.limits.http_connections = 0;
        let lines = check(&config, &given(settings).sysctl).into_iter();
        lines.map(|line| line.to_string()).collect()
    }

    #[test]
    fn a_full_table_fails_and_a_small_one_is_warned_of() {
        let of = |count, max| shown(&[(COUNT, count), (MAX, max)], Duration::from_secs(1));
        assert_eq!(of("7", "0"), ["ok    conntrack: the table has no limit"]);
        let enough = of("7", "262144");
        assert!(enough[0].starts_with("ok    conntrack: 7 of 262144 entries are taken, "));
        let nearly = of("65000", "65536");
        assert!(nearly[0].starts_with("warn  conntrack: 65000 of 65536 entries are taken, and"));
        assert!(nearly[0].contains("sysctl -w net.netfilter.nf_conntrack_max=66"));
        for count in ["65536", "65540"] {
            let full = of(count, "65536");
            assert!(full[0].starts_with("fail  conntrack: "), "{full:?}");
        }
        assert!(shown(&[], Duration::from_secs(1)).is_empty());
        assert!(shown(&[(COUNT, "1")], Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn an_entry_must_outlive_the_pause_between_heartbeats() {
        let of = |life, heartbeat| shown(&[(UDP[0], life), (UDP[1], "120")], heartbeat);
        assert!(of("30", Duration::from_secs(10)).is_empty());
        assert!(of("2", Duration::from_millis(100)).is_empty());
        let short = of("10", Duration::from_secs(10));
        assert!(short[0].contains("after 10 s, and heartbeats come every 10s"));
        assert!(
            short[0].contains("nf_conntrack_udp_timeout=30"),
            "{short:?}"
        );
        assert_eq!(of("1", Duration::from_millis(100)).len(), 1);
    }
}
