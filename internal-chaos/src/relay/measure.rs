//! What a relay can hold on this machine: how late packets come, and how many arrive.
//!
//! A sender offers packets at a steady rate through a relay with a fixed delay; each holds the
//! time at which it was sent. Lateness is what the packet took beyond that delay: the relay's two
//! wake-ups, the receiver's one, and the machine.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{Counters, Options, Relay};
use crate::fault::Hog;
use crate::impairment::Impairment;
use crate::packet::Ways;
use crate::stats::percentile;
use crate::units::Rate;

/// Payload of a full packet of warren on Ethernet.
const LENGTH: usize = 1_472;

/// How often the sender sends what is due: agents send in bursts, too.
const TICK: Duration = Duration::from_millis(1);

/// The delay of the link.
const DELAY: Duration = Duration::from_millis(10);

/// The longest a packet may still be under way after the last one was sent.
const TAIL: Duration = Duration::from_millis(500);

/// Measure how well this machine holds an impaired link: rate, and lateness beyond a delay of
/// 10 ms.
#[derive(Debug, Args)]
pub struct MeasureArgs {
    /// Offered load.
    #[arg(long, default_value = "200mbit")]
    pub rate: Rate,
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Threads that burn CPU meanwhile.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=64))]
    pub hogs: u32,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub offered: Rate,
    /// Payload that arrived, per second of sending.
    pub mbit_per_second: f64,
    pub sent: u64,
    pub arrived: u64,
    /// Beyond the delay.
    pub late_p50_ms: f64,
    pub late_p99_ms: f64,
    pub late_max_ms: f64,
    /// Share of packets that were at most 10 ms late.
    pub within_10_ms: f64,
    pub relay: Counters,
}

/// Measures for as long as the arguments say.
pub fn run(args: &MeasureArgs) -> anyhow::Result<Measured> {
    let time = Duration::from_secs(args.seconds);
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let receiver = super::nat::enlarged(receiver);
    let relay = Relay::start(&Options::to(receiver.local_addr()?))?;
    let link = Impairment {
        delay: DELAY,
        ..Impairment::CLEAR
    };
    relay.set(Ways::Both, link);
    let _hogs = Hog::start(args.hogs, time + TAIL)?;
    let epoch = Instant::now();
    let done = AtomicBool::new(false);
    let (sent, late) = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, epoch, &done));
        let sent = send(&relay, args.rate, time, epoch);
        thread::sleep(TAIL);
        done.store(true, Ordering::Relaxed);
        let late = receiving.join().map_err(|_| "the receiver panicked");
        (sent, late)
    });
    let (sent, mut late) = (sent?, late.map_err(anyhow::Error::msg)??);
    late.sort();
    let ms = |percent| {
        let late = percentile(&late, percent).context("nothing arrived")?;
        anyhow::Ok(late.as_secs_f64() * 1e3)
    };
    let in_time = late.iter().filter(|late| **late <= DELAY).count();
    Ok(Measured {
        offered: args.rate,
        mbit_per_second: (late.len() * LENGTH * 8) as f64 / 1e6 / time.as_secs_f64(),
        sent,
        arrived: late.len() as u64,
        late_p50_ms: ms(50.0)?,
        late_p99_ms: ms(99.0)?,
        late_max_ms: ms(100.0)?,
        within_10_ms: in_time as f64 / late.len() as f64,
        relay: relay.counters(),
    })
}

/// Returns how many packets were sent.
fn send(relay: &Relay, rate: Rate, time: Duration, epoch: Instant) -> io::Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(relay.address())?;
    let each = rate.time(LENGTH);
    let began = Instant::now();
    let mut sent: u32 = 0;
    let mut packet = [0; LENGTH];
    while began.elapsed() < time {
        while each * sent < began.elapsed() {
            let now = u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            packet[..8].copy_from_slice(&now.to_be_bytes());
            socket.send(&packet)?;
            sent += 1;
        }
        thread::sleep(TICK);
    }
    Ok(u64::from(sent))
}

/// Returns how late each packet was.
fn receive(socket: &UdpSocket, epoch: Instant, done: &AtomicBool) -> io::Result<Vec<Duration>> {
    // As prompt as the relay: its lateness is wanted, not ours.
    super::shell::hurry();
    socket.set_read_timeout(Some(TAIL / 10))?;
    let mut late = Vec::new();
    let mut packet = [0; LENGTH];
    while !done.load(Ordering::Relaxed) {
        // A time-out: look whether it is over.
        if socket.recv(&mut packet).is_err() {
            continue;
        }
        let mut sent = [0; 8];
        sent.copy_from_slice(&packet[..8]);
        let sent = Duration::from_nanos(u64::from_be_bytes(sent));
        let took = epoch.elapsed().saturating_sub(sent);
        late.push(took.saturating_sub(DELAY));
    }
    Ok(late)
}
