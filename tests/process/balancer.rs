//! A load balancer steers by `/ready` and `/healthz`: Debian's HAProxy in front of an ingress.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::installed::program;
use crate::reload::{changes, file, reload};
use crate::support::command::warren;
use crate::support::dns::Dns;
use crate::support::ports::free_port;
use crate::support::process::Process;
use crate::support::socks::refusal;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const NO_ROUTE: u8 = 0x03;

/// Each endpoint that a balancer may check, and the backend that does.
const CHECKS: [(&str, &str); 2] = [("ready", "/ready"), ("healthz", "/healthz")];

struct Balancer {
    control: PathBuf,
    /// Where clients of the backends connect, in the order of [`CHECKS`].
    fronts: [SocketAddr; 2],
    _process: Process,
}

impl Balancer {
    /// In front of the mesh's `ingress`, with the checks of `docs/operations.md`, ten times as fast.
    fn start(mesh: &Mesh) -> Self {
        let control = mesh.dir().join("haproxy.sock");
        let (http, socks) = (mesh.http("ingress"), mesh.socks("ingress"));
        let fronts = CHECKS.map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let mut text = format!(
            "global\n  stats socket {}\n\
             defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n",
            control.display()
        );
        for ((name, path), front) in CHECKS.iter().zip(fronts) {
            text.push_str(&format!(
                "listen {name}\n  bind {front}\n  option httpchk\n  \
                 http-check send meth GET uri {path} ver HTTP/1.1 hdr Host warren\n  \
                 http-check expect status 200\n  \
                 server ingress {socks} check port {} inter 100ms fall 2 rise 2\n",
                http.port()
            ));
        }
        let config = mesh.dir().join("haproxy.cfg");
        fs::write(&config, text).expect("a writable folder");
        let mut command = program("/usr/sbin/haproxy", "haproxy");
        command.arg("-db").arg("-f").arg(&config);
        let log = mesh.dir().join("haproxy.log");
        Self {
            control,
            fronts,
            _process: Process::spawn("haproxy", &mut command, &log),
        }
    }

    /// What HAProxy thinks of the ingress, by backend.
    fn status(&self) -> Option<[String; 2]> {
        let mut seen = statuses(&self.control)?;
        Some([seen.remove(CHECKS[0].0)?, seen.remove(CHECKS[1].0)?])
    }

    fn await_status(&self, status: &str) {
        eventually(
            &format!("HAProxy has the ingress {status} by both checks"),
            || {
                let seen = self.status()?;
                seen.iter().all(|seen| seen == status).then_some(())
            },
        );
    }
}

/// What HAProxy thinks of the server `ingress` of each backend.
fn statuses(control: &Path) -> Option<BTreeMap<String, String>> {
    let mut stream = UnixStream::connect(control).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let column = |name| head.iter().position(|title| *title == name);
    let (backend, server, status) = (column("pxname")?, column("svname")?, column("status")?);
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    let rows = rows.filter(|row| row.get(server) == Some(&"ingress"));
    let seen = rows.map(|row| (row[backend].to_owned(), row[status].to_owned()));
    Some(seen.collect())
}

/// The exit answers name queries all along, and its link is up: neither is a route.
#[test]
fn an_ingress_whose_every_route_is_withdrawn_by_health_checks_leaves_the_balancer_until_one_is_back()
 {
    let dns = Dns::start(&[("target.example", Ipv4Addr::LOCALHOST)]);
    let guarded = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let exit = format!(
        "routes: [127.0.0.0/8], domain_routes: ['*.example'], dns: {{ servers: ['{}'] }}, \
         health_checks: [{{ tcp: '{guarded}', interval: 250ms, timeout: 250ms, fall: 3, rise: 2 }}]",
        dns.address()
    );
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(&exit),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    let target = Target::start();
    let balancer = Balancer::start(&mesh);
    for _ in 0..2 {
        let service = TcpListener::bind(guarded).expect("the port is free");
        balancer.await_status("UP");
        let health = mesh.get("ingress", "/healthz");
        assert_eq!((health.status, &health.json()["routes"]), (200, &2.into()));
        balancer
            .fronts
            .iter()
            .for_each(|front| fetch(*front, target.address()));

        drop(service);
        balancer.await_status("DOWN");
        let (ready, health) = (
            mesh.get("ingress", "/ready"),
            mesh.get("ingress", "/healthz"),
        );
        assert_eq!((ready.status, ready.body.trim()), (503, "NOT READY"));
        let json = health.json();
        assert_eq!((health.status, &json["routes"]), (503, &0.into()), "{json}");
        assert_eq!(
            (&json["status"], &json["peers"]),
            (&"unavailable".into(), &1.into())
        );
        assert_eq!(json["reasons"][0], "no usable route");
        let socks = mesh.socks("ingress");
        assert_eq!(refusal(socks, target.address()), NO_ROUTE);
        assert_eq!(
            refusal(socks, ("target.example", target.address().port())),
            NO_ROUTE
        );
    }
}

/// HAProxy remembers what the agent said last: a drain that is taken back must be taken back there, too.
#[test]
fn an_ingress_tells_the_balancer_by_agent_check_that_it_drains_or_has_no_mesh() {
    let agent_port = free_port();
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("ingress")
            .socks5()
            .http(&format!("agent_check: '127.0.0.1:{agent_port}'"))
            .peer("exit"),
    ]);
    mesh.await_ready("ingress");
    let control = mesh.dir().join("haproxy.sock");
    let config = mesh.dir().join("haproxy.cfg");
    let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let text = format!(
        "global\n  stats socket {}\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\n\
         listen asked\n  bind {front}\n  \
         server ingress {} check port {} agent-check agent-port {agent_port} agent-inter 100ms\n",
        control.display(),
        mesh.socks("ingress"),
        mesh.http("ingress").port(),
    );
    fs::write(&config, text).expect("a writable folder");
    let mut command = program("/usr/sbin/haproxy", "haproxy");
    command.arg("-db").arg("-f").arg(&config);
    let _haproxy = Process::spawn("haproxy", &mut command, &mesh.dir().join("haproxy.log"));
    let await_status = |wanted: &str| {
        eventually(&format!("HAProxy has the ingress {wanted}"), || {
            let seen = statuses(&control)?.remove("asked")?;
            seen.starts_with(wanted).then_some(())
        });
    };
    await_status("UP");
    let api = mesh.api_url("ingress");
    for _ in 0..2 {
        warren(&["drain", "--api", &api]).success();
        await_status("DRAIN");
        warren(&["drain", "--undo", "--api", &api]).success();
        await_status("UP");
    }
    let target = Target::start();
    fetch(front, target.address());
    mesh.kill("exit");
    await_status("DOWN");

    // One that never reads, and one that talks, cost nobody anything.
    let mut rude = TcpStream::connect(("127.0.0.1", agent_port)).expect("it listens");
    rude.write_all(&[b'x'; 10_000]).expect("it reads");
    mesh.start("exit");
    await_status("UP");
}

/// What the agent says to who asks at this port.
fn checked(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut line = String::new();
    stream.read_to_string(&mut line).ok()?;
    Some(line)
}

#[test]
fn the_port_of_the_agent_check_opens_moves_and_closes_by_a_reload() {
    let (first, second) = (free_port(), free_port());
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    mesh.await_ready("agent");
    let good = fs::read_to_string(file(&mesh, "agent")).expect("the agent's file");
    let with = |port: u16| {
        let key = format!("http: {{ agent_check: '127.0.0.1:{port}', ");
        fs::write(file(&mesh, "agent"), good.replace("http: { ", &key))
    };
    assert_eq!(checked(first), None);
    with(first).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "agent"), ["http.agent_check"]);
    assert_eq!(checked(first).as_deref(), Some("up ready\n"));
    with(second).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "agent"), ["http.agent_check"]);
    assert_eq!(checked(second).as_deref(), Some("up ready\n"));
    eventually("the old port is given up", || {
        checked(first).is_none().then_some(())
    });
    let weighed = fs::read_to_string(file(&mesh, "agent")).expect("the agent's file");
    let weighed = weighed.replace("agent_check:", "agent_check_weight: true, agent_check:");
    fs::write(file(&mesh, "agent"), weighed).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "agent"), ["http.agent_check_weight"]);
    let line = checked(second).expect("it answers");
    let free = line
        .strip_prefix("up ready ")
        .and_then(|rest| rest.strip_suffix("%\n"));
    let free: u8 = free.and_then(|free| free.parse().ok()).expect(&line);
    assert!((1..=100).contains(&free), "{line}");
    with(second).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "agent"), ["http.agent_check_weight"]);
    // One that is taken changes nothing.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("a bound port").port();
    with(port).expect("the test's folder is writable");
    let failed = reload(&mesh, "agent");
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        failed.stderr.contains("http.agent_check: cannot bind"),
        "{failed:#?}"
    );
    assert!(checked(second).is_some());
    fs::write(file(&mesh, "agent"), &good).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "agent"), ["http.agent_check"]);
    eventually("the port is given up", || {
        checked(second).is_none().then_some(())
    });
}
