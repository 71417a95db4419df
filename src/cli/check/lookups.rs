//! Whether the names in the file have addresses, and such as an exit may dial.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::CheckLine;
use crate::config::{Config, HealthTarget};
use crate::exit::{self, Acl};
use crate::names::{Families, Lookup, LookupError, Resolver, SystemFiles};

/// For each name: a server on this planet answers in a tenth of it, and all names are asked for
/// together.
const PATIENCE: Duration = Duration::from_secs(3);

/// Names that are looked up of one kind: an exit may have a hundred thousand domain routes.
const MAX_NAMES: usize = 64;

const AT_ONCE: usize = 16;

/// What a name is for, and so what becomes of one without an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing links to it.
    Peer,
    /// The check is down, and what it guards is withdrawn.
    HealthCheck,
    /// Connections to it are refused.
    DomainRoute,
}

/// Looks up every name that the file gives, by whom the agent would ask.
pub(super) async fn check(config: &Config) -> Vec<CheckLine> {
    let system = Resolver::of_system(&SystemFiles::default(), PATIENCE, false);
    let peers = config.peers.iter().map(|peer| peer.address.host.as_str());
    let mut lines = of_kind(Kind::Peer, names(peers), &system, None).await;
    let Some(exit) = &config.exit else {
        return lines;
    };
    let own = exit::resolver(&exit.dns);
    let checks = exit.health_checks.iter().map(|check| match &check.target {
        HealthTarget::Tcp(host) | HealthTarget::Http { host, .. } => host.host.as_str(),
    });
    lines.extend(of_kind(Kind::HealthCheck, names(checks), &own, None).await);
    let patterns: Vec<String> = exit.domain_routes.iter().map(ToString::to_string).collect();
    let single = patterns.iter().filter(|pattern| !pattern.starts_with("*."));
    let single = names(single.map(String::as_str));
    let acl = Acl::new(exit);
    lines.extend(of_kind(Kind::DomainRoute, single, &own, Some(&acl)).await);
    lines
}

/// Those that are no addresses, each once.
fn names<'a>(hosts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for host in hosts.filter(|host| host.parse::<IpAddr>().is_err()) {
        if !names.contains(&host) && names.len() < MAX_NAMES {
            names.push(host);
        }
    }
    names
}

async fn of_kind(
    kind: Kind,
    names: Vec<&str>,
    resolver: &Resolver,
    acl: Option<&Acl>,
) -> Vec<CheckLine> {
    let lookups = stream::iter(names).map(|name| async move {
        let lookup = resolver.lookup(name, Families::BOTH);
        kind.line(name, &whole(lookup).await, acl)
    });
    lookups.buffered(AT_ONCE).collect().await
}

async fn whole(mut lookup: Lookup) -> Result<Vec<IpAddr>, LookupError> {
    let mut addresses = Vec::new();
    while let Some(part) = lookup.next().await {
        match part {
            Ok(part) => addresses.extend(part.addresses),
            Err(error) => return Err(error),
        }
    }
    Ok(addresses)
}

impl Kind {
    fn subject(self) -> &'static str {
        match self {
            Self::Peer => "peers",
            Self::HealthCheck => "exit.health_checks",
            Self::DomainRoute => "exit.domain_routes",
        }
    }

    fn line(
        self,
        name: &str,
        looked_up: &Result<Vec<IpAddr>, LookupError>,
        acl: Option<&Acl>,
    ) -> CheckLine {
        let subject = self.subject();
        let addresses = match looked_up {
            Ok(addresses) => addresses,
            // It may answer by the time the agent runs.
            Err(error) => return CheckLine::warn(subject, error.to_string()),
        };
        if addresses.is_empty() {
            let text = format!("{name} has no address: {}", self.consequence());
            return match self {
                Self::Peer => CheckLine::fail(subject, text),
                Self::HealthCheck | Self::DomainRoute => CheckLine::warn(subject, text),
            };
        }
        let shown = addresses.iter().map(IpAddr::to_string);
        let shown = shown.collect::<Vec<_>>().join(", ");
        let is_open = acl.is_none_or(|acl| addresses.iter().any(|ip| acl.allows(*ip)));
        if !is_open {
            let text = format!(
                "{name} has the address {shown}, which exit.routes do not allow: connections to it are \
                 refused; add a route that holds it"
            );
            return CheckLine::warn(subject, text);
        }
        CheckLine::ok(subject, format!("{name} has the address {shown}"))
    }

    fn consequence(self) -> &'static str {
        match self {
            Self::Peer => "no link to it comes about; correct the name, or the DNS",
            Self::HealthCheck => "the check is down, and the routes that it guards are withdrawn",
            Self::DomainRoute => "connections to it are refused (0x04)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::names::LookupError;

    fn line(kind: Kind, found: &[&str]) -> String {
        let mut exit = fixture::exit().exit.unwrap();
        exit.routes = vec!["10.0.0.0/8".parse().unwrap()];
        let acl = (kind == Kind::DomainRoute).then(|| Acl::new(&exit));
        let found = found.iter().map(|ip| ip.parse().unwrap()).collect();
        kind.line("app.example", &Ok(found), acl.as_ref())
            .to_string()
    }

    #[test]
    fn a_name_without_an_address_is_told_by_what_it_costs() {
        let peer = line(Kind::Peer, &[]);
        assert!(peer.starts_with("fail  peers: app.example has no address: no link"));
        let check = line(Kind::HealthCheck, &[]);
        assert!(
            check.starts_with("warn  exit.health_checks: app.example has no address: the check")
        );
        let route = line(Kind::DomainRoute, &[]);
        assert!(route.starts_with("warn  exit.domain_routes: app.example has no address: conn"));
        assert_eq!(
            line(Kind::Peer, &["192.0.2.1", "2001:db8::1"]),
            "ok    peers: app.example has the address 192.0.2.1, 2001:db8::1"
        );
    }

    #[test]
    fn a_domain_route_leads_where_the_exit_may_dial() {
        assert!(line(Kind::DomainRoute, &["192.0.2.1", "10.0.0.1"]).starts_with("ok "));
        let outside = line(Kind::DomainRoute, &["192.0.2.1"]);
        assert!(
            outside.starts_with(
                "warn  exit.domain_routes: app.example has the address 192.0.2.1, which"
            ),
            "{outside}"
        );
    }

    #[test]
    fn a_resolver_in_trouble_is_a_warning() {
        let error = LookupError::TimedOut {
            name: "app.example".into(),
            timeout: PATIENCE,
        };
        let line = Kind::Peer
            .line("app.example", &Err(error), None)
            .to_string();
        assert_eq!(
            line,
            "warn  peers: no resolver answered for app.example within 3000 ms"
        );
    }

    #[test]
    fn each_name_is_asked_for_once_and_addresses_never() {
        let hosts = ["a.example", "192.0.2.1", "a.example", "2001:db8::1", "b"];
        assert_eq!(names(hosts.into_iter()), ["a.example", "b"]);
        let many: Vec<String> = (0..100).map(|n| n.to_string() + ".example").collect();
        assert_eq!(names(many.iter().map(String::as_str)).len(), MAX_NAMES);
    }
}
