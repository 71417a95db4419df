//! Whether an exit's name servers answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::CheckLine;
use crate::config::Config;
use crate::names;

const SUBJECT: &str = "exit.dns";

/// Asks each server for the root's name servers; any answer, a refusal too, shows that it is there.
pub(super) async fn check(config: &Config) -> Vec<CheckLine> {
    let Some(exit) = &config.exit else {
        return Vec::new();
    };
    if exit.dns.servers.is_empty() {
        return vec![CheckLine::ok(
            SUBJECT,
            "uses the system's resolver configuration",
        )];
    }
    let mut lines = Vec::new();
    for server in &exit.dns.servers {
        lines.push(match ask(*server, exit.dns.timeout).await {
            Ok(()) => CheckLine::ok(SUBJECT, format!("{server} answers")),
            Err(error) => CheckLine::fail(SUBJECT, format!("{server} does not answer: {error}")),
        });
    }
    lines
}

/// Whether anything comes back; the error is for people.
pub(super) async fn ask(server: SocketAddr, time: Duration) -> Result<(), String> {
    match timeout(time, names::is_there(server)).await {
        Ok(asked) => asked,
        Err(_) => Err(format!("silent for {time:?}")),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use std::net::SocketAddr;

    use tokio::net::UdpSocket;

    /// Answers every query with `code` (RFC 1035 section 4.1.1) and no records.
    pub(in super::super) async fn server(code: u8) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                buffer[2] |= 0x80;
                buffer[3] = code;
                socket.send_to(&buffer[..length], client).await.unwrap();
            }
        });
        address
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UdpSocket;

    use super::super::{Level, fixture};
    use super::testing::server;
    use super::*;

    async fn checked(servers: Vec<SocketAddr>) -> Vec<CheckLine> {
        let mut config = fixture::exit();
        let dns = &mut config.exit.as_mut().unwrap().dns;
        dns.servers = servers;
        dns.timeout = Duration::from_millis(300);
        check(&config).await
    }

    #[tokio::test]
    async fn any_answer_is_an_answer() {
        const NO_ERROR: u8 = 0;
        const NX_DOMAIN: u8 = 3;
        const REFUSED: u8 = 5;
        for code in [NO_ERROR, NX_DOMAIN, REFUSED] {
            let address = server(code).await;
            let line = &checked(vec![address]).await[0];
            let expected = format!("ok    exit.dns: {address} answers");
            assert_eq!(line.to_string(), expected, "code {code}");
        }
    }

    #[tokio::test]
    async fn silence_fails_for_that_server_alone() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let lines = checked(vec![address, server(0).await]).await;
        assert_eq!(lines[0].level, Level::Fail);
        assert!(
            lines[0].text.starts_with(&address.to_string()),
            "{}",
            lines[0]
        );
        assert_eq!(lines[1].level, Level::Ok);
    }

    #[tokio::test]
    async fn only_exits_resolve() {
        assert_eq!(check(&fixture::ingress()).await, []);
    }
}
