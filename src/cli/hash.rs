//! `warren hash`: turns a password into the hash that the configuration takes.

use std::io::{BufRead, Read, Write, stdin};

use anyhow::{Context, ensure};
use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Console;
use crate::identity::password;

/// Longest password, bytes. SOCKS5 carries 255 (RFC 1929), a bearer token may be longer.
const MAX_PASSWORD: u64 = 1_024;

/// Reads a password (one line) from stdin and prints its argon2id hash.
#[derive(Debug, Args)]
pub struct HashArgs {}

/// Hashes the first line of the input, without its line end. At a terminal it asks, and what is typed
/// does not show.
pub fn run(_args: HashArgs, console: &mut Console) -> anyhow::Result<()> {
    let silence = Silence::of_terminal();
    if silence.is_some() {
        write!(console.err, "Password: ")?;
        console.err.flush()?;
    }
    let password = read_line(&mut *console.input);
    drop(silence);
    writeln!(console.out, "{}", password::hash(&password?)?)?;
    Ok(())
}

fn read_line(input: &mut dyn BufRead) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut bounded = input.take(MAX_PASSWORD + 1);
    bounded
        .read_until(b'\n', &mut line)
        .context("cannot read the password from stdin")?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    ensure!(
        line.len() as u64 <= MAX_PASSWORD,
        "the password is longer than {MAX_PASSWORD} bytes; write it to stdin as one line"
    );
    Ok(line)
}

/// Keeps the terminal behind stdin from showing what is typed but the end of the line.
struct Silence(Termios);

impl Silence {
    /// `None`: stdin is no terminal.
    fn of_terminal() -> Option<Self> {
        let before = tcgetattr(stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(mut input: &[u8]) -> anyhow::Result<String> {
        Ok(password::hash(&read_line(&mut input)?)?)
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
    fn input_without_an_end_is_not_waited_for() {
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = read_line(&mut endless).unwrap_err();
        assert!(
            error.to_string().contains("longer than 1024 bytes"),
            "{error}"
        );
        assert_eq!(read_line(&mut &[b'x'; 1_024][..]).unwrap().len(), 1_024);
    }

    #[test]
    fn an_empty_password_is_refused() {
        for input in [&b""[..], b"\n"] {
            let error = hash_of(input).unwrap_err();
            assert!(error.to_string().contains("empty"), "{error}");
        }
    }
}
