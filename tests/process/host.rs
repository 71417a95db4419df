//! What `warren check` says of a host that does not fit the file: namespaces of the tests' own.

use std::fs;
use std::process::Command;

use crate::installed::program;
use crate::support::command::{Finished, run};
use crate::support::mesh::path_text;
use crate::support::{Mesh, Spec, WARREN};

/// Runs `warren check` on `yaml` as root of its own network and mounts, after the commands of `setup`.
fn checked(yaml: &str, setup: &str, arguments: &[&str]) -> Finished {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let config = dir.path().join("agent.yaml");
    fs::write(&config, yaml).expect("the test's folder is writable");
    program("ip", "iproute2");
    let mut shell = program("unshare", "util-linux");
    shell
        .args(["--user", "--map-root-user", "--net", "--mount", "sh", "-ec"])
        .arg(format!("{setup}\nexec \"$0\" check -c \"$@\""))
        .args([WARREN, &path_text(&config)])
        .args(arguments);
    run(&mut shell, "")
}

fn line<'a>(finished: &'a Finished, start: &str) -> &'a str {
    let mut lines = finished.stdout.lines();
    lines
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no line begins with {start:?}: {finished:#?}"))
}

fn peers(addresses: &[&str]) -> String {
    let peers = addresses.iter().enumerate();
    let one = |(n, address)| format!("  - {{ id: '{n:032x}', address: '{address}' }}\n");
    let peers: String = peers.map(one).collect();
    format!("http: {{ enabled: false }}\npeers:\n{peers}")
}

#[test]
fn the_way_to_each_peer_is_looked_up() {
    let setup = "ip link set lo up\n\
        ip link add wide type veth peer name wide-end\n\
        ip addr add 192.0.2.1/24 dev wide; ip link set wide-end up; ip link set wide up\n\
        ip link add tight type veth peer name tight-end\n\
        ip addr add 198.51.100.1/24 dev tight; ip link set tight-end up\n\
        ip link set tight mtu 1220 up\n\
        ip route add 192.0.2.128/25 dev wide mtu 1400";
    for (address, expected) in [
        (
            "192.0.2.7:4433",
            "ok    route to peer: 192.0.2.7:4433, MTU 1500",
        ),
        (
            "192.0.2.200:4433",
            "ok    route to peer: 192.0.2.200:4433, MTU 1400: sessions",
        ),
        (
            "198.51.100.7:4433",
            "fail  route to peer: 198.51.100.7:4433 is behind an MTU of 1220: a link takes 1228",
        ),
        (
            "203.0.113.7:4433",
            "warn  route to peer: 203.0.113.7:4433 is out of reach: ",
        ),
        (
            "[2001:db8::7]:4433",
            "warn  route to peer: [2001:db8::7]:4433 is out of reach: ",
        ),
    ] {
        let finished = checked(&peers(&[address]), setup, &[]);
        line(&finished, expected);
        let fails = expected.starts_with("fail");
        assert_eq!(finished.code, Some(fails.into()), "{finished:#?}");
    }
}

/// A file that hides the system's own.
fn instead(path: &str, text: &str) -> String {
    format!("printf '{text}' > \"$2.new\"; mount --bind \"$2.new\" $(readlink -f {path})\n")
}

#[test]
fn names_that_lead_nowhere_are_told_before_the_start() {
    let lo = "ip link set lo up\n";
    // Nobody listens there, so the host answers that at once.
    let dead = instead("/etc/resolv.conf", "nameserver 127.0.0.1\\n");
    let hosts = instead("/etc/hosts", "192.0.2.7 known.example\\n");
    let named = peers(&[
        "known.example:4433",
        "unknown.example:4433",
        "gone.invalid:1",
    ]);
    let setup = format!("set -- x \"$@\"; {lo}{dead}{hosts}shift");
    let finished = checked(&named, &setup, &[]);
    line(
        &finished,
        "ok    peers: known.example has the address 192.0.2.7",
    );
    // A dead resolver may live by the time the agent runs: no failure without --connect.
    line(&finished, "warn  peers: resolving unknown.example failed");
    line(
        &finished,
        "fail  peers: gone.invalid has no address: no link",
    );
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let named = peers(&["unknown.example:4433"]);
    assert_eq!(checked(&named, &setup, &[]).code, Some(0));
    let dialled = checked(&named, &setup, &["--connect"]);
    assert_eq!(dialled.code, Some(1), "{dialled:#?}");
    line(&dialled, "fail  system dns: 127.0.0.1:53 does not answer");

    let exit = "http: { enabled: false }\nexit:\n  enabled: true\n  routes: ['10.0.0.0/8']\n  \
        domain_routes: ['known.example', '*.corp.example', 'gone.invalid']\n  \
        health_checks: [{ tcp: 'gone.invalid:80' }]\n";
    let finished = checked(exit, &setup, &[]);
    line(
        &finished,
        "warn  exit.domain_routes: known.example has the address 192.0.2.7, which exit.routes do not",
    );
    line(
        &finished,
        "warn  exit.domain_routes: gone.invalid has no address",
    );
    line(
        &finished,
        "warn  exit.health_checks: gone.invalid has no address",
    );
    assert!(
        !finished.stdout.contains("corp.example has"),
        "{finished:#?}"
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

#[test]
fn a_folder_that_takes_nothing_is_told() {
    let yaml = |dir: &str| format!("agent: {{ data_dir: {dir} }}\nhttp: {{ enabled: false }}\n");
    let full = "mount -t tmpfs -o size=64k,nr_inodes=8 tmpfs /mnt\n\
        head -c 65536 /dev/zero > /mnt/fill || true";
    let finished = checked(&yaml("/mnt"), full, &[]);
    line(
        &finished,
        "fail  agent.data_dir: the file system of /mnt is full, 0 bytes",
    );
    let crowded = "mount -t tmpfs -o size=1m,nr_inodes=4 tmpfs /mnt\ntouch /mnt/1 /mnt/2 /mnt/3";
    let finished = checked(&yaml("/mnt"), crowded, &[]);
    line(
        &finished,
        "fail  agent.data_dir: the file system of /mnt takes no more files",
    );
    let read_only = "mount -t tmpfs -o ro tmpfs /mnt";
    let finished = checked(&yaml("/mnt/data"), read_only, &[]);
    let told = line(&finished, "fail  agent.data_dir: cannot write in /mnt: ");
    assert!(told.contains("on a file system that is writable"), "{told}");
    assert_eq!(finished.code, Some(1), "{finished:#?}");
}

#[test]
fn limits_of_the_kernel_are_told_with_what_raises_them() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit("routes: ['10.0.0.0/8']"));
    let config = path_text(&mesh.write_config("exit"));
    let mut shell = program("unshare", "util-linux");
    shell
        .args(["--user", "--map-root-user", "--net", "sh", "-ec"])
        .arg(
            "ip link set lo up\n\
             echo '50000 50999' > /proc/sys/net/ipv4/ip_local_port_range\n\
             ulimit -n 256\n\
             exec \"$0\" check -c \"$1\"",
        )
        .args([WARREN, &config]);
    let finished = run(&mut shell, "");
    let ports = line(&finished, "warn  ephemeral ports: 1000 (50000 to 50999): ");
    assert!(ports.contains("net.ipv4.ip_local_port_range"), "{ports}");
    let files = line(&finished, "warn  open files: the limit is 256, ");
    assert!(files.contains("ulimit -Hn"), "{files}");
    line(&finished, "ok    agent.data_dir: ");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let plain = run(Command::new(WARREN).args(["check", "-c", &config]), "");
    let buffers = plain
        .stdout
        .lines()
        .find(|line| line.contains("udp buffers: "));
    assert!(buffers.is_some(), "{plain:#?}");
}
