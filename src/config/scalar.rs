//! Text to values: numbers, durations, sizes, addresses, prefixes, hashes. Errors are the sentence
//! that the user reads behind the key.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::suggest::nearest;
use super::value::{HostPort, PasswordHash};
use crate::canonical;
use crate::identity::{AgentId, DomainPattern, Revocation, password};

/// The port of DNS, for servers given without one.
const DNS_PORT: u16 = 53;

const BINARY_UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A user's text inside a message.
pub(super) fn quote(text: &str) -> String {
    format!("`{}`", shown(text))
}

/// A user's text on one line, short, and without what may be a secret: what stands before an `@` (a
/// user and a password), and the query of a URL.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let (before, text) = match text.rfind('@') {
        Some(at) => ("***", &text[at..]),
        None => ("", text),
    };
    let (text, after) = match text.find('?') {
        Some(query) if query + 1 < text.len() => (&text[..=query], "***"),
        Some(_) | None => (text, ""),
    };
    let mut shown = before.to_owned();
    for character in text.chars().take(LONGEST) {
        match character {
            // Quotes and backslashes are what the user typed; only what breaks a line is escaped.
            '\\' | '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown.push_str(after);
    shown
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("expected true or false, found {}", quote(text))),
    }
}

pub(super) fn number<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let (least, most) = (range.start(), range.end());
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "expected a number from {least} to {most}, found {}",
            quote(text)
        )),
    }
}

pub(super) fn in_range<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    show: fn(T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (show(*range.start()), show(*range.end()));
    Err(format!(
        "{} is out of range; from {least} to {most}",
        show(value)
    ))
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    Err(match nearest(text, &words) {
        Some(word) => format!("{} is not known; did you mean {word}?", quote(text)),
        None => format!(
            "{} is not known; it is one of {}",
            quote(text),
            words.join(", ")
        ),
    })
}

/// A whole number and one of `ms`, `s`, `m`, `h`. Nothing needs no unit: `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let error = || {
        let hint = "write a whole number and a unit: 500ms, 30s, 5m, 1h";
        format!("{} is not a duration; {hint}", quote(text))
    };
    let (number, unit) = split_number(text).ok_or_else(error)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(error()),
    };
    let millis = number.checked_mul(millis_per_unit).ok_or_else(error)?;
    Ok(Duration::from_millis(millis))
}

/// The shortest text that [`duration`] reads back as `duration`. Less than a millisecond is lost.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, millis_per_unit) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis >= millis_per_unit && millis.is_multiple_of(millis_per_unit) {
            return format!("{}{unit}", millis / millis_per_unit);
        }
    }
    format!("{millis}ms")
}

/// A whole number of bytes, or of `KiB`, `MiB`, `GiB`.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let error = || {
        let hint = "write bytes, or a whole number and KiB, MiB or GiB: 4096, 64KiB";
        format!("{} is not a size; {hint}", quote(text))
    };
    let (number, unit) = split_number(text).ok_or_else(error)?;
    let number = usize::try_from(number).map_err(|_| error())?;
    if unit.is_empty() {
        return Ok(number);
    }
    let (_, factor) = BINARY_UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(error)?;
    number.checked_mul(factor).ok_or_else(error)
}

/// The shortest text that [`size`] reads back as `bytes`.
pub(super) fn show_size(bytes: usize) -> String {
    for (unit, factor) in BINARY_UNITS {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// An address to listen on: `ip:port`, `localhost:port`, or `:port` for all IPv4 interfaces.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let (host, port) = host_and_port(text)?;
    let address = match host {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => host.parse().map_err(|_| {
            let hint = "listen on an IP address of this host, on localhost, or on :port";
            format!("{} is not an IP address; {hint}", quote(host))
        })?,
    };
    Ok(canonical::socket_address(SocketAddr::new(address, port)))
}

/// An address to dial: a name or an IP address, and a port.
pub(super) fn dial_address(text: &str) -> Result<HostPort, String> {
    let (host, port) = host_and_port(text)?;
    if host.is_empty() {
        return Err(format!("{} names no host; write host{text}", quote(text)));
    }
    if port == 0 {
        return Err(format!(
            "{} has port 0, which cannot be dialled",
            quote(text)
        ));
    }
    let host = match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) if is_host_name(host) => host.to_owned(),
        Err(_) => {
            return Err(format!(
                "{} is neither an IP address nor a host name",
                quote(host)
            ));
        }
    };
    Ok(HostPort { host, port })
}

/// A DNS server: an IP address, with a port if it is not 53.
pub(super) fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address.to_canonical(), DNS_PORT));
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(canonical::socket_address(address)),
        _ => Err(format!(
            "{} is not a DNS server; write ip or ip:port: 10.0.0.1:53",
            quote(text)
        )),
    }
}

/// A CIDR prefix in canonical form.
pub(super) fn prefix(text: &str) -> Result<IpNet, String> {
    canonical::parse_prefix(text).map_err(|error| format!("{} {error}", quote(text)))
}

pub(super) fn domain(text: &str) -> Result<DomainPattern, String> {
    text.parse()
        .map_err(|error: crate::identity::DomainPatternError| {
            format!("{} is not a domain pattern: {}", quote(text), error.reason)
        })
}

pub(super) fn agent_id(text: &str) -> Result<AgentId, String> {
    text.parse()
        .map_err(|_| format!("{} is not an agent id; expected 32 hex digits", quote(text)))
}

pub(super) fn revocation(text: &str) -> Result<Revocation, String> {
    text.parse().map_err(|()| {
        let hint =
            "neither an agent id (32 hex digits) nor `serial:` and a certificate's serial number";
        format!("{} is {hint}", quote(text))
    })
}

/// An argon2 or bcrypt hash. The text may be a secret and is never repeated.
pub(super) fn password_hash(text: &str) -> Result<PasswordHash, String> {
    match password::check_format(text) {
        Ok(()) => Ok(PasswordHash::inline(text)),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a text that stands for a path is what such a file would hold, and may be a secret.
pub(super) fn is_no_path(text: &str) -> bool {
    text.contains("-----BEGIN ") || password::check_format(text).is_ok()
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

/// Splits at the last colon and takes brackets off an IPv6 address.
fn host_and_port(text: &str) -> Result<(&str, u16), String> {
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("{} has no port; write host:port", quote(text)));
    };
    // `u16::from_str` also takes a sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = match port.parse() {
        Ok(port) if digits => port,
        _ => {
            let reason = "is not a port, a number from 0 to 65535";
            return Err(format!("{} {reason}", quote(port)));
        }
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => Ok((inner, port)),
        Some(inner) => Err(format!("{} is not an IPv6 address", quote(inner))),
        None if host.contains(':') => Err(format!(
            "{} is not host:port; write IPv6 addresses in brackets: [::1]:4433",
            quote(text)
        )),
        None => Ok((host, port)),
    }
}

/// RFC 1123 host names, and the underscores that real zones hold.
fn is_host_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let looks_numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    !looks_numeric && !name.contains('*') && name.parse::<DomainPattern>().is_ok()
}

#[cfg(test)]
mod tests;
