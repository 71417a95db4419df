//! What the demo's traffic goes to: a page for curl, and a source of checkable bytes.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};

/// Bytes made at a time.
const BLOCK: usize = 64 * 1024;

const PAGE: &str = "This page came through the mesh.\n";

/// The running servers. They live as long as the process.
pub(super) struct Target {
    pub(super) http: SocketAddr,
    pub(super) bytes: SocketAddr,
}

impl Target {
    pub(super) fn start() -> Result<Self> {
        Ok(Self {
            http: serve(answer_http)?,
            bytes: serve(send_pattern)?,
        })
    }
}

fn serve(handle: fn(TcpStream) -> io::Result<()>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves early is its own business.
            std::thread::spawn(move || handle(stream));
        }
    });
    Ok(address)
}

fn answer_http(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    )
}

/// Reads a decimal length and a newline, then sends that many bytes of the pattern.
fn send_pattern(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut left: u64 = line.trim().parse().map_err(io::Error::other)?;
    let stream = reader.get_mut();
    let mut block = vec![0; BLOCK];
    let mut offset = 0;
    while left > 0 {
        let take = left.min(BLOCK as u64) as usize;
        fill(&mut block[..take], offset);
        stream.write_all(&block[..take])?;
        offset += take as u64;
        left -= take as u64;
    }
    Ok(())
}

/// Writes the pattern's bytes from `offset` on, which must be a multiple of 8.
pub(super) fn fill(block: &mut [u8], offset: u64) {
    for (index, chunk) in block.chunks_mut(8).enumerate() {
        let word = word(offset / 8 + index as u64).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}

/// Word `index` of the pattern: the SplitMix64 sequence, so that a byte lost, doubled or out of
/// place shows at once.
fn word(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
