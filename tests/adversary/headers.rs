//! Headers of the PROXY protocol that are halves, floods or lies: who a connection is from is what the
//! named balancer's whole header says, or nobody.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::crowding::open;
use crate::scene::Took;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// The balancer, which is nowhere else: [`open`] connects from there.
const BALANCER: &str = "127.0.0.66/32";

/// Connections at once.
const MANY: usize = 600;

fn mesh() -> (Mesh, Target) {
    let socks5 = format!("max_connections: 300, proxy_protocol: {{ from: ['{BALANCER}'] }}");
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5_with(&socks5)
            .extra("limits: { socks_handshake_timeout: 3s }\n")
            .peer("exit"),
    ]);
    mesh.await_ready("ingress");
    (mesh, Target::start())
}

/// Asks for `hold` at the target behind these bytes, and waits for the target's word or the end.
fn is_served(mut stream: TcpStream, header: &[u8], target: SocketAddr) -> Option<TcpStream> {
    let mut bytes = header.to_vec();
    bytes.extend([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1]);
    bytes.extend(target.port().to_be_bytes());
    bytes.extend(b"hold\n");
    stream.write_all(&bytes).ok()?;
    let patience = Some(Duration::from_secs(6));
    stream.set_read_timeout(patience).expect("an open socket");
    let mut heard = [0; 2 + 10 + 5];
    stream.read_exact(&mut heard).ok()?;
    heard.ends_with(b"held\n").then_some(stream)
}

fn clients(mesh: &Mesh) -> Vec<SocketAddr> {
    let streams = mesh.get("ingress", "/api/streams").json();
    let streams = streams.as_array().expect("a list");
    let client = |stream: &Value| stream["client"].as_str()?.parse().ok();
    streams
        .iter()
        .map(|stream| client(stream).expect("an address"))
        .collect()
}

/// The seeds of the fuzz target of these headers, from the balancer and from a stranger.
#[test]
fn who_a_connection_is_from_is_said_by_a_whole_header_of_the_balancer_or_by_nobody() {
    let (mesh, target) = mesh();
    let named = [
        "203.0.113.7",
        "2001:db8::7",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ];
    let named = named.map(|ip| ip.parse::<std::net::IpAddr>().expect("an address"));
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/proxy_header");
    let mut served = 0;
    for seed in fs::read_dir(seeds).expect("the seeds") {
        let path = seed.expect("a readable folder").path();
        let bytes = fs::read(&path).expect("a readable seed");
        // What stands behind the header is said anew.
        let header = bytes.strip_suffix(b"\x05\x01\x00").unwrap_or(&bytes);
        let stream = open(mesh.socks("ingress"));
        let own = stream.local_addr().expect("an open socket");
        if let Some(stream) = is_served(stream, header, target.address()) {
            let seen = clients(&mesh);
            let [client] = seen[..] else {
                panic!("{path:?}: {seen:?}");
            };
            assert!(
                client == own || named.contains(&client.ip()),
                "{path:?}: {client}"
            );
            served += 1;
            drop(stream);
        }
        eventually("it has ended", || clients(&mesh).is_empty().then_some(()));
        // The same from somebody else.
        let stranger = TcpStream::connect(mesh.socks("ingress")).expect("it listens");
        let own = stranger.local_addr().expect("an open socket");
        if let Some(stream) = is_served(stranger, header, target.address()) {
            assert!(header.is_empty(), "{path:?}");
            assert_eq!(clients(&mesh), [own]);
            drop(stream);
            eventually("it has ended", || clients(&mesh).is_empty().then_some(()));
        }
    }
    assert!((10..30).contains(&served), "{served} were served");
}

/// A user beside `MANY` connections from the balancer's address that begin like this and go on with a
/// byte now and then.
#[test]
fn headers_that_never_end_lock_out_no_user_and_are_cut() {
    let (mesh, target) = mesh();
    let (socks, target) = (mesh.socks("ingress"), target.address());
    let fetches = || {
        let fetch = |_| {
            let start = Instant::now();
            fetch(socks, target);
            start.elapsed()
        };
        Took::of((0..60).map(fetch).collect())
    };
    let idle = fetches();
    // An address of its own: not the users'.
    let connect = |last: u8| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
        socket.bind(&from.into()).expect("loopback has it");
        socket.connect(&socks.into()).expect("the port listens");
        TcpStream::from(socket)
    };
    for begin in [
        &b"PROXY TCP4 203.0.113.7"[..],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x07\xf0",
    ] {
        let mut slow: Vec<TcpStream> = (0..MANY).map(|_| connect(66)).collect();
        for stream in &mut slow {
            let _ = stream.write_all(begin);
        }
        for _ in 0..3 {
            for stream in &mut slow {
                let _ = stream.write_all(b"1");
            }
            fetches().assert_beside(idle, "headers without end");
            thread::sleep(Duration::from_millis(100));
        }
        let failures = "warren_socks_handshake_failures_total{reason=\"timed_out\"}";
        eventually("they are cut", || {
            let open = mesh.metric("ingress", failures);
            (open >= MANY as f64 / 2.0).then_some(())
        });
    }
}
