//! `warren demo`: a whole mesh in one process on loopback, without files.
//!
//! Each agent has a thread and a runtime of its own, so that killing one is dropping its runtime:
//! every task ends at once, nothing is said to anybody, exactly as if the process had died.

mod drill;
mod host;
mod mesh;
mod target;

use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use mesh::DemoMesh;
use target::Target;

/// Where the demo listens, unless told otherwise.
const SOCKS: &str = "127.0.0.1:1080";
const HTTP: &str = "127.0.0.1:8080";

/// Runs the demo mesh until the process is told to stop.
pub fn serve(out: &mut dyn Write) -> Result<()> {
    let target = Target::start()?;
    let mesh = DemoMesh::start(SOCKS.parse()?, HTTP.parse()?)?;
    mesh.wait_ready()?;
    describe(&mesh, target.http, out)?;
    crate::agent::wait_for_stop_signal().context("cannot listen for signals")?;
    writeln!(out, "stopping")?;
    mesh.stop();
    Ok(())
}

/// Kills the transit in use while a checked download runs; `true` if no byte was lost.
pub fn drill(out: &mut dyn Write) -> Result<bool> {
    let target = Target::start()?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut mesh = DemoMesh::start(any, any)?;
    mesh.wait_ready()?;
    drill::run(&mut mesh, target.bytes, out)
}

fn describe(mesh: &DemoMesh, page: SocketAddr, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "warren demo: 5 agents in this process, all on loopback\n"
    )?;
    writeln!(out, "             ┌── transit-1 ──┬── exit-1")?;
    writeln!(out, "   ingress ──┤               ╳")?;
    writeln!(out, "             └── transit-2 ──┴── exit-2\n")?;
    for host in mesh.hosts() {
        writeln!(out, "   {:<10} {}", host.name, host.id)?;
    }
    let (socks, http) = (mesh.socks(), mesh.http());
    writeln!(out, "\nSOCKS5 on {socks}, HTTP on {http}. Try:\n")?;
    writeln!(out, "   curl -x socks5h://{socks} http://{page}/")?;
    writeln!(out, "   curl http://{http}/healthz")?;
    writeln!(out, "   warren explain {} --api http://{http}", page.ip())?;
    writeln!(
        out,
        "   warren demo --drill        # kill a transit under a download\n"
    )?;
    writeln!(out, "Ctrl-C stops it.")?;
    // A pipe is not flushed by its line ends, and the demo goes on for as long as one likes.
    out.flush()?;
    Ok(())
}
