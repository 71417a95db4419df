//! What a service manager, and anybody by a file, is told of the process. The manager is a socket of this
//! test.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::support::command::{run, warren};
use crate::support::mesh::path_text;
use crate::support::process::Process;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target, WARREN, http, pair};

/// A manager's end of the notification socket.
struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    fn at(path: &Path) -> Self {
        Self {
            socket: UnixDatagram::bind(path).expect("the test's folder is writable"),
            name: path_text(path),
        }
    }

    fn abstract_name(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        Self {
            socket: UnixDatagram::bind_addr(&address).expect("a name of this process"),
            name: format!("@{name}"),
        }
    }

    /// The next message, without its STATUS; `None` if none comes in time.
    fn next(&self, limit: Duration) -> Option<String> {
        let until = Instant::now() + limit;
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            let message = self.any(left)?;
            if !message.starts_with("STATUS=") {
                return Some(message);
            }
        }
    }

    fn any(&self, limit: Duration) -> Option<String> {
        let limit = limit.max(Duration::from_millis(1));
        self.socket
            .set_read_timeout(Some(limit))
            .expect("a socket takes a time-out");
        let mut buffer = [0; 4_096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).expect("messages are UTF-8"))
    }

    /// Waits for a status with these words.
    fn await_status(&self, words: &str) {
        eventually(&format!("a status with {words:?}"), || {
            self.any(Duration::from_millis(100))
                .filter(|message| message.starts_with("STATUS=") && message.contains(words))
        });
    }

    fn await_message(&self, wanted: &str) -> String {
        eventually(&format!("the message {wanted}"), || {
            self.next(Duration::from_millis(100))
                .filter(|message| message.starts_with(wanted))
        })
    }
}

/// Starts an agent of the mesh under a manager.
fn start(mesh: &Mesh, name: &str, shape: impl FnOnce(&mut Command)) -> Process {
    let file = mesh.write_config(name);
    let mut command = Command::new(WARREN);
    command.args(["run", "-c"]).arg(&file);
    shape(&mut command);
    Process::spawn(name, &mut command, &mesh.dir().join(format!("{name}.log")))
}

/// An ingress and its exit, neither of them started.
fn pair_to_be() -> Mesh {
    let mut mesh = Mesh::new();
    mesh.add(pair::exit());
    mesh.add(pair::ingress());
    mesh
}

fn id_in(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok()
}

fn usec() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn ready_is_told_when_traffic_can_be_carried_and_undone_by_what_ends_it() {
    let mut mesh = pair_to_be();
    let manager = Manager::abstract_name("warren-ready");
    let [ready, pid]: [PathBuf; 2] = ["ready", "pid"].map(|name| mesh.dir().join(name));
    // Of a process that was killed.
    fs::write(&ready, "1\n").expect("the test's folder is writable");
    let mut ingress = start(&mesh, "ingress", |command| {
        command.env("NOTIFY_SOCKET", &manager.name);
        command.arg("--ready-file").arg(&ready);
        command.arg("--pid-file").arg(&pid);
    });
    manager.await_status("cannot carry traffic: no live link to any peer");
    let own = format!("{}\n", ingress.id());
    assert_eq!((id_in(&ready), id_in(&pid)), (None, Some(own.clone())));
    assert_eq!(manager.next(Duration::from_millis(500)), None);

    mesh.start("exit");
    assert_eq!(manager.next(SOON).as_deref(), Some("READY=1"));
    eventually("the ready file is there", || id_in(&ready));
    assert_eq!(id_in(&ready), Some(own));
    manager.await_status("carries traffic: 1 links, 1 routes, 0 connections");

    let api = mesh.api_url("ingress");
    warren(&["drain", "--api", &api]).success();
    assert_eq!(id_in(&ready), None, "a drained agent is not ready");
    manager.await_status("draining");
    warren(&["drain", "--undo", "--api", &api]).success();
    eventually("the ready file is back", || id_in(&ready));

    ingress.signal("TERM");
    let stopping = manager.await_message("STOPPING=1");
    assert_eq!(stopping, "STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000");
    assert_eq!(ingress.wait_exit(SOON).code(), Some(0));
    assert_eq!((id_in(&ready), id_in(&pid)), (None, None));
}

#[test]
fn started_is_enough_where_that_is_asked_for() {
    let mesh = pair_to_be();
    let manager = Manager::at(&mesh.dir().join("notify"));
    let ready = mesh.dir().join("ready");
    let mut ingress = start(&mesh, "ingress", |command| {
        command.env("NOTIFY_SOCKET", &manager.name);
        command.arg("--ready-when=started");
        command.arg("--ready-file").arg(&ready);
    });
    assert_eq!(manager.next(SOON).as_deref(), Some("READY=1"));
    eventually("the ready file is there", || id_in(&ready));
    ingress.signal("TERM");
    assert_eq!(ingress.wait_exit(SOON).code(), Some(0));
    assert_eq!(id_in(&ready), None);
}

#[test]
fn a_reload_begins_and_ends_in_the_managers_eyes_whatever_comes_of_it() {
    let mut mesh = pair_to_be();
    let manager = Manager::at(&mesh.dir().join("notify"));
    let exit = start(&mesh, "exit", |command| {
        command.env("NOTIFY_SOCKET", &manager.name);
    });
    assert_eq!(manager.next(SOON).as_deref(), Some("READY=1"));
    mesh.start("ingress");
    mesh.await_ready("ingress");
    let file = mesh.dir().join("exit.yaml");
    let good = fs::read_to_string(&file).expect("the agent's file");
    for text in [good.clone(), format!("{good}nonsense: 1\n"), good] {
        fs::write(&file, text).expect("the test's folder is writable");
        let before = usec();
        exit.signal("HUP");
        let begun = manager.next(SOON).expect("it begins");
        let at = begun.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: i64 = at.and_then(|at| at.parse().ok()).expect(&begun);
        assert!((before..=usec()).contains(&at), "{begun}");
        assert_eq!(manager.next(SOON).as_deref(), Some("READY=1"));
    }
    // One that is asked for otherwise, too.
    warren(&["reload", "--api", &mesh.api_url("exit")]).success();
    assert!(
        manager
            .next(SOON)
            .is_some_and(|told| told.starts_with("RELOADING=1"))
    );
    assert_eq!(manager.next(SOON).as_deref(), Some("READY=1"));
}

#[test]
fn a_reload_before_readiness_does_not_end_the_start() {
    let mesh = pair_to_be();
    let manager = Manager::at(&mesh.dir().join("notify"));
    let ingress = start(&mesh, "ingress", |command| {
        command.env("NOTIFY_SOCKET", &manager.name);
    });
    manager.await_status("cannot carry traffic");
    ingress.signal("HUP");
    eventually("it has reloaded", || {
        ingress.log().contains("reloaded").then_some(())
    });
    assert_eq!(manager.next(Duration::from_millis(500)), None);
}

#[test]
fn the_watchdog_is_fed_while_the_loop_turns_and_not_while_it_stands_still() {
    let mesh = pair_to_be();
    let manager = Manager::at(&mesh.dir().join("notify"));
    let agent = |pid: Option<&str>| {
        start(&mesh, "exit", |command| {
            command.env("NOTIFY_SOCKET", &manager.name);
            command.env("WATCHDOG_USEC", "600000");
            if let Some(pid) = pid {
                command.env("WATCHDOG_PID", pid);
            }
        })
    };
    let exit = agent(None);
    assert_eq!(manager.await_message("READY=1"), "READY=1");
    for _ in 0..5 {
        assert_eq!(manager.next(SOON).as_deref(), Some("WATCHDOG=1"));
    }
    exit.signal("STOP");
    // What was sent before it stood still.
    while manager.next(Duration::from_millis(50)).is_some() {}
    assert_eq!(manager.next(Duration::from_secs(1)), None);
    exit.signal("CONT");
    assert_eq!(manager.next(SOON).as_deref(), Some("WATCHDOG=1"));
    drop(exit);

    let _other = agent(Some("1"));
    assert_eq!(manager.await_message("READY=1"), "READY=1");
    let told = manager.next(Duration::from_secs(1));
    assert_eq!(told, None, "the dog is another process's");
}

#[test]
fn a_manager_that_does_not_read_or_is_not_there_holds_nothing_up() {
    let mut mesh = pair_to_be();
    // Nobody reads: the socket takes what fits, and then nothing.
    let manager = Manager::at(&mesh.dir().join("notify"));
    let mut exit = start(&mesh, "exit", |command| {
        command.env("NOTIFY_SOCKET", &manager.name);
        command.env("WATCHDOG_USEC", "15000");
    });
    mesh.start("ingress");
    mesh.await_ready("ingress");
    let target = Target::start();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        fetch(mesh.socks("ingress"), target.address());
    }
    exit.signal("TERM");
    assert_eq!(exit.wait_exit(SOON).code(), Some(0));

    let nobody = path_text(&mesh.dir().join("nobody"));
    let mut exit = start(&mesh, "exit", |command| {
        command.env("NOTIFY_SOCKET", &nobody);
    });
    eventually("it serves", || http::get(mesh.http("exit"), "/ready").ok());
    let told = "the service manager is told nothing: its socket cannot be used";
    assert!(exit.log().contains(told), "{}", exit.log());
    exit.signal("TERM");
    assert_eq!(exit.wait_exit(SOON).code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_starts() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("agent").listen());
    let file = path_text(&mesh.write_config("agent"));
    for option in ["--pid-file", "--ready-file"] {
        let mut command = Command::new(WARREN);
        let failed = run(
            command.args(["run", "-c", &file, option, "/nonexistent/file"]),
            "",
        );
        assert_eq!(failed.code, Some(1), "{failed:#?}");
        let begin = format!("warren: {option}: cannot write /nonexistent/file: ");
        assert!(failed.error_line().starts_with(&begin), "{failed:#?}");
    }
}
