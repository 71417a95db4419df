//! Strangers' packets at the link port do not disturb anybody.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use warren::identity::ShortId;
use warren::wire::packet::{PacketType, write_header};

use crate::support::traffic::{Download, Echo, MIB};
use crate::support::{Target, line, pattern};

/// Largest UDP payload that loopback takes without fragmenting it away.
const LARGEST: usize = 60_000;

/// Random bytes, and data packets of every type with tokens that nobody gave out.
fn flood(listener: SocketAddr, stop: &AtomicBool, seed: u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
    let types = [
        PacketType::ToExit,
        PacketType::ToIngress,
        PacketType::Probe,
        PacketType::ProbeReply,
    ];
    let mut at = seed << 32;
    let mut random = |bytes: &mut [u8]| {
        pattern::fill(bytes, at);
        at += bytes.len() as u64;
    };
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut number = [0; 8];
        random(&mut number);
        let length = [0, 1, 18, 19, 27, 100, 1200, 1400, LARGEST][sent as usize % 9];
        let mut packet = vec![0; length];
        random(&mut packet);
        if sent.is_multiple_of(2) {
            let mut header = Vec::new();
            let hops = [ShortId(u64::from_be_bytes(number)), ShortId(sent)];
            let token = u64::from_le_bytes(number);
            let kind = types[sent as usize / 2 % types.len()];
            write_header(&mut header, kind, token, ShortId(sent), &hops);
            header.extend(packet);
            packet = header;
        }
        // The listener may be full; that is its right.
        let _ = socket.send_to(&packet, listener);
        sent += 1;
        // A stranger who fills the machine is another test: this one is about parsing.
        thread::sleep(Duration::from_micros(500));
    }
}

#[test]
fn garbage_at_the_link_port_does_not_disturb_a_download() {
    let mut mesh = line::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    echo.round(100);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for (seed, name) in [(1, "transit"), (2, "exit")] {
            let (listener, stop) = (mesh.link(name), &stop);
            scope.spawn(move || flood(listener, stop, seed));
        }
        // The flood must end when the download fails, or the scope never does.
        let work = scope.spawn(move || Download::start(socks, target.address(), 16 * MIB).finish());
        let done = work.join();
        stop.store(true, Ordering::Relaxed);
        done.expect("the download is whole");
    });
    echo.round(100);
    for name in ["transit", "exit"] {
        let dropped = mesh.metric(name, "warren_dropped_packets_total");
        assert!(dropped > 0.0, "{name} counts what it drops");
        assert!(mesh.process(name).is_running());
    }
    // Not one link was lost.
    assert_eq!(mesh.metric("ingress", "warren_failovers_total"), 0.0);
    echo.finish();
}
