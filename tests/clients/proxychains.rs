//! proxychains4, which puts a program on the proxy without the program's knowledge.

use std::fs;

use crate::installed::program;
use crate::support::command::run;
use crate::world::{NAME, PASSWORD, USER, World};

fn download(world: &World, login: &str, host: &str) {
    let config = world.mesh.dir().join("proxychains.conf");
    let socks = world.socks();
    let text = format!(
        "strict_chain\nproxy_dns\ntcp_read_time_out 50000\ntcp_connect_time_out 50000\n\
         [ProxyList]\nsocks5 {} {} {login}\n",
        socks.ip(),
        socks.port()
    );
    fs::write(&config, text).expect("a writable folder");
    let file = world.mesh.dir().join("download");
    // Only to fail with the right message.
    program("curl", "curl");
    let mut proxychains = program("proxychains4", "proxychains4");
    proxychains.args(["-q", "-f"]).arg(&config);
    proxychains.args([
        "curl",
        "-q",
        "--silent",
        "--show-error",
        "--max-time",
        "50",
        "--output",
    ]);
    run(proxychains.arg(&file).arg(world.url(host)), "").success();
    world.check(&file);
}

#[test]
fn proxychains_carries_a_program_that_knows_no_proxy() {
    let world = World::open();
    download(&world, "", "127.0.0.1");
    download(&world, "", NAME);
}

#[test]
fn proxychains_logs_in() {
    let world = World::guarded();
    download(&world, &format!("{USER} {PASSWORD}"), NAME);
}
