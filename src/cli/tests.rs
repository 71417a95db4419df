//! Command lines against a fake agent: what is printed, and the exit codes.

mod events;
mod refusals;
mod screen;
mod trace;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::{Console, Launch, main};
use crate::api::testing::{Fake, id, serve};
use crate::api::{Settings, Status};

/// A stream that can be read after the console is gone.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a command left behind.
#[derive(Debug)]
struct Ended {
    code: u8,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ended {
    run_in(super::WIDE, args)
}

/// On a screen of `width` columns.
fn run_in(width: usize, args: &[&str]) -> Ended {
    let (out, err) = (Shared::default(), Shared::default());
    let mut console = Console {
        input: Box::new(io::empty()),
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        screen: super::Screen::of(width),
    };
    let args = std::iter::once("warren").chain(args.iter().copied());
    let launch = Launch {
        run: |_| unreachable!("no test runs an agent"),
        demo: |_, _| unreachable!("no test runs the demo"),
        connect: |_, _| unreachable!("no test dials a peer"),
    };
    let code = main(args.map(Into::into), &launch, &mut console);
    Ended {
        code,
        out: out.text(),
        err: err.text(),
    }
}

/// Runs a command that asks the agent at `address`, off the runtime that serves it.
async fn ask(address: SocketAddr, args: &[&str]) -> Ended {
    ask_in(super::WIDE, address, args).await
}

/// As [`ask`], on a screen of `width` columns.
async fn ask_in(width: usize, address: SocketAddr, args: &[&str]) -> Ended {
    let mut args: Vec<_> = args.iter().map(ToString::to_string).collect();
    args.extend(["--api".to_owned(), format!("http://{address}")]);
    let asked = move || run_in(width, &args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(asked).await.unwrap()
}

async fn fake() -> Fake {
    serve(Settings::for_test(Default::default())).await
}

fn assert_prints(ended: &Ended, expected: &str) {
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert_eq!(ended.out, expected, "\n{}", ended.out);
}

#[test]
fn bad_usage_is_one_line_and_exit_code_2() {
    for (args, says) in [
        (
            &["nonsense"][..],
            "unrecognized subcommand 'nonsense'; see `warren --help`",
        ),
        (
            &["statsu"],
            "tip: some similar subcommands exist: 'streams', 'status'",
        ),
        (
            &["peers", "--jsn"],
            "unexpected argument '--jsn' found; tip: a similar argument exists: '--json'; see `warren peers --help`",
        ),
        (&["explain"], "<DEST>; see `warren explain --help`"),
        (&["explain", "10.0.0.0/8"], "not a prefix or URL"),
        (&["status", "--api", "https://h:1"], "only http is spoken"),
        (&["status", "--api", "http://h:1/api"], "without a path"),
        (&["status", "--api", "http://t@h:1"], "--token"),
        (&["status", "--api", "http://h:70000"], "up to 65535"),
        (&["status", "--api", "http://[::1]:"], "up to 65535"),
        (&["completions", "tcsh"], "possible values: bash"),
    ] {
        let ended = run(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        assert!(ended.err.starts_with("warren: "), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert!(ended.err.contains(says), "{args:?}: {}", ended.err);
    }
    let ended = run(&[]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("Usage: warren"), "{}", ended.err);
}

#[test]
fn help_teaches_and_goes_to_stdout() {
    let ended = run(&["--help"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.contains("warren init"), "{}", ended.out);
    assert!(ended.out.contains("Exit codes: 0 done"), "{}", ended.out);
    for command in [
        "run",
        "demo",
        "check",
        "init",
        "cert",
        "hash",
        "ready",
        "status",
        "peers",
        "routes",
        "streams",
        "explain",
        "trace",
        "events",
        "completions",
    ] {
        let help = run(&[command, "--help"]);
        assert_eq!(help.code, 0, "{command}");
        assert!(help.out.contains("Example"), "{command}: {}", help.out);
        assert!(help.out.contains(&format!("warren {command}")), "{command}");
    }
    let version = run(&["--version"]);
    assert_eq!(
        version.out,
        format!("warren {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_name_every_command() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef warren"),
        ("fish", "complete -c warren"),
    ] {
        let ended = run(&["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{shell}");
        assert!(ended.out.contains(mark), "{shell}");
        for command in ["status", "explain", "init", "cert", "hash"] {
            assert!(ended.out.contains(command), "{shell} {command}");
        }
    }
}

#[tokio::test]
async fn ready_is_an_exit_code_and_says_why_not() {
    let fake = fake().await;
    for (status, ready) in [
        (Status::Healthy, true),
        (Status::Degraded, true),
        (Status::Draining, false),
        (Status::Unavailable, false),
    ] {
        *fake.agent.status.lock().unwrap() = status;
        let ended = ask(fake.address, &["ready"]).await;
        if ready {
            assert_prints(&ended, "ready\n");
        } else {
            assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
            assert!(ended.err.starts_with("warren: not ready: "), "{ended:?}");
            assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
        }
    }
}

#[tokio::test]
async fn status_is_a_short_sheet() {
    let fake = fake().await;
    *fake.agent.status.lock().unwrap() = Status::Degraded;
    assert_prints(
        &ask(fake.address, &["status"]).await,
        "status:   degraded\n\
         \x20         10.0.0.0/8 has one exit left\n\
         agent:    ingress-1 (11111111)\n\
         id:       11111111111111111111111111111111\n\
         version:  0.1.0\n\
         uptime:   1h 2m\n\
         links:    2\n\
         routes:   5\n\
         streams:  1\n\
         socks5:   running\n\
         exit:     off\n\
         \n\
         last failovers:\n\
         TIME                      CAUSE      SESSION WITH       DETECTED  STALLED  IN FLIGHT  NEW PATH\n\
         2026-01-02T03:04:05.004Z  link_down  exit-a (77777777)    150 ms   180 ms   12.0 KiB  33333333 > exit-a (77777777)\n",
    );
    fake.agent.empty.store(true, Ordering::Relaxed);
    let sheet = ask(fake.address, &["status"]).await.out;
    assert!(sheet.ends_with("exit:     off\n"), "{sheet}");
}

#[tokio::test]
async fn a_draining_agent_is_an_answer() {
    let fake = fake().await;
    *fake.agent.status.lock().unwrap() = Status::Draining;
    let ended = ask(fake.address, &["status", "--json"]).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["status"], "draining");
    assert_eq!(json["peer_count"], 2);
}

#[tokio::test]
async fn peers_are_a_table_that_no_name_can_break() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["peers"]).await,
        concat!(
            "NAME                 ID                                STATE       ADDRESS                 FROM      RTT  COST   MTU     UP  LAST ERROR\n",
            "transit-\\u{1b}[31m1  22222222222222222222222222222222  up          192.0.2.1:4433          us    0.25 ms     1  1452  1m 1s  -\n",
            "-                    33333333333333333333333333333333  connecting  transit-2.example:4433  them        -    10     -      -  handshake timed out\n",
        ),
    );
}

#[tokio::test]
async fn routes_show_the_path_and_its_alternate() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["routes"]).await,
        concat!(
            "   DESTINATION     EXIT                  METRIC      RTT  PATH                                      ALTERNATE\n",
            "*  10.0.0.0/8      exit-a (77777777)          2  0.40 ms  transit-1 (22222222) > exit-a (77777777)  33333333 > exit-a (77777777)\n",
            "   *.corp.example  ingress-1 (11111111)       0        -  (this agent)                              -\n",
        ),
    );
}

#[tokio::test]
async fn streams_show_who_talks_to_whom() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["streams"]).await,
        concat!(
            "STREAM  CLIENT           TARGET        INGRESS               EXIT               AGE   SENT  RECEIVED  PATH\n",
            "    42  127.0.0.1:50000  10.1.2.3:443  ingress-1 (11111111)  exit-a (77777777)   5s  900 B   1.5 MiB  transit-1 (22222222) > exit-a (77777777)\n",
        ),
    );
}

#[tokio::test]
async fn explain_goes_hop_by_hop_and_says_why_not() {
    let fake = fake().await;
    assert_prints(
        &ask(fake.address, &["explain", "10.1.2.3"]).await,
        concat!(
            "10.1.2.3 leaves the mesh at exit-a (77777777), metric 2, round trip 0.40 ms\n",
            "HOP  AGENT                 ID\n",
            "  1  transit-1 (22222222)  22222222222222222222222222222222\n",
            "  2  exit-a (77777777)     77777777777777777777777777777777\n",
            "\n",
            "not chosen:\n",
            "EXIT      ADVERTISES  METRIC  PATH                 WHY NOT\n",
            "88888888  10.0.0.0/8      11  33333333 > 88888888  higher metric\n",
        ),
    );
    assert_prints(
        &ask(fake.address, &["explain", "192.0.2.1"]).await,
        "192.0.2.1 has no live route: connections to it are refused (SOCKS reply 0x03)\n\
         no exit advertises it\n",
    );
    let json = ask(fake.address, &["explain", "2001:db8::1", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["dest"], "2001:db8::1");
    assert_eq!(json["chosen"]["exit"], id(0x77).to_string());
}

#[tokio::test]
async fn empty_lists_say_so() {
    let fake = fake().await;
    fake.agent.empty.store(true, Ordering::Relaxed);
    for (command, text) in [
        (
            "peers",
            "no peers: none are configured and nobody has dialled\n",
        ),
        ("routes", "no routes: no exit is reachable\n"),
        ("streams", "no streams\n"),
        ("events", "no events\n"),
    ] {
        assert_prints(&ask(fake.address, &[command]).await, text);
        assert_prints(&ask(fake.address, &[command, "--json"]).await, "[]\n");
    }
}

#[test]
fn check_reads_the_file_and_prints_a_line_per_check() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.yaml");
    let missing = run(&["check", "-c", &file.display().to_string()]);
    assert_eq!((missing.code, missing.out.as_str()), (2, ""));
    assert!(missing.err.contains("agent.yaml"), "{}", missing.err);

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = format!(
        "listeners:\n  - transport: quic\n    address: \"{address}\"\nhttp:\n  enabled: false\n"
    );
    std::fs::write(&file, text).unwrap();
    let busy = run(&["check", "-c", &file.display().to_string()]);
    assert_eq!((busy.code, busy.err.as_str()), (1, ""), "{busy:?}");
    let line = format!("fail  listeners: {address} does not bind");
    assert!(busy.out.contains(&line), "{}", busy.out);
    drop(taken);
    let free = run(&["check", "-c", &file.display().to_string()]);
    assert_eq!((free.code, free.err.as_str()), (0, ""), "{free:?}");
    assert!(free.out.contains("ok    listeners: "), "{}", free.out);
}
