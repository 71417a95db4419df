//! Whether the ports can be bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::CheckLine;
use crate::config::Config;

/// Binds every address of the file at once, so that two sections with one address are found, and
/// lets go. `own_runs` says whether the agent of this file runs; it is asked only about a taken port.
pub(super) fn check(config: &Config, own_runs: impl Fn() -> bool) -> Vec<CheckLine> {
    let mut lines = Vec::new();
    let mut line = |subject, address, error: Option<&io::Error>| {
        lines.push(match error {
            Some(error) if error.kind() == io::ErrorKind::AddrInUse && own_runs() => CheckLine::ok(
                subject,
                format!("{address} is in use by this agent, which runs"),
            ),
            error => line(subject, address, error),
        });
    };
    let listeners = config.listeners.iter();
    let udp: Vec<_> = listeners
        .map(|listener| {
            let bound = UdpSocket::bind(listener.address);
            line("listeners", listener.address, bound.as_ref().err());
            bound
        })
        .collect();
    let tcp: Vec<_> = config
        .tcp_ports()
        .into_iter()
        .map(|(subject, address)| {
            let bound = TcpListener::bind(address);
            line(subject, address, bound.as_ref().err());
            bound
        })
        .collect();
    drop((udp, tcp));
    lines
}

fn line(subject: &'static str, address: SocketAddr, error: Option<&io::Error>) -> CheckLine {
    let Some(error) = error else {
        return CheckLine::ok(subject, format!("{address} binds"));
    };
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; is an agent running already? `ss -lntup 'sport = :{}'` tells who listens there",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            "; take a port above 1023, or grant CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this host has that address".to_owned()
        }
        _ => String::new(),
    };
    CheckLine::fail(subject, format!("{address} does not bind: {error}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Level, fixture};
    use super::*;
    use crate::config::Listener;

    #[test]
    fn free_ports_bind_and_are_free_again() {
        let mut config = fixture::ingress();
        let free = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        config.listeners = vec![Listener { address: free }];
        for _ in 0..2 {
            let lines = check(&config, || false);
            assert!(
                lines.iter().all(|line| line.level == Level::Ok),
                "{lines:?}"
            );
            assert_eq!(
                lines[0].to_string(),
                format!("ok    listeners: {free} binds")
            );
            assert_eq!(lines.len(), 3);
        }
    }

    #[test]
    fn a_taken_port_fails_and_the_others_are_still_checked() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = fixture::ingress();
        config.socks5.as_mut().unwrap().address = taken.local_addr().unwrap();
        let lines = check(&config, || false);
        let levels: Vec<_> = lines.iter().map(|l| (l.subject, l.level)).collect();
        assert_eq!(
            levels,
            [
                ("listeners", Level::Ok),
                ("socks5", Level::Fail),
                ("http", Level::Ok)
            ]
        );
        assert!(lines[1].text.contains("is an agent running already?"));
        let own = check(&config, || true);
        let text = format!(
            "{} is in use by this agent, which runs",
            taken.local_addr().unwrap()
        );
        assert_eq!((own[1].level, &own[1].text), (Level::Ok, &text));
    }

    #[test]
    fn one_address_for_two_sections_fails() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut config = fixture::ingress();
        config.socks5.as_mut().unwrap().address = address;
        config.http.as_mut().unwrap().address = address;
        let lines = check(&config, || false);
        assert_eq!(lines[1].level, Level::Ok);
        assert_eq!(lines[2].level, Level::Fail);
    }
}
