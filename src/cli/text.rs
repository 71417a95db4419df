//! Numbers as people read them, lines as long as the screen is wide, and JSON as it came.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::console::WIDE;

/// Writes an answer of the API, indented.
pub(super) fn write_json(value: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot print the answer")?;
    writeln!(out, "{text}").context("cannot write the output")
}

/// `42s`, `3m 5s`, `2h 10m`, `4d 1h`.
pub(super) fn duration(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m {}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h {}m", seconds / HOUR, seconds % HOUR / MINUTE),
        DAY.. => format!("{}d {}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// `999 B`, `1.5 KiB`, `20.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be shown as 1024.0 belongs to the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `0.42 ms`; `-` while unknown.
pub(super) fn millis(ms: Option<f64>) -> String {
    match ms {
        Some(ms) if ms < 10.0 => format!("{ms:.2} ms"),
        Some(ms) => format!("{ms:.0} ms"),
        None => "-".to_owned(),
    }
}

/// The same of a duration.
pub(super) fn time_ms(time: Option<Duration>) -> String {
    millis(time.map(|time| time.as_secs_f64() * 1_000.0))
}

/// `2026-01-02T03:04:05.004Z`, or `01-02 03:04:05` of it where lines are bounded.
pub(super) fn time(at: &str, width: usize) -> String {
    match at.get(5..19) {
        Some(short) if width != WIDE => short.replace('T', " "),
        _ => at.to_owned(),
    }
}

/// The value, or `-`.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Columns that a terminal takes for `text`.
pub(super) fn width_of(text: &str) -> usize {
    text.width()
}

/// `text` in at most `width` columns; what is missing is an ellipsis.
pub(super) fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let (head, _) = split(text, width.saturating_sub(1));
    format!("{head}…")
}

/// `text` in lines of at most `width` columns, broken between words where there are any; at least one
/// line.
pub(super) fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for mut word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && width_of(line) + 1 + width_of(word) <= width {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        while width_of(word) > width {
            let (head, rest) = split(word, width);
            if rest.is_empty() {
                break;
            }
            let at = lines.len() - 1;
            lines[at].push_str(head);
            lines.push(String::new());
            word = rest;
        }
        let at = lines.len() - 1;
        lines[at].push_str(word);
    }
    lines
}

/// Writes `text` behind `head` in lines of at most `width` columns, all but the first behind as many
/// spaces as `indent`.
pub(super) fn write_folded(
    head: &str,
    text: &str,
    indent: usize,
    width: usize,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let room = width.saturating_sub(indent.max(width_of(head))).max(10);
    let pad = " ".repeat(indent);
    for (at, line) in fold(text, room).iter().enumerate() {
        let before = if at == 0 { head } else { &pad };
        writeln!(out, "{}", format!("{before}{line}").trim_end())?;
    }
    Ok(())
}

/// As much of `text` as fits in `width` columns, at least one character, and the rest.
fn split(text: &str, width: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken > width && at > 0 {
            return text.split_at(at);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(fold("", 10), [""]);
        assert_eq!(fold("one two three", 7), ["one two", "three"]);
        assert_eq!(fold("2001:db8::1 is up", 6), ["2001:d", "b8::1", "is up"]);
        assert_eq!(fold("兎兎兎", 4), ["兎兎", "兎"]);
        assert_eq!(fold("兎", 0), ["兎"]);
        assert_eq!(cut("transit", 7), "transit");
        assert_eq!(cut("transit", 4), "tra…");
        let mut out = Vec::new();
        write_folded("#1  ", "link down: no heartbeat", 2, 20, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "#1  link down: no\n  heartbeat\n"
        );
    }

    #[test]
    fn units_change_at_their_bounds() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_599, "59m 59s"),
            (3_600, "1h 0m"),
            (86_399, "23h 59m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (n, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_610_612_736, "1.5 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (ms, text) in [(Some(0.4), "0.40 ms"), (Some(12.6), "13 ms"), (None, "-")] {
            assert_eq!(millis(ms), text);
        }
    }
}
