//! `/etc/hosts` as hosts(5) describes it: pure.

use std::collections::HashMap;
use std::net::IpAddr;

use super::name::without_dot;

/// Most addresses of one name that are kept; more are never dialled.
const MAX_ADDRESSES: usize = 32;

/// The addresses of names, in the file's order.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_name: HashMap<String, Vec<IpAddr>>,
}

impl Hosts {
    /// Reads what makes sense of `text`; the names of one address may stand on many lines, and so may
    /// the addresses of one name.
    pub(super) fn parse(text: &str) -> Self {
        let mut by_name: HashMap<String, Vec<IpAddr>> = HashMap::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for line in text.lines() {
            let line = line.split_once('#').map_or(line, |(line, _)| line);
            let mut words = line.split_ascii_whitespace();
            let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            let ip = ip.to_canonical();
            for name in words {
                let name = without_dot(name).to_ascii_lowercase();
                let addresses = by_name.entry(name).or_default();
                if !addresses.contains(&ip) && addresses.len() < MAX_ADDRESSES {
                    addresses.push(ip);
                }
            }
        }
        Self { by_name }
    }

    /// The addresses of `name`, with or without a trailing dot and in whatever case; empty if the file
    /// does not know it.
    pub(super) fn lookup(&self, name: &str) -> &[IpAddr] {
        let name = without_dot(name).to_ascii_lowercase();
        self.by_name.get(&name).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_addresses_of_all_their_lines() {
        let hosts = Hosts::parse(
            "\u{feff}::ffff:192.0.2.7 mapped\n192.0.2.7 mapped\n127.0.0.1\tlocalhost\n# 192.0.2.1 commented\n192.0.2.1 App.example app # web\n\
             nonsense x.example\n192.0.2.9\n2001:db8::1 app\n192.0.2.1 app\n\
             192.0.2.2 _dmarc.example -odd dotted.example.\r\n",
        );
        for (name, expected) in [
            ("localhost", &["127.0.0.1"][..]),
            ("mapped", &["192.0.2.7"]),
            ("APP", &["192.0.2.1", "2001:db8::1"]),
            ("app.example.", &["192.0.2.1"]),
            ("_dmarc.example", &["192.0.2.2"]),
            ("-odd", &["192.0.2.2"]),
            ("dotted.example", &["192.0.2.2"]),
            ("commented", &[]),
            ("x.example", &[]),
            ("web", &[]),
        ] {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(hosts.lookup(name), expected, "{name}");
        }
    }
}
