//! Checked traffic over an open connection to a [`Target`](super::Target).

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::{pattern, socks};

pub(crate) const MIB: u64 = 1024 * 1024;

const BLOCK: usize = 32 * 1024;

/// A download whose every byte is checked.
pub(crate) struct Download {
    stream: TcpStream,
    total: u64,
    at: u64,
}

impl Download {
    /// Asks for `total` bytes through the SOCKS server.
    pub(crate) fn start(proxy: SocketAddr, target: SocketAddr, total: u64) -> Self {
        let mut stream = open(proxy, target);
        writeln!(stream, "bulk {total}").expect("the connection takes a request");
        Self {
            stream,
            total,
            at: 0,
        }
    }

    /// Reads and checks up to position `end`.
    pub(crate) fn read_to(&mut self, end: u64) {
        let mut block = vec![0; BLOCK];
        while self.at < end {
            let want = usize::try_from((end - self.at).min(BLOCK as u64)).expect("at most a block");
            let count = match self.stream.read(&mut block[..want]) {
                Ok(0) => panic!("the download ended at {} of {}", self.at, self.total),
                Ok(count) => count,
                Err(error) => panic!("the download broke at {}: {error}", self.at),
            };
            let wrong = pattern::first_wrong(&block[..count], self.at);
            assert_eq!(wrong, None, "position of the first wrong byte");
            self.at += count as u64;
        }
    }

    /// Reads and checks the rest, and that nothing follows.
    pub(crate) fn finish(mut self) {
        self.read_to(self.total);
        let more = self.stream.read(&mut [0]).expect("a clean end");
        assert_eq!(more, 0, "bytes after the end");
    }
}

/// An echo connection that is used now and then.
pub(crate) struct Echo {
    stream: TcpStream,
    at: u64,
}

impl Echo {
    pub(crate) fn open(proxy: SocketAddr, target: SocketAddr) -> Self {
        let mut stream = open(proxy, target);
        writeln!(stream, "echo").expect("the connection takes a request");
        Self { stream, at: 0 }
    }

    /// Our end of the connection to the SOCKS server.
    pub(crate) fn client(&self) -> SocketAddr {
        let address = self.stream.local_addr();
        address.expect("an open connection has an address")
    }

    /// Sends the next `count` pattern bytes and checks that they come back.
    pub(crate) fn round(&mut self, count: usize) {
        let mut bytes = vec![0; count];
        pattern::fill(&mut bytes, self.at);
        let sent = self.stream.write_all(&bytes);
        sent.unwrap_or_else(|error| panic!("echo broke at {}: {error}", self.at));
        let mut back = vec![0; count];
        let got = self.stream.read_exact(&mut back);
        got.unwrap_or_else(|error| panic!("echo broke at {}: {error}", self.at));
        assert!(bytes == back, "the echo differs after {}", self.at);
        self.at += count as u64;
    }

    /// Closes this direction and expects the other to close too.
    pub(crate) fn finish(mut self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
        let more = self.stream.read(&mut [0]).expect("a clean end");
        assert_eq!(more, 0, "bytes after the end");
    }
}

/// Sends `total` bytes, half-closes, and checks what the target counted.
pub(crate) fn upload(proxy: SocketAddr, target: SocketAddr, total: u64) {
    let mut stream = open(proxy, target);
    writeln!(stream, "sink").expect("the connection takes a request");
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < total {
        let size = usize::try_from((total - at).min(BLOCK as u64)).expect("at most a block");
        pattern::fill(&mut block[..size], at);
        stream
            .write_all(&block[..size])
            .expect("an open connection");
        at += size as u64;
    }
    stream
        .shutdown(Shutdown::Write)
        .expect("an open connection");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a clean end");
    assert_eq!(answer, format!("{total} right\n"));
}

/// A new connection that works: a small checked download.
pub(crate) fn fetch(proxy: SocketAddr, target: SocketAddr) {
    Download::start(proxy, target, 4096).finish();
}

/// As [`fetch`]; `false` if it was refused or broke.
pub(crate) fn try_fetch(proxy: SocketAddr, target: SocketAddr) -> bool {
    let Ok(mut stream) = socks::connect(proxy, target) else {
        return false;
    };
    let mut bytes = Vec::new();
    let done = writeln!(stream, "bulk 4096").and_then(|()| stream.read_to_end(&mut bytes));
    done.is_ok() && bytes.len() == 4096 && pattern::first_wrong(&bytes, 0).is_none()
}

/// An open connection that does nothing; the target has said so once.
pub(crate) fn hold(proxy: SocketAddr, to: impl Into<socks::Address>) -> TcpStream {
    let mut stream = socks::connect(proxy, to).expect("the exit serves");
    stream.write_all(b"hold\n").expect("an open connection");
    stream.read_exact(&mut [0; 5]).expect("the target answers");
    stream
}

/// Nothing more comes on it but a reset.
pub(crate) fn await_reset(stream: &mut TcpStream) {
    let error = stream.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

fn open(proxy: SocketAddr, target: SocketAddr) -> TcpStream {
    socks::connect(proxy, target)
        .unwrap_or_else(|refused| panic!("{target} through {proxy}: {refused:?}"))
}
