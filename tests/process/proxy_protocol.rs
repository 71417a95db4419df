//! Behind a load balancer that says who its clients are: Debian's HAProxy with `send-proxy` and
//! `send-proxy-v2`, and headers that nobody may send.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::installed::program;
use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::socks::{self, CONNECT, Refused};
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// A client of TEST-NET-3, in a header of each version.
const HEADERS: [&[u8]; 2] = [
    b"PROXY TCP4 203.0.113.7 127.0.0.1 1025 1080\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x04\x01\x04\x38",
];

fn mesh(from: &str) -> Mesh {
    let socks5 = format!("proxy_protocol: {{ from: [{from}] }}");
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress").socks5_with(&socks5).peer("exit"),
    ]);
    mesh.await_ready("ingress");
    mesh
}

fn via(header: &[u8], mesh: &Mesh, target: &Target) -> Result<TcpStream, Refused> {
    let to = target.address().into();
    socks::request_after(header, mesh.socks("ingress"), None, CONNECT, &to)
}

/// The clients of the ingress' streams.
fn clients(mesh: &Mesh) -> Vec<String> {
    let streams = mesh.get("ingress", "/api/streams").json();
    let streams = streams.as_array().expect("a list");
    let client = |stream: &Value| stream["client"].as_str().expect("an address").to_owned();
    streams.iter().map(client).collect()
}

#[test]
fn the_client_that_haproxy_names_is_the_client() {
    let mesh = mesh("127.0.0.1/32");
    let target = Target::start();
    let fronts = ["send-proxy", "send-proxy-v2"].map(|how| {
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let server = format!("server ingress {} {how}", mesh.socks("ingress"));
        (front, format!("listen {how}\n  bind {front}\n  {server}\n"))
    });
    let config = mesh.dir().join("haproxy.cfg");
    let text = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n{}{}",
        fronts[0].1, fronts[1].1
    );
    fs::write(&config, text).expect("a writable folder");
    let mut command = program("/usr/sbin/haproxy", "haproxy");
    command.arg("-db").arg("-f").arg(&config);
    let _haproxy = Process::spawn("haproxy", &mut command, &mesh.dir().join("haproxy.log"));
    for (front, _) in &fronts {
        eventually("HAProxy accepts", || TcpStream::connect(front).ok());
        let stream = socks::connect(*front, target.address()).expect("a way");
        let own = stream.local_addr().expect("an open socket").to_string();
        assert_eq!(clients(&mesh), [own]);
        drop(stream);
        eventually("the stream has ended", || {
            clients(&mesh).is_empty().then_some(())
        });
        fetch(*front, target.address());
    }
}

#[test]
fn a_header_counts_from_a_balancer_only_and_a_balancer_has_one_always() {
    let mut mesh = mesh("127.0.0.1/32");
    let target = Target::start();
    for header in HEADERS {
        let stream = via(header, &mesh, &target).expect("a way");
        assert_eq!(clients(&mesh), ["203.0.113.7:1025"]);
        drop(stream);
        eventually("the stream has ended", || {
            clients(&mesh).is_empty().then_some(())
        });
    }
    let before = target.accepted();
    let without = via(b"", &mesh, &target);
    assert!(matches!(without, Err(Refused::Io(_))), "{without:?}");
    mesh.await_log("ingress", &["WARN", "no PROXY header", "send-proxy"]);

    // The same file but for the name of the balancer.
    let file = mesh.dir().join("ingress.yaml");
    let text = fs::read_to_string(&file).expect("its configuration");
    fs::write(&file, text.replace("127.0.0.1/32", "192.0.2.0/24")).expect("a writable folder");
    mesh.process("ingress").signal("HUP");
    mesh.await_log("ingress", &["socks5.proxy_protocol.from"]);
    eventually("a client without a header is served", || {
        via(b"", &mesh, &target).ok()
    });
    for header in HEADERS {
        let forged = via(header, &mesh, &target);
        assert!(matches!(forged, Err(Refused::Io(_))), "{forged:?}");
    }
    mesh.await_log(
        "ingress",
        &["WARN", "a PROXY header is refused", "does not name"],
    );
    assert_eq!(target.accepted(), before + 1);
    let refused = "warren_socks_handshake_failures_total{reason=\"proxy_header\"}";
    assert_eq!(mesh.metric("ingress", refused), 3.0);
}

/// A header of version 2: a command, a family, addresses, extensions, and what its length says of them
/// besides the truth.
fn second(command: u8, family: u8, addresses: &[u8], extensions: &[u8], lie: i32) -> Vec<u8> {
    let truth = i32::try_from(addresses.len() + extensions.len()).expect("short vectors");
    let told = u16::try_from(truth + lie).expect("a length of 16 bits");
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(told.to_be_bytes());
    header.extend(addresses);
    header.extend(extensions);
    header
}

/// 203.0.113.7:1025 to 127.0.0.1:1080.
const TCP4: [u8; 12] = [203, 0, 113, 7, 127, 0, 0, 1, 4, 1, 4, 56];

/// Headers as HAProxy's own tests have them (reg-tests/connection/proxy_protocol_*.vtc), and others that
/// its specification tells of, with the client that they name. The balancer's own address stands for who
/// is not named.
fn good() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let named = Some("203.0.113.7:1025");
    let tlv = |kind: u8, value: &[u8]| {
        let length = u16::try_from(value.len())
            .expect("a short value")
            .to_be_bytes();
        [&[kind][..], &length, value].concat()
    };
    let several = [
        tlv(0x02, b"public"),
        tlv(0x05, b"public"),
        tlv(0xe1, b"public"),
        tlv(0x20, &[0; 5]),
    ];
    let nul = [
        tlv(0x02, b"public\0x"),
        tlv(0x05, b"public\0x"),
        tlv(0xe1, b"public\0x"),
    ];
    vec![
        (
            "authority",
            second(1, 0x11, &TCP4, &tlv(2, b"12345"), 0),
            named,
        ),
        (
            "several extensions",
            second(1, 0x11, &TCP4, &several.concat(), 0),
            named,
        ),
        (
            "embedded NUL",
            second(1, 0x11, &TCP4, &nul.concat(), 0),
            named,
        ),
        (
            "an unknown extension",
            second(1, 0x11, &TCP4, &tlv(0xee, b"x"), 0),
            named,
        ),
        (
            "padding",
            second(1, 0x11, &TCP4, &tlv(4, &[0; 200]), 0),
            named,
        ),
        ("LOCAL", second(0, 0, &[], &[], 0), None),
        ("LOCAL with addresses", second(0, 0x11, &TCP4, &[], 0), None),
        ("an unspecified family", second(1, 0, &[], &[], 0), None),
        ("a Unix socket", second(1, 0x31, &[b'/'; 216], &[], 0), None),
        ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec(), None),
        (
            "UNKNOWN with more",
            b"PROXY UNKNOWN 203.0.113.7 x 1 2\r\n".to_vec(),
            None,
        ),
    ]
}

/// Headers that name nobody, whatever follows them.
fn bad() -> Vec<(&'static str, Vec<u8>)> {
    let authority = |length: u8| [&[2, 0, length][..], b"12345"].concat();
    let first = |text: &str| text.as_bytes().to_vec();
    vec![
        // Their length says 8 bytes of extensions.
        (
            "an extension longer than the header",
            second(1, 0x11, &TCP4, &authority(10), 0),
        ),
        (
            "an extension that ends before it",
            second(1, 0x11, &TCP4, &authority(4), 0),
        ),
        ("addresses cut short", second(1, 0x11, &TCP4[..8], &[], 0)),
        (
            "a length below its addresses",
            second(1, 0x11, &TCP4, &[], -4),
        ),
        (
            "a header of 64 KiB",
            second(1, 0x11, &TCP4, &vec![4; 65_000], 0),
        ),
        ("datagrams", second(1, 0x12, &TCP4, &[], 0)),
        ("a command of nobody", second(5, 0x11, &TCP4, &[], 0)),
        ("another version", second(0x11, 0x11, &TCP4, &[], 0)),
        (
            "a NUL in an address",
            first("PROXY TCP4 203.0.113.7\0 127.0.0.1 1 2\r\n"),
        ),
        (
            "the wrong family",
            first("PROXY TCP4 2001:db8::7 2001:db8::9 1 2\r\n"),
        ),
        ("no port", first("PROXY TCP4 203.0.113.7 127.0.0.1 1\r\n")),
        (
            "a port of 17 bits",
            first("PROXY TCP4 203.0.113.7 127.0.0.1 65536 2\r\n"),
        ),
        (
            "a bare line feed",
            first("PROXY TCP4 203.0.113.7 127.0.0.1 1 2\n"),
        ),
        (
            "a line without end",
            [&b"PROXY UNKNOWN "[..], &[b'x'; 500]].concat(),
        ),
        ("two headers", [HEADERS[0], HEADERS[1]].concat()),
        ("HTTP", first("GET / HTTP/1.1\r\nHost: x\r\n\r\n")),
    ]
}

/// Each vector on the real port.
#[test]
fn vectors_of_the_protocol_name_whom_they_name_and_nobody_else() {
    let mut mesh = mesh("127.0.0.1/32");
    let target = Target::start();
    for (what, header, client) in good() {
        let stream = via(&header, &mesh, &target).unwrap_or_else(|e| panic!("{what}: {e:?}"));
        let own = stream.local_addr().expect("an open socket").to_string();
        assert_eq!(clients(&mesh), [client.unwrap_or(&own)], "{what}");
        drop(stream);
        eventually("the stream has ended", || {
            clients(&mesh).is_empty().then_some(())
        });
    }
    let before = target.accepted();
    let vectors = bad();
    for (what, header) in &vectors {
        let refused = via(header, &mesh, &target);
        assert!(
            matches!(refused, Err(Refused::Io(_))),
            "{what}: {refused:?}"
        );
        assert_eq!(clients(&mesh), [""; 0], "{what}");
    }
    assert_eq!(target.accepted(), before, "nobody was served");
    let refused = "warren_socks_handshake_failures_total{reason=\"proxy_header\"}";
    let counted = mesh.metric("ingress", refused);
    assert!(
        counted > 0.0 && counted <= vectors.len() as f64,
        "{counted}"
    );
    assert!(mesh.process("ingress").is_running());
    via(HEADERS[0], &mesh, &target).expect("it serves as before");
}

/// Half a header holds a place until the time for a handshake is over, and nobody else up.
#[test]
fn half_a_header_and_a_header_alone_are_given_up_in_time() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    let from = "proxy_protocol: { from: [127.0.0.1/32] }";
    let ingress = Spec::new("ingress").socks5_with(from).peer("exit");
    mesh.add(ingress.extra("limits: { socks_handshake_timeout: 1s }"));
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_ready("ingress");
    let target = Target::start();
    let whole = second(1, 0x11, &TCP4, &[], 0);
    let halves = [
        &HEADERS[0][..20],
        &whole[..5],
        &whole[..20],
        HEADERS[0],
        &whole,
    ];
    for half in halves {
        let mut held = TcpStream::connect(mesh.socks("ingress")).expect("it listens");
        held.write_all(half).expect("it reads");
        via(HEADERS[1], &mesh, &target).expect("others are served meanwhile");
        held.set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a socket takes a time-out");
        let ended = held.read(&mut [0; 16]);
        assert!(
            matches!(ended, Ok(0)) || ended.is_err_and(|e| !is_late(&e)),
            "{half:?}"
        );
    }
    eventually("nobody is left", || clients(&mesh).is_empty().then_some(()));
}

fn is_late(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock)
}
