//! curl, with names resolved on either side.

#![allow(clippy::print_stdout)] // What was seen, with --nocapture.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use crate::installed::program;
use crate::support::command::{Finished, run};
use crate::world::{NAME, PASSWORD, USER, World};

/// Exit code of curl when the proxy refuses.
const PROXY_REFUSED: i32 = 97;

fn curl() -> Command {
    let mut curl = program("curl", "curl");
    // The first option keeps a user's own settings out.
    curl.args([
        "-q",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        "50",
    ]);
    curl.env_remove("no_proxy").env_remove("NO_PROXY");
    curl
}

fn download(world: &World, proxy: &str, login: Option<&str>, host: &str) {
    let file = world.mesh.dir().join("download");
    let mut curl = curl();
    curl.args(["--proxy", proxy, "--output"]).arg(&file);
    if let Some(login) = login {
        curl.args(["--proxy-user", login]);
    }
    run(curl.arg(world.url(host)), "").success();
    world.check(&file);
}

#[test]
fn curl_fetches_by_address_and_by_name() {
    let world = World::open();
    let socks = world.socks();
    download(&world, &format!("socks5://{socks}"), None, "127.0.0.1");
    download(&world, &format!("socks5h://{socks}"), None, "127.0.0.1");
    download(&world, &format!("socks5h://{socks}"), None, NAME);
}

#[test]
fn curl_logs_in() {
    let world = World::guarded();
    let (socks, login) = (world.socks(), format!("{USER}:{PASSWORD}"));
    for (scheme, host) in [("socks5", "127.0.0.1"), ("socks5h", NAME)] {
        download(&world, &format!("{scheme}://{socks}"), Some(&login), host);
    }
    let fails = |login: &[&str]| -> Finished {
        let mut curl = curl();
        curl.args(["--proxy", &format!("socks5h://{socks}")])
            .args(login);
        run(curl.arg(world.url(NAME)), "")
    };
    let seen = world.target.accepted();
    for login in [&["--proxy-user", "alice:wrong"][..], &[]] {
        let finished = fails(login);
        assert_eq!(finished.code, Some(PROXY_REFUSED), "{}", finished.stderr);
    }
    assert_eq!(world.target.accepted(), seen);
}

#[test]
fn curl_tells_why_it_was_refused() {
    let world = World::open();
    let proxy = format!("socks5h://{}", world.socks());
    for (url, reply) in [
        ("http://10.9.9.9/", "(3)"),
        ("http://127.0.0.1:1/", "(5)"),
        ("http://missing.corp.example/", "(4)"),
    ] {
        let finished = run(curl().args(["--proxy", &proxy, url]), "");
        assert_eq!(finished.code, Some(PROXY_REFUSED), "{url}: {finished:?}");
        assert!(
            finished.stderr.contains(reply),
            "{url}: {}",
            finished.stderr
        );
    }
}

/// A server that refuses an upload and closes while most of it is unread.
fn refusing_server() -> SocketAddr {
    const ANSWER: &[u8] =
        b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that has left is no matter.
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(ANSWER);
        }
    });
    address
}

#[test]
fn curl_shows_why_an_upload_was_refused() {
    const TRIES: usize = 20;
    let world = World::open();
    let url = format!("http://{}/", refusing_server());
    let body = world.mesh.dir().join("upload");
    std::fs::write(&body, vec![b'x'; 4_000_000]).expect("the test's folder is writable");
    let seen = (0..TRIES).filter(|_| {
        let mut curl = program("curl", "curl");
        curl.args(["-q", "--silent", "--max-time", "50", "--header", "Expect:"]);
        curl.args(["--proxy", &format!("socks5h://{}", world.socks())]);
        curl.args(["--write-out", "%{http_code}", "--data-binary"]);
        let finished = run(curl.arg(format!("@{}", body.display())).arg(&url), "");
        finished.stdout == "401"
    });
    let seen = seen.count();
    println!("curl showed the 401 in {seen} of {TRIES}");
    assert_eq!(seen, TRIES);
}
