//! The drill: a checked download, and a transit that dies under it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::api::{PATIENCE, api};
use super::mesh::DemoMesh;
use super::target::fill;

/// What is downloaded: enough that the kill comes in the middle on any machine.
const TOTAL: u64 = 512 * 1024 * 1024;

/// When the transit dies.
const KILL_AT: u64 = TOTAL / 4;

/// Bytes checked at a time; a multiple of 8.
const BLOCK: usize = 64 * 1024;

/// Runs the drill and tells what happened; `true` if every byte arrived and was right.
pub(super) fn run(mesh: &mut DemoMesh, target: SocketAddr, out: &mut dyn Write) -> Result<bool> {
    let mut stream = connect(mesh.socks(), target)?;
    let path = path_in_use(mesh, target)?;
    let names: Vec<&str> = path.iter().map(|id| mesh.name_of(id)).collect();
    writeln!(out, "path:        ingress → {}", names.join(" → "))?;
    writeln!(
        out,
        "download:    {} MiB through SOCKS5 {}",
        TOTAL >> 20,
        mesh.socks()
    )?;

    let transit = path.first().context("the path has no hop")?.clone();
    writeln!(stream, "{TOTAL}")?;
    let mut checker = Checker::default();
    checker.read_until(&mut stream, KILL_AT)?;
    let before = checker.report();
    ensure!(mesh.kill_transit(&transit), "{transit} is not a transit");
    let killed = Instant::now();
    writeln!(
        out,
        "killed:      {} at {} MiB, without a word (as by SIGKILL)",
        mesh.name_of(&transit),
        before.bytes >> 20
    )?;
    let socks = mesh.socks();
    let fresh =
        std::thread::spawn(move || new_connection(socks, target).map(|()| killed.elapsed()));
    checker.longest_gap = Duration::ZERO;
    // More is still to come than buffers hold, so that the connection is still listed.
    checker.read_until(&mut stream, TOTAL / 16 * 15)?;
    let after = path_in_use(mesh, target)?;
    checker.read_until(&mut stream, TOTAL)?;
    let fresh = fresh
        .join()
        .unwrap_or_else(|_| bail!("the connecting thread panicked"));
    let end = checker.report();

    let names: Vec<&str> = after.iter().map(|id| mesh.name_of(id)).collect();
    writeln!(out, "new path:    ingress → {}", names.join(" → "))?;
    writeln!(
        out,
        "stall:       {} ms at the longest",
        end.gap.as_millis()
    )?;
    match &fresh {
        Ok(after) => writeln!(
            out,
            "new one:     a connection opened after the kill worked within {} ms",
            after.as_millis()
        )?,
        Err(error) => writeln!(out, "new one:     FAILED: {error:#}")?,
    }
    let exact = end.bytes == TOTAL && end.wrong.is_none();
    match end.wrong {
        None if exact => writeln!(
            out,
            "result:      {} of {TOTAL} bytes, all right",
            end.bytes
        )?,
        None => writeln!(out, "result:      LOST: {} of {TOTAL} bytes", end.bytes)?,
        Some(at) => writeln!(out, "result:      WRONG byte at offset {at}")?,
    }
    Ok(exact && fresh.is_ok())
}

/// A connection opened just after the kill fetches a little.
fn new_connection(socks: SocketAddr, target: SocketAddr) -> Result<()> {
    let mut stream = connect(socks, target)?;
    writeln!(stream, "4096")?;
    let mut checker = Checker::default();
    checker.read_until(&mut stream, 4096)?;
    let report = checker.report();
    ensure!(
        report.bytes == 4096 && report.wrong.is_none(),
        "wrong bytes"
    );
    Ok(())
}

#[derive(Default)]
struct Checker {
    bytes: u64,
    wrong: Option<u64>,
    longest_gap: Duration,
}

struct Report {
    bytes: u64,
    wrong: Option<u64>,
    gap: Duration,
}

impl Checker {
    /// Reads and checks until `end` bytes were seen or the stream ended.
    fn read_until(&mut self, stream: &mut TcpStream, end: u64) -> Result<()> {
        let (mut seen, mut expected) = (vec![0; BLOCK], vec![0; BLOCK + 8]);
        while self.bytes < end {
            let started = Instant::now();
            let want = (end - self.bytes).min(BLOCK as u64) as usize;
            let count = stream
                .read(&mut seen[..want])
                .with_context(|| format!("the download broke at byte {}", self.bytes))?;
            self.longest_gap = self.longest_gap.max(started.elapsed());
            if count == 0 {
                return Ok(());
            }
            let skip = (self.bytes % 8) as usize;
            fill(&mut expected[..skip + count], self.bytes - skip as u64);
            if self.wrong.is_none() && seen[..count] != expected[skip..skip + count] {
                let first = seen.iter().zip(&expected[skip..]).position(|(a, b)| a != b);
                self.wrong = first.map(|at| self.bytes + at as u64);
            }
            self.bytes += count as u64;
        }
        Ok(())
    }

    fn report(&self) -> Report {
        Report {
            bytes: self.bytes,
            wrong: self.wrong,
            gap: self.longest_gap,
        }
    }
}

/// Opens a connection to `target` through the SOCKS5 server at `socks` (RFC 1928).
fn connect(socks: SocketAddr, target: SocketAddr) -> Result<TcpStream> {
    let SocketAddr::V4(v4) = target else {
        bail!("the demo's target has an IPv4 address");
    };
    let mut stream = TcpStream::connect(socks)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut request = vec![5, 1, 0, 5, 1, 0, 1];
    request.extend_from_slice(&v4.ip().octets());
    request.extend_from_slice(&v4.port().to_be_bytes());
    stream.write_all(&request)?;
    let mut reply = [0; 2 + 4];
    stream.read_exact(&mut reply).context("no SOCKS reply")?;
    ensure!(
        reply[..2] == [5, 0],
        "the SOCKS server wants authentication"
    );
    ensure!(reply[3] == 0, "SOCKS reply {:#04x}", reply[3]);
    let address = if reply[5] == 4 { 16 } else { 4 };
    stream.read_exact(&mut vec![0; address + 2])?;
    Ok(stream)
}

/// The path that the connection to `target` takes: agent ids, the exit last.
fn path_in_use(mesh: &DemoMesh, target: SocketAddr) -> Result<Vec<String>> {
    let streams = api(mesh.http(), "/api/streams")?;
    let to_target = |stream: &&Value| stream["target"].as_str() == Some(&target.to_string());
    let stream = streams.as_array().into_iter().flatten().find(to_target);
    let hops = stream.and_then(|stream| stream["path"].as_array());
    let path: Vec<String> = hops
        .into_iter()
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    ensure!(!path.is_empty(), "the connection to {target} has no path");
    Ok(path)
}
