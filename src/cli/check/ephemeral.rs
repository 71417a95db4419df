//! Whether the host has enough ports for what an exit dials, and none of the file's among them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::sysctl::Sysctl;
use super::{CheckLine, connections};
use crate::config::Config;

const SUBJECT: &str = "ephemeral ports";

/// Connections to expect to one target: the default of `socks5.max_connections`, as many as one ingress
/// may send.
const ONE_TARGET: usize = 10_000;

const RANGE: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

/// Both families take their ports from one range.
pub(super) fn check(config: &Config, sysctl: &Sysctl) -> Vec<CheckLine> {
    let Some(range) = sysctl.text(RANGE).as_deref().and_then(range) else {
        return Vec::new();
    };
    let reserved = sysctl.text(RESERVED).unwrap_or_default();
    let reserved = reserved_ports(&reserved);
    let mut lines = Vec::new();
    lines.extend(enough(config, &range, &reserved));
    lines.extend(fixed(config, &range, &reserved));
    lines
}

/// A port of the range serves one connection to each address and port of a target.
fn enough(
    config: &Config,
    range: &RangeInclusive<u16>,
    reserved: &[RangeInclusive<u16>],
) -> Option<CheckLine> {
    let needed = connections::targets(config).min(ONE_TARGET);
    if needed == 0 {
        return None;
    }
    let is_free = |port: &u16| !holds(reserved, *port);
    let count = range.clone().filter(is_free).count();
    let (first, last) = (range.start(), range.end());
    Some(if count < needed {
        let text = format!(
            "{count} ({first} to {last}): no more connections can be open to one address and port of a \
             target, and an ingress may send {needed}; `sysctl -w {RANGE}=\"10240 65535\"`"
        );
        CheckLine::warn(SUBJECT, text)
    } else {
        CheckLine::ok(SUBJECT, format!("{count} ({first} to {last})"))
    })
}

/// Any connection of this host may hold such a port when the agent is started next.
fn fixed(
    config: &Config,
    range: &RangeInclusive<u16>,
    reserved: &[RangeInclusive<u16>],
) -> Option<CheckLine> {
    let listeners = config.listeners.iter().map(|l| l.address);
    let socks5 = config.socks5.iter().map(|s| s.address);
    let http = config.http.iter().map(|h| h.address);
    let addresses = listeners.chain(socks5).chain(http);
    let at_risk = addresses
        .map(|address: SocketAddr| address.port())
        .filter(|port| range.contains(port) && !holds(reserved, *port));
    let mut ports: Vec<u16> = at_risk.collect();
    ports.sort_unstable();
    ports.dedup();
    if ports.is_empty() {
        return None;
    }
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>();
    let ports = ports.join(",");
    let (first, last) = (range.start(), range.end());
    let text = format!(
        "the file listens at {ports}, which any connection of this host may hold at the next start: take \
         ports outside {first} to {last}, or add them to {RESERVED}"
    );
    Some(CheckLine::warn(SUBJECT, text))
}

/// `32768\t60999`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut bounds = text.split_ascii_whitespace().map(str::parse);
    Some(bounds.next()?.ok()?..=bounds.next()?.ok()?)
}

/// `8080,9100-9200`.
fn reserved_ports(text: &str) -> Vec<RangeInclusive<u16>> {
    let parse = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(parse).collect()
}

fn holds(ranges: &[RangeInclusive<u16>], port: u16) -> bool {
    ranges.iter().any(|range| range.contains(&port))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::super::sysctl::testing::given;
    use super::*;
    use crate::config::Listener;

    fn shown(config: &Config, range: &str, reserved: &str) -> Vec<String> {
        let given = given(&[(RANGE, range), (RESERVED, reserved)]);
        let lines = check(config, &given.sysctl).into_iter();
        lines.map(|line| line.to_string()).collect()
    }

    #[test]
    fn an_exit_needs_a_port_for_each_connection_to_one_target() {
        let exit = fixture::exit();
        assert_eq!(
            shown(&exit, "32768\t60999", ""),
            ["ok    ephemeral ports: 28232 (32768 to 60999)"]
        );
        for (range, reserved, count) in [
            ("50000\t50999", "", "1000"),
            ("40000\t50999", "1,40000-49999,x,65535", "1000"),
            ("2\t1", "", "0"),
        ] {
            let lines = shown(&exit, range, reserved);
            let start = format!("warn  ephemeral ports: {count} (");
            assert!(lines[0].starts_with(&start), "{lines:?}");
        }
        assert!(shown(&fixture::ingress(), "50000\t50999", "").is_empty());
        for odd in ["", "1", "a b", "1 70000"] {
            assert!(shown(&exit, odd, "").is_empty(), "{odd}");
        }
    }

    #[test]
    fn ports_of_the_file_are_not_among_them() {
        let mut config = fixture::ingress();
        config.listeners = vec![
            Listener {
                address: "0.0.0.0:40001".parse().unwrap(),
            },
            Listener {
                address: "[::]:4433".parse().unwrap(),
            },
        ];
        config.http.as_mut().unwrap().address = "127.0.0.1:40000".parse().unwrap();
        let lines = shown(&config, "32768\t60999", "");
        assert!(
            lines[0].contains("the file listens at 40000,40001, which"),
            "{lines:?}"
        );
        assert!(shown(&config, "32768\t60999", "40000-40001").is_empty());
        assert!(shown(&config, "10000\t20000", "").is_empty());
    }
}
