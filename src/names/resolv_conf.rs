//! `/etc/resolv.conf` as resolv.conf(5) describes it and glibc reads it: pure.
//!
//! Nothing in it is an error. A line, a word or a server that makes no sense is passed over, because
//! a host with an odd file still resolves names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::name;

/// Servers that are asked; glibc's MAXNS.
const MAX_SERVERS: usize = 3;

/// Domains of the search list. glibc has no bound; each costs a query of every name that is not found.
const MAX_SEARCH: usize = 32;

/// glibc's RES_MAXNDOTS, RES_MAXRETRANS (seconds) and RES_MAXRETRY.
const MAX_NDOTS: usize = 15;
const MAX_TIMEOUT: u64 = 30;
const MAX_ATTEMPTS: usize = 5;

const DNS_PORT: u16 = 53;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Search,
    /// Of each server, `options timeout:`.
    pub(super) timeout: Option<Duration>,
    /// Rounds of all servers, `options attempts:`.
    pub(super) attempts: Option<usize>,
    /// Queries begin with each server in turn.
    pub(super) rotate: bool,
    /// TCP from the start.
    pub(super) use_tcp: bool,
    /// AAAA is never asked for.
    pub(super) no_aaaa: bool,
}

/// How a relative name becomes absolute ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// In order, without trailing dots; the root is the empty text.
    pub(super) domains: Vec<String>,
    /// A name with so many dots is tried as it is first.
    pub(super) ndots: usize,
    /// A name without dots is not tried as it is.
    pub(super) no_tld_query: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            ndots: 1,
            no_tld_query: false,
        }
    }
}

/// Reads `text`. `hostname` gives the search list if the file has none; `interface` tells the index
/// of a network interface.
pub(super) fn parse(
    text: &str,
    hostname: &str,
    interface: impl Fn(&str) -> Option<u32>,
) -> ResolvConf {
    let mut conf = ResolvConf {
        servers: Vec::new(),
        search: Search::default(),
        timeout: None,
        attempts: None,
        rotate: false,
        use_tcp: false,
        no_aaaa: false,
    };
    let mut search = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        // A keyword begins its line.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        match words.next() {
            Some("nameserver") => {
                let server = words.next().and_then(|word| server(word, &interface));
                conf.servers.extend(server);
            }
            Some("domain") => search = Some(domains(words.take(1))),
            Some("search") => search = Some(domains(words)),
            Some("options") => words.for_each(|word| option(&mut conf, word)),
            _ => {}
        }
    }
    conf.servers.truncate(MAX_SERVERS);
    if conf.servers.is_empty() {
        // As glibc: the server on this host.
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT));
        conf.servers.push(local);
    }
    conf.search.domains = search.unwrap_or_else(|| {
        let own = hostname.trim().split_once('.').map(|(_, domain)| domain);
        domains(own.into_iter())
    });
    conf
}

fn server(word: &str, interface: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Ok(ip) = word.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, DNS_PORT));
    }
    let (ip, zone) = word.split_once('%')?;
    let ip = ip.parse::<Ipv6Addr>().ok()?;
    let scope = zone.parse().ok().or_else(|| interface(zone))?;
    Some(SocketAddrV6::new(ip, DNS_PORT, 0, scope).into())
}

/// Domains that names can lie in: `(none)`, which tools write for want of one, is none.
fn domains<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words
        .take_while(|word| !word.starts_with(['#', ';']))
        .map(|word| {
            let relative = word.strip_suffix('.').unwrap_or(word);
            relative.to_ascii_lowercase()
        })
        .filter(|domain| domain.is_empty() || name::is_name(domain))
        .take(MAX_SEARCH)
        .collect()
}

fn option(conf: &mut ResolvConf, word: &str) {
    let (key, value) = word.split_once(':').unwrap_or((word, ""));
    let number = value.parse::<u64>().ok();
    match (key, number) {
        ("ndots", _) if word.contains(':') => {
            // As glibc's atoi has it: the digits that come first, or 0.
            let end = value.find(|c: char| !c.is_ascii_digit());
            let digits = &value[..end.unwrap_or(value.len())];
            let ndots = match digits {
                "" => 0,
                digits => digits.parse().unwrap_or(MAX_NDOTS),
            };
            conf.search.ndots = ndots.min(MAX_NDOTS);
        }
        ("timeout", Some(seconds)) => {
            conf.timeout = Some(Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT)));
        }
        ("attempts", Some(attempts)) => {
            let attempts = usize::try_from(attempts).unwrap_or(MAX_ATTEMPTS);
            conf.attempts = Some(attempts.clamp(1, MAX_ATTEMPTS));
        }
        ("rotate", None) => conf.rotate = true,
        ("use-vc", None) => conf.use_tcp = true,
        ("no-aaaa", None) => conf.no_aaaa = true,
        ("no-tld-query", None) => conf.search.no_tld_query = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ResolvConf {
        parse(text, "box.host.example\n", |name| {
            (name == "eth0").then_some(7)
        })
    }

    fn servers(text: &str) -> Vec<String> {
        let servers = read(text).servers;
        servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_are_read_with_scopes_and_the_first_three_count() {
        assert_eq!(
            servers(
                "; made by hand\nnameserver 192.0.2.1 # first\nnameserver\nnameserver nonsense\n\
                 nameserver fe80::1%eth0\nnameserver fe80::1%gone0\nnameserver fe80::2%3\n\
                 nameserver 192.0.2.4\n  nameserver 192.0.2.5\n"
            ),
            ["192.0.2.1:53", "[fe80::1%7]:53", "[fe80::2%3]:53"]
        );
        for nothing in ["", "nameserver\n", "#nameserver 192.0.2.1\n", "\u{0}\u{1}"] {
            assert_eq!(servers(nothing), ["127.0.0.1:53"], "{nothing:?}");
        }
    }

    #[test]
    fn the_last_search_list_counts_and_the_host_has_one() {
        for (text, expected) in [
            ("", &["host.example"][..]),
            (
                "domain One.example.\nsearch a.example b.example",
                &["a.example", "b.example"],
            ),
            (
                "search a.example\ndomain b.example c.example",
                &["b.example"],
            ),
            ("domain (none)", &[]),
            ("search . _x.example # why", &["", "_x.example"]),
            ("search\n", &[]),
            ("searching a.example", &["host.example"]),
        ] {
            assert_eq!(read(text).search.domains, expected, "{text:?}");
        }
        let bare = parse("", "(none)", |_| None);
        assert!(bare.search.domains.is_empty());
    }

    #[test]
    fn options_are_bounded_and_unknown_ones_passed_over() {
        let conf = read(
            "options ndots:99 timeout:0 attempts:9 rotate use-vc edns0 trust-ad single-request\n\
             options no-aaaa no-tld-query frobnicate:3 timeout:\nsortlist 10.0.0.0\n",
        );
        assert_eq!(conf.search.ndots, 15);
        for (text, ndots) in [("ndots:x", 0), ("ndots:", 0), ("ndots:2x", 2), ("ndots", 1)] {
            let conf = read(&format!("options {text}"));
            assert_eq!(conf.search.ndots, ndots, "{text}");
        }
        assert_eq!(conf.timeout, Some(Duration::from_secs(1)));
        assert_eq!(conf.attempts, Some(5));
        assert!(conf.rotate && conf.use_tcp && conf.no_aaaa && conf.search.no_tld_query);
        let plain = read("options ndots:2");
        assert_eq!(plain.search.ndots, 2);
        assert_eq!((plain.timeout, plain.attempts), (None, None));
    }
}
