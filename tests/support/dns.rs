//! A DNS server with a handful of names (RFC 1035, A records over UDP).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const TYPE_A: u16 = 1;
const NAME_ERROR: u8 = 3;

/// A running server; it lives until the test process ends.
pub(crate) struct Dns {
    address: SocketAddr,
    queries: Arc<AtomicUsize>,
}

impl Dns {
    /// Knows these names and no other.
    pub(crate) fn start(names: &[(&str, Ipv4Addr)]) -> Self {
        let names: BTreeMap<String, Ipv4Addr> = names
            .iter()
            .map(|(name, ip)| ((*name).to_owned(), *ip))
            .collect();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("127.0.0.1 has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let queries = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&queries);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                if let Some(answer) = answer(&query[..length], &names) {
                    count.fetch_add(1, Ordering::SeqCst);
                    // Who asked may have given up.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, queries }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Questions answered so far.
    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
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
