//! What a command reads and writes.

use std::io::{self, BufRead, BufReader, Write};

/// A command's three streams.
pub struct Console {
    pub input: Box<dyn BufRead>,
    pub out: Box<dyn Write>,
    pub err: Box<dyn Write>,
}

impl Console {
    /// The process's own streams. Output appears line by line, because commands that stay tell
    /// what they are doing.
    pub fn standard() -> Self {
        Self {
            input: Box::new(BufReader::new(io::stdin())),
            out: Box::new(UntilClosed::new(io::stdout())),
            err: Box::new(io::stderr()),
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

#[cfg(test)]
mod tests {
    use super::*;

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
