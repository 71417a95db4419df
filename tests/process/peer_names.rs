//! Peers that the file names: found in the hosts file, at several addresses, and anew when the system's
//! files change under a running agent. The files are the agents' own, in namespaces.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use crate::installed::program;
use crate::support::command::run;
use crate::support::mesh::path_text;
use crate::support::process::Process;
use crate::support::{LOOPBACK, Mesh, Spec, WARREN};

const NAMESERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/glibc/nameserver.py"
);

/// Nobody answers there.
const NO_SERVER: &str = "nameserver 127.0.0.9\n";

/// A running exit, and the file of an ingress that dials it as `host`.
fn mesh(host: &str) -> (Mesh, String) {
    let mut mesh = Mesh::start_all([Spec::new("exit").listen().exit(LOOPBACK)]);
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    let config = mesh.write_config("ingress");
    let port = mesh.link("exit").port();
    let yaml = fs::read_to_string(&config).expect("it was written");
    let named = yaml.replace(&format!("127.0.0.1:{port}"), &format!("{host}:{port}"));
    assert_ne!(yaml, named);
    fs::write(&config, named).expect("it is writable");
    (mesh, path_text(&config))
}

/// Runs the ingress with files of its own. They may be written again, in place.
fn start(dir: &Path, config: &str, hosts: &str, resolv_conf: &str) -> Process {
    let mut shell = program("unshare", "util-linux");
    shell.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    shell.arg(
        "for name in hosts resolv.conf; do\n\
           mount --bind \"$1/$name\" \"$(readlink -f /etc/$name)\"\n\
         done\n\
         exec \"$0\" run -c \"$2\"",
    );
    fs::write(dir.join("hosts"), hosts).expect("it is writable");
    fs::write(dir.join("resolv.conf"), resolv_conf).expect("it is writable");
    shell.args([WARREN, &path_text(dir), config]);
    Process::spawn("ingress", &mut shell, &dir.join("ingress.log"))
}

#[test]
fn a_peer_of_the_hosts_file_needs_no_name_server() {
    for (host, hosts) in [
        ("exit.mesh", "127.0.0.1 localhost\n127.0.0.1 exit.mesh\n"),
        ("Exit_1", "127.0.0.1 exit_1 exit.mesh # ours\n"),
        ("-exit.mesh.", "127.0.0.1 -exit.mesh\n"),
    ] {
        let (mesh, config) = mesh(host);
        let _ingress = start(mesh.dir(), &config, hosts, NO_SERVER);
        mesh.await_ready("ingress");
    }
}

#[test]
fn a_peer_with_a_dead_address_is_reached_at_the_other() {
    let (mesh, config) = mesh("exit.mesh");
    let port = mesh.link("exit").port();
    // Silent, as a host that is down is.
    let _dead = UdpSocket::bind(("127.0.0.2", port)).expect("a free port");
    let hosts = "127.0.0.2 exit.mesh\n127.0.0.1 exit.mesh\n";
    let ingress = start(mesh.dir(), &config, hosts, NO_SERVER);
    mesh.await_ready("ingress");
    // By the first dial: no attempt has failed as a whole.
    assert!(
        !ingress.log().contains("peer not reached"),
        "{}",
        ingress.log()
    );
}

#[test]
fn a_peer_that_moves_is_found_at_the_next_dial() {
    let (mesh, config) = mesh("exit.mesh");
    let mut ingress = start(mesh.dir(), &config, "127.0.0.2 exit.mesh\n", NO_SERVER);
    let not_reached = |ingress: &Process| ingress.log().contains("peer not reached");
    crate::support::wait::eventually("the old address is tried", || {
        assert!(ingress.is_running(), "{}", ingress.log());
        not_reached(&ingress).then_some(())
    });
    fs::write(mesh.dir().join("hosts"), "127.0.0.1 exit.mesh\n").expect("it is writable");
    mesh.await_ready("ingress");
}

/// Everything in one network of its own, where a name server can have its port.
#[test]
fn another_resolv_conf_counts_for_a_running_agent() {
    let (mut mesh, config) = mesh("exit.mesh");
    // It runs again, in there.
    mesh.kill("exit");
    let dir = path_text(mesh.dir());
    fs::write(mesh.dir().join("hosts"), "").expect("it is writable");
    fs::write(mesh.dir().join("resolv.conf"), NO_SERVER).expect("it is writable");
    fs::write(mesh.dir().join("asked"), "").expect("it is writable");
    let records = "{\"exit.mesh\": [\"127.0.0.1\"]}";
    fs::write(mesh.dir().join("records.json"), records).expect("it is writable");
    program("ip", "iproute2");
    program("python3", "python3");
    let mut shell = program("unshare", "util-linux");
    // What it started ends with it, whatever happens.
    shell.args(["--user", "--map-root-user", "--net", "--mount"]);
    shell.args(["--pid", "--fork", "--kill-child", "sh", "-ec"]);
    shell.arg(
        "ip link set lo up\n\
         for name in hosts resolv.conf; do\n\
           mount --bind \"$1/$name\" \"$(readlink -f /etc/$name)\"\n\
         done\n\
         pids=\n\
         trap 'kill $pids' EXIT\n\
         python3 \"$4\" \"$1/records.json\" \"$1/asked\" > \"$1/server.log\" & pids=$!\n\
         \"$0\" run -c \"$1/exit.yaml\" 2> \"$1/exit.log\" & pids=\"$pids $!\"\n\
         \"$0\" run -c \"$2\" 2> \"$1/ingress.log\" & pids=\"$pids $!\"\n\
         until grep -q 'peer not reached' \"$1/ingress.log\" 2>&-; do sleep 0.05; done\n\
         until grep -q ready \"$1/server.log\" 2>&-; do sleep 0.05; done\n\
         echo nameserver 127.0.0.1 > \"$1/resolv.conf\"\n\
         until \"$0\" ready --api \"$3\" 2> \"$1/ready.log\"; do sleep 0.05; done",
    );
    let api = mesh.api_url("ingress");
    shell.args([WARREN, &dir, &config, &api, NAMESERVER]);
    let finished = run(&mut shell, "");
    let log = fs::read_to_string(mesh.dir().join("ingress.log")).unwrap_or_default();
    assert_eq!(
        (finished.code, &*finished.stdout),
        (Some(0), "ready\n"),
        "{finished:#?}\n{log}"
    );
    let asked = fs::read_to_string(mesh.dir().join("asked")).expect("it was written");
    assert!(asked.contains("exit.mesh"), "{asked}");
}
