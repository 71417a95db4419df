//! `warren demo`: a whole mesh in one process on loopback, without files.
//!
//! Each agent has a thread and a runtime of its own, so that killing one is dropping its runtime:
//! every task ends at once, nothing is said to anybody, exactly as if the process had died.

mod api;
mod drill;
mod host;
mod mesh;
mod target;

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result, bail};

use mesh::DemoMesh;
use target::Target;

/// Runs the demo mesh until the process is told to stop. Its SOCKS5 and its HTTP listen on these
/// ports of 127.0.0.1; 0: any.
pub fn serve(socks: u16, http: u16, out: &mut dyn Write) -> Result<()> {
    let target = Target::start()?;
    let [socks, http] = [socks, http].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if socks == http && socks.port() != 0 {
        bail!(
            "--port and --http-port are the same: give another one of them, or 0 for any free one"
        );
    }
    try_bind(socks, "--port")?;
    try_bind(http, "--http-port")?;
    let mesh = DemoMesh::start(socks, http)?;
    mesh.wait_ready()?;
    describe(&mesh, target.http, out)?;
    crate::agent::wait_for_stop_signal().context("cannot listen for signals")?;
    writeln!(out, "stopping")?;
    mesh.stop();
    Ok(())
}

/// Tells of a taken port by the option that gives another one; the ingress would tell of it in words
/// of a configuration that nobody wrote.
fn try_bind(address: SocketAddr, option: &str) -> Result<()> {
    match TcpListener::bind(address) {
        Ok(_free) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "{address} is in use: stop what listens there, or give another port: {option} 0 takes any free one"
            )
        }
        Err(error) => bail!("cannot bind {address}: {error}; give another port with {option}"),
    }
}

/// Kills the transit in use while a checked download runs; `true` if no byte was lost.
pub fn drill(out: &mut dyn Write) -> Result<bool> {
    let target = Target::start()?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
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
