//! Names as text.

use hickory_proto::rr::Name;

/// RFC 1035, 2.3.4: 255 octets on the wire, which are 253 characters between the dots.
const MAX_NAME: usize = 253;

/// RFC 1035, 2.3.4.
const MAX_LABEL: usize = 63;

/// Whether `text`, without a trailing dot, can be asked for: labels of 1 to 63 letters, digits, `-`
/// and `_`. DNS would take any octet (RFC 2181, 11); hosts are not named by the others.
pub fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.split('.').all(|label| {
            (1..=MAX_LABEL).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

/// `name` without the trailing dot that makes it absolute (RFC 1034, 3.1).
pub fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The absolute name of this text, with or without its trailing dot; `None` if it is none.
pub(super) fn absolute(text: &str) -> Option<Name> {
    let text = without_dot(text);
    if !is_name(text) {
        return None;
    }
    // Not from text: hickory's parser of host names refuses `_` and leading hyphens.
    let labels = text.split('.').map(str::as_bytes);
    let mut name = Name::from_labels(labels).ok()?;
    name.set_fqdn(true);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_label_of_a_host_becomes_a_name() {
        for text in ["a", "_srv._tcp.example", "-x.example.", "x-.9", "a.B"] {
            let name = absolute(text).unwrap();
            let labels: Vec<_> = name
                .iter()
                .map(|label| String::from_utf8_lossy(label))
                .collect();
            assert_eq!(labels.join("."), without_dot(text));
        }
        assert!(absolute(&["a"; 127].join(".")).is_some());
        for text in ["", ".", "a..b", "a b", "b\u{fc}cher", &"a".repeat(64)] {
            assert!(absolute(text).is_none(), "{text}");
        }
        assert!(absolute(&["a"; 128].join(".")).is_none());
    }
}
