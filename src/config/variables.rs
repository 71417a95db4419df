//! `${VAR}` and `${VAR:-default}` inside a scalar.

/// Looks an environment variable up by name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a scalar cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// A variable without a default is not in the environment.
    Unset(String),
    /// `${` that does not start a reference. What follows may be part of a secret, so it is not
    /// kept.
    Malformed,
}

/// Replaces every reference in `text`; `None` if there is none.
///
/// As in a shell, the default also stands for a variable that is set but empty. `$${` is a
/// literal `${`. A replaced value is not expanded again.
pub(super) fn expand(text: &str, env: Env<'_>) -> Result<Option<String>, ExpandError> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, reference) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &reference[2..];
            continue;
        }
        expanded.push_str(before);
        let Some((inside, after)) = reference[2..].split_once('}') else {
            return Err(ExpandError::Malformed);
        };
        expanded.push_str(&resolve(inside, env)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Some(expanded))
}

/// The value for what stands between the braces.
fn resolve(inside: &str, env: Env<'_>) -> Result<String, ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let nested = default.is_some_and(|default| default.contains("${"));
    if nested || !is_name(name) {
        return Err(ExpandError::Malformed);
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("example.com".to_owned()),
            "_P1" => Some("4433".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${HOST}: [a, b]".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_once() {
        for (text, expected) in [
            ("${HOST}", "example.com"),
            ("${HOST}:${_P1}", "example.com:4433"),
            ("a${NONE:-b}c", "abc"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("[${EMPTY}]", "[]"),
            ("${EMPTY:-full}", "full"),
            ("${TRICK}", "${HOST}: [a, b]"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
        ] {
            assert_eq!(
                expand(text, &env).unwrap().as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_dollar_alone_means_nothing() {
        for text in ["", "$2b$12$abc", "$HOST", "{HOST}", "$", "a$ {b}"] {
            assert_eq!(expand(text, &env), Ok(None), "{text}");
        }
    }

    #[test]
    fn unset_and_malformed_references_are_errors() {
        assert_eq!(
            expand("x ${NONE} ${OTHER}", &env),
            Err(ExpandError::Unset("NONE".to_owned()))
        );
        for text in [
            "${",
            "${HOST",
            "${}",
            "${1A}",
            "${A B}",
            "${A-b}",
            "${A:-${HOST}}",
        ] {
            assert_eq!(expand(text, &env), Err(ExpandError::Malformed), "{text}");
        }
    }
}
