//! `warren hash`: turns a password into the hash that the configuration takes.

use std::io::{BufRead, Write};

use anyhow::Context;
use clap::Args;

use crate::identity::password;

/// Reads a password (one line) from stdin and prints its argon2id hash.
#[derive(Debug, Args)]
pub struct HashArgs {}

/// Hashes the first line of `input`, without its line end.
pub fn run(_args: HashArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut password = Vec::new();
    input
        .read_until(b'\n', &mut password)
        .context("cannot read the password from stdin")?;
    if password.last() == Some(&b'\n') {
        password.pop();
    }
    writeln!(out, "{}", password::hash(&password)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(mut input: &[u8]) -> anyhow::Result<String> {
        let mut out = Vec::new();
        run(HashArgs {}, &mut input, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn one_trailing_newline_does_not_count() {
        for input in [&b"hunter2"[..], b"hunter2\n"] {
            let hash = hash_of(input).unwrap();
            assert!(password::verify(hash.trim_end(), "hunter2"), "{hash}");
        }
        let hash = hash_of(b" hunter2 \n").unwrap();
        assert!(password::verify(hash.trim_end(), " hunter2 "));
        assert_eq!(hash.lines().count(), 1);
    }

    #[test]
    fn an_empty_password_is_refused() {
        for input in [&b""[..], b"\n"] {
            let error = hash_of(input).unwrap_err();
            assert!(error.to_string().contains("empty"), "{error}");
        }
    }
}
