//! What the demo asks its agents.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A read that takes longer means that the connection hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks an agent's API.
pub(super) fn api(http: SocketAddr, path: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nhost: {http}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the API's answer is cut short")?;
    ensure!(head.contains(" 200 "), "the API answered {head}");
    Ok(serde_json::from_str(body)?)
}
