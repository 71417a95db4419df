//! The server that proxied connections end in.
//!
//! The first line of a connection says what it does:
//!
//! | line | behaviour |
//! |---|---|
//! | `bulk N` | sends N pattern bytes and closes |
//! | `echo` | sends back what it gets; half-closes when the client does |
//! | `sink` | reads to the client's half-close, then answers `N right` or `wrong at N` |
//! | `reset N` | sends N pattern bytes and resets the connection |
//! | `hold` | answers `held`, then waits for the client to close |
//! | `GET /N HTTP/1.1` | an HTTP answer with N pattern bytes |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::pattern;

const BLOCK: usize = 32 * 1024;

/// A connect on loopback that takes longer found the accept queue full.
const FULL: Duration = Duration::from_millis(500);

/// A running target; it lives until the test process ends.
pub(crate) struct Target {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Target {
    /// Listens on a port of its own on 127.0.0.1.
    pub(crate) fn start() -> Self {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .expect("127.0.0.1 has a free port")
    }

    /// Likewise; its connections hold little that nobody reads. The kernel's memory for TCP is one
    /// for the whole host, and others need it.
    pub(crate) fn start_frugal() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = listener.expect("127.0.0.1 has a free port");
        // Inherited by what is accepted.
        let set = socket2::SockRef::from(&listener).set_send_buffer_size(64 * 1024);
        set.expect("an open socket");
        Self::serve(listener).expect("a bound socket")
    }

    /// Listens on `address`.
    pub(crate) fn start_on(address: SocketAddr) -> io::Result<Self> {
        Self::serve(TcpListener::bind(address)?)
    }

    fn serve(listener: TcpListener) -> io::Result<Self> {
        let target = Self {
            address: listener.local_addr()?,
            accepted: Arc::default(),
            open: Arc::default(),
        };
        let (accepted, open) = (Arc::clone(&target.accepted), Arc::clone(&target.open));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                accepted.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                thread::spawn(move || {
                    // A client that goes away early is part of many tests.
                    let _ = serve(stream);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(target)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

/// A listener whose accept queue is full: connecting to it gets no answer.
pub(crate) struct SilentTarget {
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

impl SilentTarget {
    /// Listens on `address`.
    pub(crate) fn start_on(address: SocketAddr) -> Self {
        let listener = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        );
        let listener = listener.expect("this host has TCP");
        listener.bind(&address.into()).expect("the address is free");
        listener.listen(0).expect("a bound socket can listen");
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, FULL) {
            queued.push(stream);
            assert!(queued.len() < 64, "the accept queue has an end");
        }
        Self {
            _listener: listener,
            _queued: queued,
        }
    }
}

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| text.trim_start_matches('/').parse::<u64>().unwrap_or(0);
    match words.as_slice() {
        ["bulk", count] => send(&stream, number(count)),
        ["echo"] => echo(reader, stream),
        ["sink"] => sink(reader, stream),
        ["reset", count] => {
            send(&stream, number(count))?;
            // Lets the bytes be acknowledged: a reset may overtake what is still queued.
            thread::sleep(Duration::from_millis(200));
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
        }
        ["hold"] => {
            (&stream).write_all(b"held\n")?;
            io::copy(&mut reader, &mut io::sink()).map(drop)
        }
        ["GET", path, _] => page(reader, &stream, number(path)),
        other => Err(io::Error::other(format!("unknown request {other:?}"))),
    }
}

fn send(mut stream: &TcpStream, count: u64) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < count {
        let size = (count - at).min(BLOCK as u64);
        let part = &mut block[..usize::try_from(size).expect("at most a block")];
        pattern::fill(part, at);
        stream.write_all(part)?;
        at += size;
    }
    Ok(())
}

fn echo(mut reader: BufReader<TcpStream>, mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut reader, &mut stream)?;
    stream.shutdown(Shutdown::Write)
}

fn sink(mut reader: BufReader<TcpStream>, mut stream: TcpStream) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    let mut wrong = None;
    loop {
        let count = reader.read(&mut block)?;
        if count == 0 {
            break;
        }
        wrong = wrong.or_else(|| pattern::first_wrong(&block[..count], at));
        at += count as u64;
    }
    match wrong {
        None => writeln!(stream, "{at} right"),
        Some(at) => writeln!(stream, "wrong at {at}"),
    }
}

fn page(mut reader: BufReader<TcpStream>, mut stream: &TcpStream, count: u64) -> io::Result<()> {
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {count}\r\ncontent-type: application/octet-stream\r\n\
         connection: close\r\n\r\n"
    )?;
    send(stream, count)
}
