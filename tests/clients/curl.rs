//! curl, with names resolved on either side.

use std::process::Command;

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
