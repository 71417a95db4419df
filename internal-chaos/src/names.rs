//! A DNS server with a handful of names (RFC 1035, A records over UDP), which can fall silent.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const TYPE_A: u16 = 1;
const NAME_ERROR: u8 = 3;

/// How often the thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(200);

/// A running server on loopback. It ends when dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queries: AtomicUsize,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

impl NameServer {
    /// Knows these names and no other.
    pub fn start(names: &[(&str, Ipv4Addr)]) -> io::Result<Self> {
        let names: BTreeMap<String, Ipv4Addr> = names
            .iter()
            .map(|(name, ip)| ((*name).to_owned(), *ip))
            .collect();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(LOOK))?;
        let address = socket.local_addr()?;
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("names".to_owned())
            .spawn(move || own.serve(&socket, &names))?;
        Ok(Self { address, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Questions answered so far.
    pub fn queries(&self) -> usize {
        self.shared.queries.load(Ordering::SeqCst)
    }

    /// While silent it takes questions and does not answer.
    pub fn silence(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::SeqCst);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket, names: &BTreeMap<String, Ipv4Addr>) {
        let mut query = [0; 512];
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok((length, from)) = socket.recv_from(&mut query) else {
                continue;
            };
            if self.is_silent.load(Ordering::SeqCst) {
                continue;
            }
            if let Some(answer) = answer(&query[..length], names) {
                self.queries.fetch_add(1, Ordering::SeqCst);
                // Who asked may have given up.
                let _ = socket.send_to(&answer, from);
            }
        }
    }
}

/// `None`: not a question that this server understands.
fn answer(query: &[u8], names: &BTreeMap<String, Ipv4Addr>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let question = query.get(12..at + 4)?;
    let kind = u16::from_be_bytes([query[at], query[at + 1]]);
    let ip = names.get(&labels.join("."));
    let record = ip.filter(|_| kind == TYPE_A);
    let code = if ip.is_some() { 0 } else { NAME_ERROR };

    let mut answer = query[..2].to_vec();
    // Response, recursion desired and available; one question, no more than one answer.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some())]);
    answer.extend([0, 0, 0, 0]);
    answer.extend(question);
    if let Some(ip) = record {
        // The name by a pointer to the question, type A, class IN, 60 s, 4 bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ip.octets());
    }
    Some(answer)
}
