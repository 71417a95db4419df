//! Requests from this host that this host's operator did not mean: a browser that a foreign page
//! steers, or a proxy that passes a stranger on.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// Headers that a proxy adds. Behind one, "from loopback" says nothing about the caller.
const FORWARDED: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];

/// Why a request from loopback is not taken as the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Suspicious {
    /// DNS rebinding: a foreign name was made to point at this host.
    #[error(
        "the Host header names neither `localhost` nor an IP address; use one of them in the URL"
    )]
    Host,
    #[error("management refuses requests of other sites' pages")]
    Origin,
    #[error("the request came through a proxy, so it needs the management token")]
    Proxied,
}

impl Suspicious {
    /// The metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Proxied => "proxied",
        }
    }
}

/// Whether a request that came from loopback may pass for the operator's own.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Suspicious> {
    if FORWARDED.iter().any(|name| headers.contains_key(*name)) {
        return Err(Suspicious::Proxied);
    }
    // HTTP/1.0 clients may send no Host; browsers always do.
    let hosts = headers.get_all(header::HOST);
    let local = |host: &HeaderValue| {
        let authority = host.to_str().ok().and_then(|host| host.parse().ok());
        authority.as_ref().is_some_and(is_local)
    };
    if !hosts.iter().all(local) || !uri.authority().is_none_or(is_local) {
        return Err(Suspicious::Host);
    }
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    let foreign = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let authority = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        authority.is_none() || authority != host
    };
    if headers.get_all(header::ORIGIN).iter().any(foreign) {
        return Err(Suspicious::Origin);
    }
    // `none` is a URL that the user typed.
    let same_site = |site: &HeaderValue| site == "same-origin" || site == "none";
    if !headers.get_all("sec-fetch-site").iter().all(same_site) {
        return Err(Suspicious::Origin);
    }
    Ok(())
}

/// Digits, or nothing as RFC 3986 section 3.2.3 allows.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// Names that no foreign page can be served under: rebinding needs a name in the DNS, and
/// RFC 6761 section 6.3 keeps `localhost` out of it.
fn is_local(authority: &Authority) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    // The parser takes `[::1]evil` for the host `[::1]`.
    let rest = authority.as_str().strip_prefix(host);
    let is_none_or_port =
        |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    if !rest.is_some_and(is_none_or_port) {
        return false;
    }
    let host = host.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if bare.unwrap_or(&host).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.strip_suffix('.').unwrap_or(&host);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(headers: &[(&'static str, &'static str)]) -> Result<(), Suspicious> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name = name.parse::<header::HeaderName>().unwrap();
                (name, HeaderValue::from_static(value))
            })
            .collect();
        check(&Uri::from_static("/api/peers"), &headers)
    }

    #[test]
    fn local_hosts_pass() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "warren.localhost",
            "localhost.:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "192.0.2.7",
            "[::1]",
            "127.0.0.1:",
        ] {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
        }
        assert_eq!(checked(&[]), Ok(()));
    }

    #[test]
    fn names_of_others_do_not() {
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "[::1]evil",
            "[::1]evil.example:8080",
            "[::1].evil.example",
            "[::1]:80evil",
            "[::1]:8080:8080",
            "[::1",
            "::1]",
            "[[::1]]",
            "127.0.0.1:evil",
            "127.0.0.1:99999",
            "localhost:+80",
            "127.0.0.1,evil.example",
            "127.0.0.1/evil",
            "localhost@evil.example",
            "evil.example@localhost",
            "",
            "a b",
        ] {
            assert_eq!(checked(&[("host", host)]), Err(Suspicious::Host), "{host}");
        }
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(checked(&two), Err(Suspicious::Host));
        let absolute = Uri::from_static("http://evil.example/api/peers");
        assert_eq!(check(&absolute, &HeaderMap::new()), Err(Suspicious::Host));
    }

    #[test]
    fn pages_of_other_origins_do_not() {
        let host = ("host", "localhost:8080");
        for (header, value, verdict) in [
            ("origin", "http://localhost:8080", Ok(())),
            ("origin", "http://localhost:9090", Err(Suspicious::Origin)),
            ("origin", "http://evil.example", Err(Suspicious::Origin)),
            ("origin", "null", Err(Suspicious::Origin)),
            ("sec-fetch-site", "same-origin", Ok(())),
            ("sec-fetch-site", "none", Ok(())),
            ("sec-fetch-site", "same-site", Err(Suspicious::Origin)),
            ("sec-fetch-site", "cross-site", Err(Suspicious::Origin)),
        ] {
            assert_eq!(checked(&[host, (header, value)]), verdict, "{value}");
        }
    }

    #[test]
    fn what_a_proxy_passes_on_does_not() {
        for header in FORWARDED {
            let headers = [("host", "localhost"), (header, "192.0.2.9")];
            assert_eq!(checked(&headers), Err(Suspicious::Proxied), "{header}");
        }
    }
}
