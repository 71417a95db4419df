//! What begins like a grant. A certificate on which somebody wrote a grant, and which grants nothing
//! because of a slip, must not pass for one without grants, which is unrestricted.

/// What grants are of.
const KINDS: [&str; 7] = [
    "route",
    "domain",
    "resolve",
    "group",
    "role",
    "none",
    "unrestricted",
];

/// The scheme of grants without its colon.
const NAME: &str = "warren";

/// Whether `text` begins like a grant, however it is spelt: with blanks or quotes before it, in other
/// case, as a URN or with slashes, with another character for the colon, with a slip in the scheme or
/// without it. A name such as `warren-exit-1` or `warren.domain.example` does not.
pub(super) fn is_like_grant(text: &str) -> bool {
    let text = plain(text);
    let text = ["urn:", "uri:", "url:"]
        .iter()
        .find_map(|before| text.strip_prefix(before))
        .unwrap_or(&text);
    let (scheme, rest) = word(text);
    if scheme == NAME && rest.trim_start().starts_with(is_mark) {
        return true;
    }
    // A kind alone, with what is granted behind it.
    if KINDS[..4].contains(&scheme) && rest.starts_with(is_mark) {
        return true;
    }
    let gap = rest.len()
        - rest
            .trim_start_matches(|c: char| !c.is_alphanumeric())
            .len();
    let (kind, after) = word(&rest[gap..]);
    let is_kind = KINDS.contains(&kind) && after.starts_with(|c: char| is_mark(c) || c == ' ');
    is_kind && (scheme == NAME || rest[..gap].contains(is_mark))
}

/// Whether `text` begins with the scheme of grants and a kind of grant, with any character that may
/// stand for a colon between or behind them.
pub(super) fn is_named_grant(text: &str) -> bool {
    let text = plain(text);
    let (scheme, rest) = word(&text);
    let kind = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    let gap = &rest[..rest.len() - kind.len()];
    let (kind, after) = word(kind);
    scheme == NAME && KINDS.contains(&kind) && (gap.contains(is_mark) || after.starts_with(is_mark))
}

/// Whether DER bytes hold the scheme of grants anywhere, in ASCII or in wider characters.
pub(super) fn holds_scheme(der: &[u8]) -> bool {
    holds(der, |_| true)
}

/// Whether DER bytes hold the scheme and a kind of grant anywhere, in ASCII or in wider characters.
pub(super) fn holds_grant(der: &[u8]) -> bool {
    holds(der, |rest| {
        let begins = |kind: &str| {
            let begin = rest.get(..kind.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(kind.as_bytes()))
        };
        KINDS.iter().any(|kind| begins(kind))
    })
}

/// Whether the scheme stands anywhere in front of what `follows`.
fn holds(der: &[u8], follows: impl Fn(&[u8]) -> bool) -> bool {
    let narrow: Vec<u8> = der.iter().copied().filter(|byte| *byte != 0).collect();
    let scheme = [NAME.as_bytes(), b":"].concat();
    let mut places = narrow.windows(scheme.len()).enumerate();
    places.any(|(at, place)| {
        place.eq_ignore_ascii_case(&scheme) && follows(&narrow[at + scheme.len()..])
    })
}

/// Lower case, with nothing before the first letter or digit, ASCII's colon for others, and none of
/// the NULs that wide characters have.
fn plain(text: &str) -> String {
    let text = text.replace("%3a", ":").replace("%3A", ":");
    let text = text.replace(['\u{ff1a}', '\u{a789}', '\u{2236}'], ":");
    let text: String = text
        .chars()
        .filter(|c| *c != '\0' && *c != '\u{200b}' && *c != '\u{feff}')
        .flat_map(char::to_lowercase)
        .collect();
    let begin = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    begin.to_owned()
}

/// What may stand for the colon behind a scheme or kind.
fn is_mark(c: char) -> bool {
    matches!(c, ':' | '=' | '/' | '|' | ';')
}

/// The letters and digits at the begin, and the rest.
fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_grants_are_seen() {
        for text in [
            "warren:route:10.0.0.0/8",
            " warren:route:10.0.0.0/8",
            "\twarren:route:10.0.0.0/8",
            "\u{a0}warren:route:10.0.0.0/8",
            "\u{200b}warren:route:10.0.0.0/8",
            "\"warren:route:10.0.0.0/8\"",
            "Warren:Route:10.0.0.0/8",
            "warren :route:10.0.0.0/8",
            "warren%3Aroute%3A10.0.0.0/8",
            "warren\u{ff1a}route\u{ff1a}10.0.0.0/8",
            "warren://route/10.0.0.0/8",
            "warren=route=10.0.0.0/8",
            "warren/route/10.0.0.0/8",
            "warren-route:10.0.0.0/8",
            "warren.route:10.0.0.0/8",
            "warren route 10.0.0.0/8",
            "urn:warren:route:10.0.0.0/8",
            "URI:warren:route:10.0.0.0/8",
            "waren:route:10.0.0.0/8",
            "x:domain:*.corp.example",
            "route:10.0.0.0/8",
            "domain:*.corp.example",
            "resolve:*",
            "group:ops",
            "warren/group/ops",
            "waren:group:ops",
            "w\0a\0r\0r\0e\0n\0:\0r\0",
            "warren:",
        ] {
            assert!(is_like_grant(text), "{text:?}");
        }
    }

    #[test]
    fn names_are_no_grants() {
        for text in [
            "",
            "warren",
            "warren development",
            "warren-exit-1",
            "warren-router-1",
            "warren.example",
            "warren.domain.example",
            "warrenroute.example",
            "warre",
            "spiffe://mesh/agent",
            "https://agent.example/warren:route:10.0.0.0/8",
            "exit-a",
            "domain.example",
            "route 66",
            "none",
            "group",
            "group.example",
            "Example mesh: exits",
        ] {
            assert!(!is_like_grant(text), "{text:?}");
        }
    }

    #[test]
    fn a_grant_in_a_name_has_the_scheme_and_a_kind() {
        for text in [
            "warren:route:10.0.0.0/8",
            " Warren:Domain:*.corp.example",
            "warren/route/10.0.0.0/8",
            "warren-route:10.0.0.0/8",
            "warren:none",
        ] {
            assert!(is_named_grant(text), "{text:?}");
        }
        for text in [
            "domain/servers",
            "route=66",
            "x:domain:servers",
            "warren:",
            "warren: exits",
            "warren-exit-1",
            "warren.domain.example",
            "warren none",
        ] {
            assert!(!is_named_grant(text), "{text:?}");
        }
    }

    #[test]
    fn a_grant_in_bytes_has_a_kind() {
        assert!(holds_grant(b"\x04\x10xWarren:Route:10.0.0.0/8"));
        assert!(holds_grant(b"\0w\0a\0r\0r\0e\0n\0:\0n\0o\0n\0e"));
        for bytes in [
            &b"http://warren:8080/ca.crl"[..],
            b"warren:",
            b"warren:rout",
        ] {
            assert!(!holds_grant(bytes));
        }
    }

    #[test]
    fn the_scheme_is_found_inside_of_bytes() {
        assert!(holds_scheme(b"\x04\x10xWarren:route:10.0.0.0/8"));
        assert!(holds_scheme(b"\0w\0a\0r\0r\0e\0n\0:\0r"));
        assert!(!holds_scheme(b"warren development"));
        assert!(!holds_scheme(b""));
    }
}
