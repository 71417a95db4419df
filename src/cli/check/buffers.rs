//! Whether the kernel grants the buffers that links ask for.

use std::io;

use socket2::{Domain, Socket, Type};

use super::CheckLine;
use crate::forward::{RECEIVE_BUFFER, SEND_BUFFER};

const SUBJECT: &str = "udp buffers";

/// The kernel books twice what a socket asks for (socket(7)) and says so when it is asked.
const BOOKED: usize = if cfg!(target_os = "linux") { 2 } else { 1 };

/// Asks as a link's socket does, and looks at what it got.
pub(super) fn check() -> Vec<CheckLine> {
    vec![match granted() {
        Ok((receive, send)) => line(receive, send),
        Err(error) => CheckLine::warn(SUBJECT, format!("cannot open a UDP socket: {error}")),
    }]
}

fn granted() -> io::Result<(usize, usize)> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // A kernel that grants less says so below, or with an error.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    let (receive, send) = (socket.recv_buffer_size()?, socket.send_buffer_size()?);
    Ok((receive / BOOKED, send / BOOKED))
}

fn line(receive: usize, send: usize) -> CheckLine {
    let mut short = Vec::new();
    let mut settings = Vec::new();
    for (what, granted, asked, setting) in [
        ("receive", receive, RECEIVE_BUFFER, "net.core.rmem_max"),
        ("send", send, SEND_BUFFER, "net.core.wmem_max"),
    ] {
        if granted < asked {
            short.push(format!("{granted} of {asked} bytes to {what}"));
            settings.push(format!("{setting}={asked}"));
        }
    }
    if short.is_empty() {
        let text = format!("{receive} bytes to receive, {send} to send are granted");
        return CheckLine::ok(SUBJECT, text);
    }
    CheckLine::warn(
        SUBJECT,
        format!(
            "the kernel grants {}: bursts on a busy agent are lost; `sysctl -w {}` (and in \
             /etc/sysctl.d to keep it)",
            short.join(", "),
            settings.join(" ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_granted_is_told_with_the_setting() {
        let enough = line(RECEIVE_BUFFER, SEND_BUFFER).to_string();
        assert_eq!(
            enough,
            "ok    udp buffers: 4194304 bytes to receive, 81920 to send are granted"
        );
        let little = line(212_992, 65_536).to_string();
        assert!(
            little.starts_with(
                "warn  udp buffers: the kernel grants 212992 of 4194304 bytes to receive, \
                 65536 of 81920 bytes to send:"
            ),
            "{little}"
        );
        let both = "`sysctl -w net.core.rmem_max=4194304 net.core.wmem_max=81920`";
        assert!(little.contains(both), "{little}");
        let little = line(RECEIVE_BUFFER, 1).to_string();
        assert!(little.contains("`sysctl -w net.core.wmem_max=81920`"));
    }

    #[test]
    fn this_kernel_is_asked() {
        let (receive, send) = granted().unwrap();
        assert!((1..=RECEIVE_BUFFER).contains(&receive), "{receive}");
        assert!((1..=SEND_BUFFER).contains(&send), "{send}");
        assert_eq!(check().len(), 1);
    }
}
