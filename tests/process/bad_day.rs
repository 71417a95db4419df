//! The command line on a bad day: what asks, listens or reads at the other end is not what it should
//! be. One line says what, where and what to do; the exit code is the contract's; nothing panics.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::{Finished, run, warren};
use crate::support::mesh::path_text;
use crate::support::ports::free_port;
use crate::support::{LOOPBACK, Mesh, Spec};

/// Commands that ask a running agent.
const ASKING: [&[&str]; 8] = [
    &["status"],
    &["ready"],
    &["peers"],
    &["routes"],
    &["streams"],
    &["events"],
    &["explain", "10.0.0.1"],
    &["trace", "10.0.0.1"],
];

/// What it is, what it does with a connection, and what is said of it.
type Server = (&'static str, fn(TcpStream), &'static str);

/// Serves each connection by `act` until the test ends.
fn serve(act: fn(TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || act(stream));
        }
    });
    address
}

/// Reads the request and answers `text`. Whoever asked may have left.
fn answer(mut stream: TcpStream, text: &str) {
    let mut request = [0; 4_096];
    let _ = stream.read(&mut request);
    let _ = stream.write_all(text.as_bytes());
}

fn is_one_line(finished: &Finished, code: i32) -> &str {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let mut lines = finished.stderr.lines();
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with("warren: "), "{finished:#?}");
    assert_eq!(lines.next(), None, "{finished:#?}");
    for noise in ["panicked", "RUST_BACKTRACE", "Err(", "Some("] {
        assert!(!line.contains(noise), "{line}");
    }
    line
}

#[test]
fn something_else_at_the_api_is_told_in_one_line() {
    let not_http = "does not speak HTTP: something else listens there; give";
    let hung_up = "hung up without a whole answer";
    let not_ours = "is not the API of a warren agent of this version";
    let servers: [Server; 9] = [
        (
            "SSH",
            |mut stream| {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
                answer(stream, "");
            },
            not_http,
        ),
        (
            "TLS",
            |s| answer(s, "\u{15}\u{3}\u{1}\0\u{2}\u{2}F"),
            not_http,
        ),
        ("SOCKS", |s| answer(s, "\u{5}\u{1}"), not_http),
        ("hangs up", drop, hung_up),
        (
            "half an answer",
            |s| answer(s, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1"),
            hung_up,
        ),
        (
            "a page",
            |s| answer(s, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
            not_ours,
        ),
        (
            "nothing there",
            |s| answer(s, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            not_ours,
        ),
        (
            "elsewhere",
            |s| {
                answer(
                    s,
                    "HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
                )
            },
            not_ours,
        ),
        (
            "other JSON",
            |s| answer(s, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}"),
            not_ours,
        ),
    ];
    for (what, act, says) in servers {
        let address = serve(act);
        let url = format!("http://{address}");
        for command in ASKING {
            let arguments = [command, &["--api", &url]].concat();
            let finished = warren(&arguments);
            let line = is_one_line(&finished, 1);
            assert!(line.contains(says), "{what}, {command:?}: {line}");
            assert!(line.contains(&address.to_string()), "{line}");
        }
    }
}

#[test]
fn addresses_that_cannot_be_asked_are_told_apart() {
    let port = free_port();
    let closed = format!("http://127.0.0.1:{port}");
    for (url, code, says) in [
        (
            closed.as_str(),
            1,
            "connection refused; is the agent running",
        ),
        (
            "http://no-such-host.invalid:1",
            1,
            "cannot reach the agent's API",
        ),
        ("", 2, "it is empty: unset WARREN_API"),
        ("https://127.0.0.1:1", 2, "only http is spoken"),
        ("::::", 2, "not a URL"),
        (
            "http://127.0.0.1:70000",
            2,
            "a port is a number up to 65535",
        ),
    ] {
        for command in ASKING {
            let finished = run(
                Command::new(WARREN).args(command).env("WARREN_API", url),
                "",
            );
            let line = is_one_line(&finished, code);
            assert!(line.contains(says), "{url}: {line}");
        }
    }
}

#[test]
fn an_empty_token_in_the_environment_is_none() {
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    mesh.await_ready("agent");
    let url = mesh.api_url("agent");
    for command in ["status", "peers"] {
        let mut asked = Command::new(WARREN);
        asked.args([command, "--api", &url]).env("WARREN_TOKEN", "");
        run(&mut asked, "").success();
    }
}

#[test]
fn output_that_nobody_takes_is_no_panic() {
    let mesh = Mesh::start_all([Spec::new("agent").listen().exit(LOOPBACK)]);
    mesh.await_ready("agent");
    let url = mesh.api_url("agent");
    let shell = |script: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).env("W", WARREN);
        run(shell.env("WARREN_API", &url), "")
    };
    for command in [
        "status",
        "routes --json",
        "--help",
        "completions bash",
        "explain 127.0.0.1",
    ] {
        // The reader has left before the first byte, or takes one.
        for reader in ["true", "head -c 1"] {
            let finished = shell(&format!("{{ $W {command}; echo $? >&2; }} | {reader}"));
            assert_eq!(finished.stderr, "0\n", "{command} | {reader}");
        }
        // Nothing to write to.
        for closed in [">&-", "<&- >&- 2>&-"] {
            let finished = shell(&format!("$W {command} {closed}"));
            assert_eq!(
                (finished.code, &*finished.stderr),
                (Some(0), ""),
                "{command} {closed}"
            );
        }
        let finished = shell(&format!("$W {command} > /dev/full"));
        let line = is_one_line(&finished, 1);
        assert!(
            line.contains("cannot write the output: No space left"),
            "{line}"
        );
    }
    for command in ["hash", "demo --port 0 --http-port 0", "init -d x"] {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let finished = shell(&format!(
            "cd {}; echo x | $W {command} > /dev/full",
            path_text(dir.path())
        ));
        assert_eq!(finished.code, Some(1), "{command}: {finished:#?}");
        let line = finished.error_line();
        assert!(
            line.contains("cannot write the output: No space left"),
            "{command}: {line}"
        );
    }
    for wrong in ["nonsense 2> /dev/full", "nonsense 2>&-"] {
        assert_eq!(shell(&format!("$W {wrong}")).code, Some(2), "{wrong}");
    }
}

/// Nothing happens, so nothing is written: the end of the reader alone must end it.
#[test]
fn following_events_ends_with_its_reader() {
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    mesh.await_ready("agent");
    let mut command = Command::new(WARREN);
    command.args(["events", "--follow", "--api", &mesh.api_url("agent")]);
    let mut follower = command
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(follower.stdout.take());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = follower.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > Duration::from_secs(30) {
            let _ = follower.kill();
            let _ = follower.wait();
            panic!("it follows for nobody");
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_file_that_is_no_configuration_is_told_by_what_it_is() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let path = |name: &str| dir.path().join(name);
    let put = |name: &str, bytes: &[u8]| fs::write(path(name), bytes).expect("it is writable");
    put("empty", b"");
    put("blank", b" \n# nothing\n");
    put("utf16", b"\xff\xfea\0g\0e\0n\0t\0:\0 \0{\0}\0\n\0");
    put("utf16be", b"\xfe\xff\0a\0g\0e\0n\0t\0:\0 \0{\0}\0\n");
    put("utf16-unmarked", b"a\0g\0e\0n\0t\0:\0 \0{\0}\0\n\0");
    put("latin1", b"agent: { display_name: b\xfcro }\n");
    put("zeros", &[0; 512]);
    put("list", b"- agent\n");
    put(
        "key.pem",
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n",
    );
    fs::create_dir(path("folder")).expect("it is writable");
    let program = fs::read(WARREN).expect("the program");
    put("program", &program[..4_096]);
    for (name, says) in [
        (
            "missing",
            "No such file or directory (os error 2); give the agent's YAML file",
        ),
        (
            "folder",
            "Is a directory (os error 21); give the agent's YAML file in it",
        ),
        ("empty", "the file is empty; write {}"),
        ("blank", "the file is empty; write {}"),
        ("utf16", "the file is UTF-16 text; save it as UTF-8"),
        ("utf16be", "the file is UTF-16 text; save it as UTF-8"),
        ("utf16-unmarked", "not valid YAML"),
        ("latin1", "latin1:1:25: the file is not UTF-8 text"),
        ("zeros", "not valid YAML"),
        ("list", "expected a section"),
        ("key.pem", "key.pem"),
        ("program", "the file is not UTF-8 text"),
        ("empty/below", "Not a directory"),
    ] {
        for command in ["run", "check"] {
            let finished = warren(&[command, "-c", &path_text(&path(name))]);
            let line = is_one_line(&finished, 2);
            assert!(line.contains(says), "{name}: {line}");
        }
    }
    // What editors of other systems write is a file like any other.
    for bytes in [
        &b"\xef\xbb\xbfhttp: { enabled: false }\n"[..],
        b"http:\r\n  enabled: false\r\n",
    ] {
        put("odd", bytes);
        warren(&["check", "-c", &path_text(&path("odd"))]).success();
    }
}

#[test]
fn what_may_not_be_read_or_written_is_told() {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let open = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(dir.path(), open(0o755)).expect("it is the test's own");
    let file = dir.path().join("agent.yaml");
    fs::write(&file, "http: { enabled: false }\n").expect("it is writable");
    fs::set_permissions(&file, open(0o000)).expect("it is the test's own");
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).expect("it is writable");
    fs::set_permissions(&closed, open(0o555)).expect("it is the test's own");
    let user = run(Command::new("id").arg("-u"), "").success();
    let unprivileged = |arguments: &[&str]| {
        // Without capabilities root is a user like any other.
        let mut command = program("setpriv", "util-linux");
        let caps = [
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
        ];
        if user.trim() == "0" {
            command.args(caps);
        }
        run(command.arg(WARREN).args(arguments), "")
    };
    for command in ["run", "check"] {
        let finished = unprivileged(&[command, "-c", &path_text(&file)]);
        let line = is_one_line(&finished, 2);
        assert!(
            line.contains("Permission denied (os error 13); run as a user who may read it"),
            "{line}"
        );
    }
    let finished = unprivileged(&["init", "-d", &path_text(&closed)]);
    let line = is_one_line(&finished, 1);
    assert!(
        line.contains("check the folder's owner, mode and free space"),
        "{line}"
    );
    fs::set_permissions(&file, open(0o600)).expect("it is the test's own");
    let yaml = format!(
        "agent: {{ data_dir: {} }}\nhttp: {{ enabled: false }}\n",
        path_text(&closed)
    );
    fs::write(&file, yaml).expect("it is writable");
    let finished = unprivileged(&["check", "-c", &path_text(&file)]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(
        finished
            .stdout
            .contains("fail  agent.data_dir: cannot write in"),
        "{finished:#?}"
    );
    let finished = unprivileged(&["cert", "ca", "-n", "x", "-o", &path_text(&closed)]);
    let line = is_one_line(&finished, 1);
    assert!(line.contains("closed"), "{line}");
}

#[test]
fn a_slip_of_the_finger_is_met_with_what_was_meant() {
    for (arguments, says) in [
        (&["stats"][..], "status"),
        (&["peer"], "'peers'"),
        (&["cert", "agnt"], "'agent'"),
        (&["check", "--conect", "-c", "x"], "'--connect'"),
        (&["status", "--jsno"], "'--json'"),
        (&["events", "--since", "yesterday"], "--since"),
        (&["demo", "--port", "70000"], "--port"),
        (&["explain"], "<DEST>"),
    ] {
        let finished = warren(arguments);
        let line = is_one_line(&finished, 2);
        assert!(line.contains(says), "{arguments:?}: {line}");
        assert!(line.contains("--help`"), "{line}");
    }
}
