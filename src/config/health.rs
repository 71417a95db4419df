//! The list `exit.health_checks`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use hyper::Uri;
use ipnet::IpNet;

use super::error::Problem;
use super::reader::distinct;
use super::scalar::{self, quote, show_duration};
use super::section::Section;
use super::suggest::nearest;
use super::{Guards, HealthCheck, HealthTarget, HostPort, Limits, Route};
use crate::identity::DomainPattern;
use crate::text::NAME_BYTES;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// Three in a row are no accident; two prove that a service that flaps came back.
const DEFAULT_FALL: u32 = 3;
const DEFAULT_RISE: u32 = 2;
const COUNTS: RangeInclusive<u32> = 1..=100;

const STATUSES: RangeInclusive<u16> = 100..=599;

const HTTP_PORT: u16 = 80;

/// An exit with more routes gets no "did you mean": a file full of faults stays cheap.
const MAX_COMPARED: usize = 64;

/// Reads the checks of an exit with these routes.
pub(super) fn health_checks(
    exit: &mut Section<'_>,
    routes: &[IpNet],
    domains: &[DomainPattern],
    limits: &Limits,
) -> Vec<HealthCheck> {
    let items = exit.items("health_checks").unwrap_or_default();
    if items.len() > limits.health_checks
        && let Some(item) = items.last()
    {
        let (count, limit) = (items.len(), limits.health_checks);
        item.invalid(format!(
            "{count} checks; limits.health_checks allows {limit}"
        ));
    }
    let own = Own::new(routes, domains);
    let mut names = HashMap::new();
    let mut checks = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(check) = check(item.section(), &own) else {
            continue;
        };
        if let Some(first) = names.insert(check.name.clone(), index) {
            item.invalid(format!(
                "has the name of health_checks[{first}], `{}`; give each a `name` of its own",
                check.name
            ));
        }
        checks.push(check);
    }
    checks
}

fn check(mut section: Section<'_>, own: &Own) -> Option<HealthCheck> {
    let s = &mut section;
    let target = target(s);
    let name = s.parse("name", "a name", name);
    let interval = s.duration("interval", INTERVALS);
    let interval = interval.unwrap_or(DEFAULT_INTERVAL);
    let timeout = s.duration("timeout", TIMEOUTS);
    if timeout.is_some_and(|timeout| timeout > interval)
        && let Some(value) = s.value("timeout")
    {
        value.invalid(format!(
            "longer than the interval ({}); a check ends before the next one starts",
            show_duration(interval)
        ));
    }
    let fall = s.number("fall", COUNTS).unwrap_or(DEFAULT_FALL);
    let rise = s.number("rise", COUNTS).unwrap_or(DEFAULT_RISE);
    let guards = guards(s, own);
    let target = target?;
    Some(HealthCheck {
        name: name.unwrap_or_else(|| target.to_string()),
        target,
        interval,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT).min(interval),
        fall,
        rise,
        guards,
    })
}

/// What is asked: exactly one of `tcp` and `http`.
fn target(section: &mut Section<'_>) -> Option<HealthTarget> {
    let tcp = section.parse("tcp", "host:port", scalar::dial_address);
    let http = section.parse("http", "a URL", url);
    let status = section.number("status", STATUSES);
    match (section.value("tcp"), section.value("http")) {
        (None, None) => {
            let hint = "names no target; give tcp: host:port, or http: http://host:port/path";
            section.report(Problem::Invalid(hint.to_owned()));
            return None;
        }
        (Some(_), Some(http)) => {
            http.invalid("a check has one target; remove tcp or http");
            return None;
        }
        (Some(_), None) => {
            if let Some(value) = section.value("status") {
                value.invalid("a tcp check has no status; remove it, or use http");
            }
        }
        (None, Some(_)) => {}
    }
    match (tcp, http) {
        (Some(address), _) => Some(HealthTarget::Tcp(address)),
        (None, Some((host, path))) => Some(HealthTarget::Http { host, path, status }),
        (None, None) => None,
    }
}

/// Host, port and path of `http://host:port/path`.
fn url(text: &str) -> Result<(HostPort, String), String> {
    let error = |reason: &str| match text.contains('@') {
        // What stands before it may be a password.
        true => Err(format!("{reason}; if it holds a user, remove it")),
        false => Err(format!("{} {reason}", quote(text))),
    };
    let form = "is not a URL to check; write http://host:port/path";
    if text.starts_with("https:") {
        return error("asks for TLS, which checks do not speak; use http, or tcp: host:port");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return error(form);
    };
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return error(form);
    };
    if authority.as_str().contains('@') {
        return Err("holds a user, but checks do not log in; remove it".to_owned());
    }
    if text.contains('#') {
        return error("holds a fragment, which is never sent; remove it");
    }
    let address = match authority.as_str() == authority.host() {
        true => scalar::dial_address(&format!("{authority}:{HTTP_PORT}")),
        false => scalar::dial_address(authority.as_str()),
    };
    let address = match address {
        Ok(address) => address,
        Err(_) if text.contains('@') => return error(form),
        Err(reason) => return Err(reason),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Ok((address, path.to_owned()))
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES {
        return Err(format!(
            "has {} bytes; a name has 1 to {NAME_BYTES}",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} holds control characters", quote(text)));
    }
    Ok(text.to_owned())
}

/// The routes that fall with the check.
fn guards(section: &mut Section<'_>, own: &Own) -> Guards {
    if section.value("routes").is_none() {
        return Guards::All;
    }
    if section.lacks("routes")
        && let Some(value) = section.value("routes")
    {
        value.invalid("guards nothing; name routes, or remove the key to guard all of them");
    }
    let routes = section.list("routes", "a route", |text| own.route(text));
    Guards::These(distinct(routes))
}

/// The routes of the exit whose checks are read.
struct Own(HashSet<Route>);

impl Own {
    fn new(routes: &[IpNet], domains: &[DomainPattern]) -> Self {
        let prefixes = routes.iter().copied().map(Route::Prefix);
        let domains = domains.iter().cloned().map(Route::Domain);
        Self(prefixes.chain(domains).collect())
    }

    /// The route that `text` names.
    fn route(&self, text: &str) -> Result<Route, String> {
        let is_prefix = text.contains('/') || text.parse::<IpAddr>().is_ok();
        let route = match is_prefix {
            true => Route::Prefix(scalar::prefix(text)?),
            false => Route::Domain(scalar::domain(text)?),
        };
        if self.0.contains(&route) {
            return Ok(route);
        }
        let reason = "is not in exit.routes or exit.domain_routes";
        Err(match self.nearest(text) {
            Some(near) => format!("{} {reason}; did you mean {near}?", quote(text)),
            None => format!("{} {reason}; guard a route that is", quote(text)),
        })
    }

    fn nearest(&self, text: &str) -> Option<String> {
        if self.0.len() > MAX_COMPARED {
            return None;
        }
        let mut known: Vec<String> = self.0.iter().map(Route::to_string).collect();
        known.sort();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        nearest(text, &known).map(str::to_owned)
    }
}
