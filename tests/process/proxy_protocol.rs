//! Behind a load balancer that says who its clients are: Debian's HAProxy with `send-proxy` and
//! `send-proxy-v2`, and headers that nobody may send.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

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
