//! One question to one server, over UDP or TCP.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::connect::connect;
use super::message::{self, Answer, MAX_UDP_ANSWER, Question, Reply};

/// Why a server has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{server} answers {code}")]
    Refused {
        server: SocketAddr,
        code: ResponseCode,
    },
    #[error("{0} neither answers nor recurses")]
    Lame(SocketAddr),
    #[error("{server}: {reason}")]
    Io { server: SocketAddr, reason: String },
    #[error("its chain of aliases does not end")]
    Chain,
    #[error("no server answered")]
    Silent,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) edns: bool,
    pub(super) tcp: bool,
}

/// Asks `server` until it answers: a truncated answer is asked for again over TCP, and whoever
/// does not understand EDNS is asked without (RFC 6891, 7). Returns whether EDNS was in the question
/// that was answered. Waits for ever on a silent server.
pub(super) async fn ask(
    server: SocketAddr,
    question: &Question,
    mut manner: Manner,
) -> Result<(Answer, bool), Trouble> {
    loop {
        let exchanged = if manner.tcp {
            over_tcp(server, question, manner.edns).await
        } else {
            over_udp(server, question, manner.edns).await
        };
        let reply = exchanged.map_err(|error| Trouble::Io {
            server,
            reason: error.to_string(),
        })?;
        match reply {
            Reply::Answer(answer) => return Ok((answer, manner.edns)),
            Reply::Truncated if !manner.tcp => manner.tcp = true,
            // 16 is BADVERS here, and BADSIG to hickory.
            Reply::Refused(
                ResponseCode::FormErr
                | ResponseCode::NotImp
                | ResponseCode::BADVERS
                | ResponseCode::BADSIG,
            ) if manner.edns => manner.edns = false,
            Reply::Refused(code) => return Err(Trouble::Refused { server, code }),
            Reply::Lame => return Err(Trouble::Lame(server)),
            Reply::Truncated | Reply::Foreign => {
                let reason = "answers something else over TCP".to_owned();
                return Err(Trouble::Io { server, reason });
            }
        }
    }
}

/// From a port of its own each time, connected, so that only the server's packets come in and a closed
/// port is told. What does not belong to the question is passed over: it may be forged.
async fn over_udp(server: SocketAddr, question: &Question, edns: bool) -> io::Result<Reply> {
    let (id, message) = encode(question, edns)?;
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(&message).await?;
    // Servers need not keep to what was asked of them.
    let mut buffer = [0; 4 * MAX_UDP_ANSWER as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match message::read(&buffer[..length], question, id) {
            Reply::Foreign => {}
            reply => return Ok(reply),
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Question, edns: bool) -> io::Result<Reply> {
    let (id, message) = encode(question, edns)?;
    let length = u16::try_from(message.len()).expect("a name and a record type are short");
    let mut tcp = connect(server).await?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(message);
    tcp.write_all(&framed).await?;
    let mut answer = vec![0; usize::from(tcp.read_u16().await?)];
    tcp.read_exact(&mut answer).await?;
    Ok(message::read(&answer, question, id))
}

fn encode(question: &Question, edns: bool) -> io::Result<(u16, Vec<u8>)> {
    let id = rand::random();
    let message = message::encode(question, id, edns).map_err(io::Error::other)?;
    Ok((id, message))
}
