//! A file that is read again while its agent runs: all of it counts, or nothing, and nothing is dropped.

use std::fs;
use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use crate::support::command::{Finished, warren};
use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::traffic::{Download, Echo, MIB, fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, http, pair, socks};

pub(crate) fn file(mesh: &Mesh, name: &str) -> PathBuf {
    mesh.dir().join(format!("{name}.yaml"))
}

/// Replaces `old` by `new` in the agent's file.
pub(crate) fn edit(mesh: &Mesh, name: &str, old: &str, new: &str) {
    let file = file(mesh, name);
    let text = fs::read_to_string(&file).expect("the agent's file");
    assert!(text.contains(old), "{old} is not in {text}");
    fs::write(&file, text.replace(old, new)).expect("the test's folder is writable");
}

pub(crate) fn reload(mesh: &Mesh, name: &str) -> Finished {
    warren(&["reload", "--api", &mesh.api_url(name)])
}

/// The keys that a reload must change.
pub(crate) fn changes(mesh: &Mesh, name: &str) -> Vec<String> {
    let told = reload(mesh, name).success();
    told.lines().map(str::to_owned).collect()
}

fn links_since(mesh: &Mesh, name: &str) -> Vec<(String, u64)> {
    let peers = mesh.get(name, "/api/peers").json();
    let peers = peers.as_array().expect("a list").iter();
    peers
        .map(|peer| {
            let id = peer["id"].as_str().expect("an id").to_owned();
            (id, peer["uptime_s"].as_u64().unwrap_or(0))
        })
        .collect()
}

pub(crate) fn downs(mesh: &Mesh, name: &str) -> usize {
    let events = mesh.get(name, "/api/events").json();
    let events = events.as_array().expect("a list").iter();
    events.filter(|event| event["kind"] == "link_down").count()
}

#[test]
fn a_peer_is_added_repriced_and_removed_under_traffic() {
    let mut agents = diamond::agents().to_vec();
    let ingress = agents.pop().expect("the ingress");
    let mut mesh = Mesh::start_all(agents);
    mesh.add(Spec::new("ingress").socks5().peer("first"));
    mesh.start("ingress");
    mesh.await_chosen("ingress", DEST, FIRST);
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let mut download = Download::start(mesh.socks("ingress"), target.address(), 64 * MIB);
    download.read_to(MIB);

    let one = fs::read_to_string(file(&mesh, "ingress")).expect("the agent's file");
    mesh.respec(ingress);
    mesh.write_config("ingress");
    let both = fs::read_to_string(file(&mesh, "ingress")).expect("the agent's file");
    assert_ne!(one, both);
    let second = format!("peers[{}]", mesh.id("second"));
    assert_eq!(changes(&mesh, "ingress"), std::slice::from_ref(&second));
    mesh.await_paths("ingress", DEST, &[FIRST, SECOND]);
    assert_eq!(downs(&mesh, "ingress"), 0);

    // Now the other one is nearer.
    edit(&mesh, "ingress", "cost: 1 }", "cost: 5 }");
    let first = format!("peers[{}]", mesh.id("first"));
    assert_eq!(changes(&mesh, "ingress"), [format!("{first}.cost")]);
    mesh.await_chosen("ingress", DEST, SECOND);
    echo.round(1_000);
    download.read_to(2 * MIB);
    assert_eq!(
        downs(&mesh, "ingress"),
        0,
        "the link was replaced, not lost"
    );

    fs::write(file(&mesh, "ingress"), &one).expect("the test's folder is writable");
    let mut expected = [second, format!("{first}.cost")];
    expected.sort();
    assert_eq!(changes(&mesh, "ingress"), expected);
    mesh.await_chosen("ingress", DEST, FIRST);
    eventually("the removed peer is listed no more", || {
        (links_since(&mesh, "ingress").len() == 1).then_some(())
    });
    echo.round(1_000);
    download.finish();
    echo.finish();
}

#[test]
fn routes_come_and_go_and_what_is_open_through_them_stays() {
    let exit = Spec::new("exit").listen().exit("routes: [127.0.0.0/8]");
    let mesh = pair::start_as(exit, pair::hasty_ingress());
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    edit(&mesh, "exit", "127.0.0.0/8", "10.99.0.0/16");
    assert_eq!(changes(&mesh, "exit"), ["exit.routes"]);
    mesh.await_chosen("ingress", "10.99.0.1", &["exit"]);
    eventually("the old route is gone", || {
        let explained = mesh.explain("ingress", DEST)?;
        explained["chosen"].is_null().then_some(())
    });
    assert_eq!(socks::refusal(mesh.socks("ingress"), target.address()), 3);
    echo.round(1_000);
    edit(&mesh, "exit", "10.99.0.0/16", "127.0.0.0/8");
    assert_eq!(changes(&mesh, "exit"), ["exit.routes"]);
    mesh.await_chosen("ingress", DEST, &["exit"]);
    fetch(mesh.socks("ingress"), target.address());
    echo.finish();
}

#[test]
fn users_limits_and_ports_change_while_clients_stay() {
    let hash = |password: &str| {
        let mut command = std::process::Command::new(crate::support::WARREN);
        let hashed = crate::support::command::run(command.arg("hash"), password);
        hashed.success().trim().to_owned()
    };
    let (old, new) = (hash("old"), hash("new"));
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    let keys = format!(
        "max_connections: 100, auth: {{ enabled: true, users: [{{ username: ann, password_hash: '{old}' }}] }}"
    );
    mesh.add(Spec::new("ingress").socks5_with(&keys).peer("exit"));
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_ready("ingress");
    let target = Target::start();
    let login = |password: &str| {
        socks::connect_as(mesh.socks("ingress"), "ann", password, target.address())
    };
    let held = login("old").expect("the password is right");
    edit(&mesh, "ingress", &old, &new);
    edit(
        &mesh,
        "ingress",
        "max_connections: 100",
        "max_connections: 200",
    );
    assert_eq!(
        changes(&mesh, "ingress"),
        [
            "socks5.auth.users[ann].password_hash",
            "socks5.max_connections"
        ]
    );
    assert!(login("old").is_err(), "the old password opens nothing");
    login("new").expect("the new one does");

    // Another port; who is connected to the old one stays.
    let before = mesh.socks("ingress");
    mesh.move_socks("ingress");
    let after = mesh.socks("ingress");
    edit(&mesh, "ingress", &before.to_string(), &after.to_string());
    assert_eq!(changes(&mesh, "ingress"), ["socks5.address"]);
    let gone = std::net::TcpStream::connect(before).unwrap_err();
    assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
    socks::connect_as(after, "ann", "new", target.address()).expect("the new port serves");
    drop(held);
}

#[test]
fn a_token_counts_from_the_reload_on_and_http_moves() {
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    mesh.await_ready("agent");
    let before = mesh.http("agent");
    let moved = crate::support::ports::free_port();
    edit(
        &mesh,
        "agent",
        &before.to_string(),
        &format!("127.0.0.1:{moved}"),
    );
    // The answer still comes over the old port.
    assert_eq!(changes(&mesh, "agent"), ["http.address"]);
    eventually("the old port is given up", || {
        http::get(before, "/health").is_err().then_some(())
    });
    let after = std::net::SocketAddr::from(([127, 0, 0, 1], moved));
    assert_eq!(http::get(after, "/health").expect("an answer").status, 200);
    let hash = "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u";
    let at = format!("'127.0.0.1:{moved}',");
    edit(&mesh, "agent", &at, &format!("{at} token_hash: '{hash}',"));
    let told = warren(&["reload", "--api", &format!("http://{after}")]).success();
    assert_eq!(told, "http.token_hash\n");
    assert_eq!(
        http::get(after, "/api/peers").expect("an answer").status,
        401
    );
}

#[test]
fn a_bad_file_and_a_change_that_takes_a_restart_change_nothing() {
    let mesh = pair::start();
    let target = Target::start();
    let good = fs::read_to_string(file(&mesh, "exit")).expect("the agent's file");
    let routes = |mesh: &Mesh| mesh.get("ingress", "/api/routes").json();
    let before = routes(&mesh);
    for (old, new, told) in [
        ("127.0.0.0/8", "127.0.0.1/8", "host bits set"),
        ("exit:", "exits:", "unknown key"),
        (
            "heartbeat: 100ms",
            "heartbeat: 200ms",
            "connections.heartbeat: takes effect when",
        ),
        (
            "id: auto",
            "id: 000102030405060708090a0b0c0d0e0f",
            "agent.id: an agent's id is its key's",
        ),
        ("ca.crt", "missing.crt", "missing.crt"),
    ] {
        fs::write(file(&mesh, "exit"), &good).expect("the test's folder is writable");
        edit(&mesh, "exit", old, new);
        // Nothing of it is applied, though this could be.
        let with_more = fs::read_to_string(file(&mesh, "exit")).expect("the agent's file");
        let with_more = with_more.replace("routes: [", "routes: [10.98.0.0/16, ");
        fs::write(file(&mesh, "exit"), with_more).expect("the test's folder is writable");
        let failed = reload(&mesh, "exit");
        assert_eq!(failed.code, Some(1), "{failed:#?}");
        assert!(failed.stderr.contains(told), "{failed:#?}");
        assert_eq!(failed.stdout, "");
        assert_eq!(routes(&mesh), before, "{new}");
        fetch(mesh.socks("ingress"), target.address());
    }
    // A peer twice, a file cut short, no file.
    for text in [
        "peers: [{ id: '000102030405060708090a0b0c0d0e0f', address: 'h:1' }, { id: \
                  '000102030405060708090a0b0c0d0e0f', address: 'h:2' }]",
        &good[..good.len() / 2],
    ] {
        fs::write(file(&mesh, "exit"), text).expect("the test's folder is writable");
        assert_eq!(reload(&mesh, "exit").code, Some(1), "{text}");
    }
    fs::remove_file(file(&mesh, "exit")).expect("the file is there");
    let failed = reload(&mesh, "exit");
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    fetch(mesh.socks("ingress"), target.address());
    fs::write(file(&mesh, "exit"), &good).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "exit"), ["nothing has changed"]);
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let ingress = pair::ingress().extra("drain: { timeout: 9s }");
    let mesh = pair::start_as(pair::exit(), ingress);
    let target = Target::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken
        .local_addr()
        .map(|at| (at, taken))
        .expect("a bound port");
    edit(
        &mesh,
        "ingress",
        &mesh.socks("ingress").to_string(),
        &taken.0.to_string(),
    );
    edit(&mesh, "ingress", "timeout: 9s", "timeout: 8s");
    let failed = reload(&mesh, "ingress");
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(
        failed.stderr.contains("socks5.address: cannot bind"),
        "{failed:#?}"
    );
    fetch(mesh.socks("ingress"), target.address());
    drop(taken);
    assert_eq!(
        changes(&mesh, "ingress"),
        ["drain.timeout", "socks5.address"]
    );
}

#[test]
fn sighup_reloads_and_a_watched_file_does_by_itself() {
    let exit = Spec::new("exit").listen().exit("routes: [127.0.0.0/8]");
    let mut mesh = pair::start_as(exit, pair::ingress());
    edit(&mesh, "exit", "routes: [", "routes: [10.97.0.0/16, ");
    mesh.process("exit").signal("HUP");
    mesh.await_log("exit", &["reloaded", "exit.routes"]);
    mesh.await_chosen("ingress", "10.97.0.1", &["exit"]);

    edit(&mesh, "exit", "  id: auto", "  watch: true\n  id: auto");
    assert_eq!(changes(&mesh, "exit"), ["agent.watch"]);
    // As Kubernetes does it: a link that is swapped.
    let real = mesh.dir().join("other.yaml");
    let text = fs::read_to_string(file(&mesh, "exit")).expect("the agent's file");
    fs::write(&real, text.replace("10.97.0.0/16", "10.96.0.0/16")).expect("writable");
    let link = mesh.dir().join("link");
    std::os::unix::fs::symlink(&real, &link).expect("links can be made");
    fs::rename(&link, file(&mesh, "exit")).expect("a link takes the file's place");
    mesh.await_chosen("ingress", "10.96.0.1", &["exit"]);
    eventually("the old route is gone", || {
        let explained = mesh.explain("ingress", "10.97.0.1")?;
        explained["chosen"].is_null().then_some(())
    });
}

#[test]
fn trust_is_taken_away_and_given_by_a_reload() {
    let mesh = pair::start_as(pair::exit(), pair::hasty_ingress());
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    let good = fs::read_to_string(file(&mesh, "exit")).expect("the agent's file");
    let revoked = format!("{good}\ntrust: {{ revoke: ['{}'] }}\n", mesh.id("ingress"));
    fs::write(file(&mesh, "exit"), revoked).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "exit"), ["trust.revoke"]);
    eventually("the ingress is out", || {
        (mesh.get("ingress", "/ready").status == 503).then_some(())
    });
    assert!(!try_fetch(mesh.socks("ingress"), target.address()));
    fs::write(file(&mesh, "exit"), &good).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "exit"), ["trust.revoke"]);
    mesh.await_ready("ingress");
    fetch(mesh.socks("ingress"), target.address());
}

#[test]
fn reloads_without_end_cost_no_stream() {
    let mesh = pair::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let mut download = Download::start(mesh.socks("ingress"), target.address(), 32 * MIB);
    thread::scope(|scope| {
        let storm = |name: &'static str| {
            let address = mesh.http(name);
            let file = file(&mesh, name);
            move || {
                let text = fs::read_to_string(&file).expect("the agent's file");
                for turn in 0..100 {
                    let keys = format!("{text}\ndrain: {{ timeout: {}s }}\n", 1 + turn % 2);
                    // In one step: half a file is another test.
                    let next = file.with_extension("next");
                    fs::write(&next, keys).expect("writable");
                    fs::rename(&next, &file).expect("writable");
                    let answer = http::post(address, "/api/reload").expect("an answer");
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let changed: Value = answer.json()["changed"].clone();
                    assert_eq!(changed, serde_json::json!(["drain.timeout"]));
                }
            }
        };
        let storms = [scope.spawn(storm("exit")), scope.spawn(storm("ingress"))];
        for round in 1..=16 {
            echo.round(1_000);
            download.read_to(round * MIB);
        }
        storms
            .into_iter()
            .for_each(|storm| storm.join().expect("every reload works"));
    });
    download.finish();
    echo.finish();
    assert_eq!(downs(&mesh, "ingress") + downs(&mesh, "exit"), 0);
}
