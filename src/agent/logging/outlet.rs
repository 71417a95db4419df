//! The queue's far end: writes lines, and tells of those that were lost.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tracing_appender::non_blocking::ErrorCounter;

use super::name::Name;
use crate::clock::{format_time, unix_ms};
use crate::config::LogFormat;

/// Between two tries at a descriptor that another process has made non-blocking.
const RETRY: Duration = Duration::from_millis(10);

/// What became of the lines so far.
#[derive(Default)]
pub(super) struct Tally {
    queued: AtomicU64,
    /// Taken from the queue, and not written.
    failed: AtomicU64,
    /// Found no room in the queue.
    dropped: OnceLock<ErrorCounter>,
    /// Taken from the queue and done with.
    done: Mutex<u64>,
    idle: Condvar,
}

impl Tally {
    /// Counts `counter`'s lines among the lost ones.
    pub(super) fn count_dropped(&self, counter: ErrorCounter) {
        let _ = self.dropped.set(counter);
    }

    pub(super) fn count_queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines that never reached their reader.
    pub(super) fn lost(&self) -> u64 {
        self.failed.load(Ordering::Relaxed) + self.dropped()
    }

    /// Waits until every line queued so far is done with, at most `limit`.
    pub(super) fn wait_idle(&self, limit: Duration) {
        let queued = self.queued.load(Ordering::Relaxed);
        let waiting = |done: &mut u64| *done + self.dropped() < queued;
        let _ = self.idle.wait_timeout_while(self.done(), limit, waiting);
    }

    fn dropped(&self) -> u64 {
        let counter = self.dropped.get();
        counter.map_or(0, |counter| counter.dropped_lines() as u64)
    }

    fn done(&self) -> MutexGuard<'_, u64> {
        self.done.lock().expect("no panic while locked")
    }

    fn count_done(&self, written: bool) {
        if !written {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        *self.done() += 1;
        self.idle.notify_all();
    }
}

/// Takes one line a call. Never fails: what cannot be written is lost, and told later.
pub(super) struct Outlet<W> {
    inner: W,
    format: LogFormat,
    name: Name,
    tally: Arc<Tally>,
    /// Lost lines that have been told of.
    told: u64,
    /// The last line was written in part.
    torn: bool,
}

impl<W: Write> Outlet<W> {
    pub(super) fn new(inner: W, format: LogFormat, name: Name, tally: Arc<Tally>) -> Self {
        Self {
            inner,
            format,
            name,
            tally,
            told: 0,
            torn: false,
        }
    }

    fn tell_lost(&mut self) {
        let lost = self.tally.lost();
        let untold = lost - self.told;
        if untold == 0 {
            return;
        }
        let notice = notice(self.format, &self.name, untold);
        if self.put(notice.as_bytes()).is_ok() {
            self.told = lost;
        }
    }

    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.put_all(b"\n")?;
            self.torn = false;
        }
        self.put_all(line)
    }

    fn put_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let error = match self.inner.write(rest) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    rest = &rest[count..];
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => std::thread::sleep(RETRY),
                _ => {
                    self.torn |= rest.len() < bytes.len();
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Outlet<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.tell_lost();
        let written = self.put(line).is_ok();
        self.tally.count_done(written);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A file descriptor keeps nothing back.
        Ok(())
    }
}

/// As the lines around it look. It cannot go through the queue that has no room.
fn notice(format: LogFormat, name: &Name, lines: u64) -> String {
    let at = format_time(unix_ms());
    match format {
        LogFormat::Text => {
            let name = name.in_text();
            format!("{at}{name}  WARN warren::agent::logging: {lines} log lines lost lines={lines}\n")
        }
        LogFormat::Json => name.in_json(&format!(
            r#"{{"timestamp":"{at}","level":"WARN","fields":{{"message":"{lines} log lines lost","lines":{lines}}},"target":"warren::agent::logging"}}{}"#,
            "\n"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Answers writes in this order, then takes everything.
    struct Scripted {
        answers: Vec<io::Result<usize>>,
        taken: String,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = match self.answers.pop() {
                Some(answer) => answer?,
                None => bytes.len(),
            };
            self.taken += std::str::from_utf8(&bytes[..count]).unwrap();
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outlet(format: LogFormat, mut answers: Vec<io::Result<usize>>) -> Outlet<Scripted> {
        answers.reverse();
        let inner = Scripted {
            answers,
            taken: String::new(),
        };
        Outlet::new(inner, format, Name::default(), Arc::default())
    }

    fn full() -> io::Result<usize> {
        Err(ErrorKind::StorageFull.into())
    }

    #[test]
    fn lines_that_cannot_be_written_are_told_of_before_the_next_that_can() {
        // The second line's notice fails too, and the third's leaves.
        let mut outlet = outlet(LogFormat::Text, vec![full(), full(), full()]);
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            assert_eq!(outlet.write(line.as_bytes()).unwrap(), line.len());
        }
        assert_eq!(outlet.tally.lost(), 2);
        let lines: Vec<&str> = outlet.inner.taken.lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].ends_with("2 log lines lost lines=2"), "{lines:?}");
        assert_eq!(lines[1..], ["three", "four"]);
    }

    #[test]
    fn a_torn_line_is_ended_and_counts_as_lost() {
        let mut outlet = outlet(LogFormat::Text, vec![Ok(2), full()]);
        outlet.write_all(b"torn\n").unwrap();
        outlet.write_all(b"whole\n").unwrap();
        let lines: Vec<&str> = outlet.inner.taken.lines().collect();
        assert_eq!((lines[0], lines[2]), ("to", "whole"));
        assert!(lines[1].contains("1 log lines lost"), "{lines:?}");
    }

    #[test]
    fn a_descriptor_that_is_not_ready_is_asked_again() {
        let again = Err(ErrorKind::WouldBlock.into());
        let mut outlet = outlet(LogFormat::Text, vec![Ok(1), again, Ok(1)]);
        outlet.write_all(b"line\n").unwrap();
        assert_eq!(outlet.inner.taken, "line\n");
        assert_eq!(outlet.tally.lost(), 0);
    }

    #[test]
    fn a_json_log_tells_in_json() {
        let mut outlet = outlet(LogFormat::Json, vec![full()]);
        outlet.write_all(b"{}\n").unwrap();
        outlet.write_all(b"{}\n").unwrap();
        let first = outlet.inner.taken.lines().next().unwrap();
        let told: serde_json::Value = serde_json::from_str(first).unwrap();
        assert_eq!(told["fields"]["lines"], 1);
        assert_eq!(told["level"], "WARN");
    }

    #[test]
    fn the_last_lines_are_waited_for_and_a_stuck_one_is_not() {
        let mut outlet = outlet(LogFormat::Text, Vec::new());
        let tally = outlet.tally.clone();
        tally.count_queued();
        tally.wait_idle(Duration::from_millis(1));
        let writer = std::thread::spawn(move || outlet.write_all(b"last\n"));
        tally.wait_idle(Duration::from_secs(60));
        assert_eq!(*tally.done(), 1);
        writer.join().unwrap().unwrap();
    }
}
