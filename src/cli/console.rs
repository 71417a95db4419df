//! What a command reads and writes.

use std::io::{self, BufRead, BufReader, LineWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::tcgetwinsize;

use crate::clock;

/// What an error line may take to leave. A command that is to end must not wait for a pipe that
/// nobody reads; a busy machine may take some hundred milliseconds to start a thread.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A command's three streams.
pub struct Console {
    pub input: Box<dyn BufRead>,
    pub out: Box<dyn Write>,
    pub err: Box<dyn Write>,
    pub screen: Screen,
}

/// How long lines may be, columns; [`WIDE`]: as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Those of tables.
    pub table: usize,
    /// Those of sentences.
    pub prose: usize,
}

impl Screen {
    /// Everything in full.
    pub const WIDE: Self = Self::of(WIDE);

    /// Lines of at most `columns`.
    pub const fn of(columns: usize) -> Self {
        Self {
            table: columns,
            prose: columns,
        }
    }
}

/// No bound on the length of lines.
pub const WIDE: usize = usize::MAX;

/// Where there is no terminal: tables fit half a screen, a chat, an issue; sentences stay whole, a line
/// each, for tools that look for words in them.
const PLAIN: Screen = Screen {
    table: 60,
    prose: WIDE,
};

/// Fewer make no table.
const LEAST_WIDTH: usize = 20;

impl Console {
    /// The process's own streams. Output appears line by line, because commands that stay tell
    /// what they are doing.
    pub fn standard() -> Self {
        Self {
            input: Box::new(BufReader::new(io::stdin())),
            out: Box::new(UntilClosed::new(io::stdout())),
            err: Box::new(LineWriter::new(Impatient::new(io::stderr))),
            screen: screen(),
        }
    }
}

/// `COLUMNS` if it is set, else the terminal's.
fn screen() -> Screen {
    let told = std::env::var("COLUMNS").ok();
    let told = told.and_then(|columns| columns.trim().parse::<usize>().ok());
    let terminal = || {
        let size = tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col))
    };
    let known = told.or_else(terminal).filter(|columns| *columns > 0);
    known.map_or(PLAIN, |columns| Screen::of(columns.max(LEAST_WIDTH)))
}

/// Waits for `time`, or until the reader of the process's own output has left; whether it has.
pub(super) fn reader_leaves_within(time: Duration) -> bool {
    leaves_within(io::stdout().as_fd(), time)
}

/// Whether whoever reads what is written to `fd` leaves within `time`. Files have no reader.
fn leaves_within(fd: BorrowedFd<'_>, time: Duration) -> bool {
    let until = clock::now() + time;
    loop {
        let left = until.saturating_duration_since(clock::now());
        let Ok(left) = Timespec::try_from(left) else {
            return false;
        };
        // Only that the other end is gone; it is told unasked.
        let mut watched = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
        match poll(&mut watched, Some(&left)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => {
                std::thread::sleep(time);
                return false;
            }
        }
    }
}

/// Discards what comes after the reader has gone: `warren peers | head -1` is no failure.
struct UntilClosed<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> UntilClosed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            closed: false,
        }
    }

    fn unless_closed<T>(
        &mut self,
        done: T,
        write: impl FnOnce(&mut W) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.closed {
            return Ok(done);
        }
        match write(&mut self.inner) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(done)
            }
            result => result,
        }
    }
}

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_closed(bytes.len(), |inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_closed((), Write::flush)
    }
}

/// Writes on a thread of its own, and gives up what is not taken in time.
struct Impatient<W> {
    open: fn() -> W,
    stuck: bool,
}

impl<W: Write + 'static> Impatient<W> {
    fn new(open: fn() -> W) -> Self {
        Self { open, stuck: false }
    }

    fn write_within(&mut self, bytes: &[u8], limit: Duration) -> io::Result<usize> {
        if self.stuck {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (open, copy) = (self.open, bytes.to_vec());
        let (done, taken) = mpsc::sync_channel(1);
        std::thread::Builder::new().spawn(move || {
            // Nobody waits any more if it took too long.
            let _ = done.send(open().write_all(&copy));
        })?;
        match taken.recv_timeout(limit) {
            Ok(written) => written.map(|()| bytes.len()),
            Err(_) => {
                self.stuck = true;
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

impl<W: Write + 'static> Write for Impatient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_within(bytes, LAST_WORDS)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that nobody reads.
    struct Stuck;

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                std::thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_error_that_nobody_takes_is_given_up() {
        let mut err = Impatient::new(|| Stuck);
        for _ in 0..2 {
            let given_up = err.write_within(b"warren: no\n", Duration::from_millis(1));
            assert_eq!(given_up.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        let mut err = Impatient::new(io::sink);
        assert_eq!(err.write(b"warren: no\n").unwrap(), 11);
    }

    #[test]
    fn a_reader_that_leaves_is_noticed_without_a_write() {
        let (reader, writer) = io::pipe().unwrap();
        let none = Duration::ZERO;
        assert!(!leaves_within(writer.as_fd(), none));
        drop(reader);
        assert!(leaves_within(writer.as_fd(), Duration::from_secs(60)));
        let file = tempfile::tempfile().unwrap();
        assert!(!leaves_within(file.as_fd(), none));
    }

    struct Closing(Vec<io::ErrorKind>);

    impl Write for Closing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.pop().unwrap().into())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.write(b"").map(|_| ())
        }
    }

    #[test]
    fn a_closed_pipe_swallows_the_rest() {
        let mut out = UntilClosed::new(Closing(vec![io::ErrorKind::BrokenPipe]));
        writeln!(out, "first").unwrap();
        writeln!(out, "second").unwrap();
        out.flush().unwrap();
    }

    #[test]
    fn other_errors_are_errors() {
        let mut out = UntilClosed::new(Closing(vec![io::ErrorKind::StorageFull]));
        let error = out.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
