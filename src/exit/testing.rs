//! What tests of exits and ingresses share: an exit, a name server, a target that never answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Exit, OwnListeners};
use crate::config::{self, Limits};
use crate::record::{Journal, StreamTable};

/// The `exit` section with these routes and domain routes.
pub(crate) fn config(routes: &[&str], domains: &[&str], dns: Vec<SocketAddr>) -> config::Exit {
    config::Exit {
        routes: routes.iter().map(|route| route.parse().unwrap()).collect(),
        domain_routes: domains.iter().map(|name| name.parse().unwrap()).collect(),
        dns: config::Dns {
            servers: dns,
            timeout: Duration::from_secs(5),
        },
        connect_timeout: Duration::from_secs(5),
        health_checks: Vec::new(),
        allow_special: Vec::new(),
    }
}

/// An exit with default limits, a stream table and a journal of its own.
pub(crate) fn exit(config: &config::Exit) -> Arc<Exit> {
    let limits = Limits::default();
    let own = OwnListeners::default();
    Exit::new(config, &limits, own, StreamTable::new(), Journal::default())
}

/// A name server over UDP. Unknown names do not exist; names with the label `broken` get SERVFAIL,
/// names with `silent` no answer at all.
pub(crate) async fn name_server(records: &[(&str, &str)]) -> SocketAddr {
    let records: Vec<(String, IpAddr)> = records
        .iter()
        .map(|(name, ip)| (format!("{name}."), ip.parse().unwrap()))
        .collect();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 4_096];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let query = Message::from_vec(&packet[..length]).unwrap();
            if let Some(answer) = answer(&query, &records) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

fn answer(query: &Message, records: &[(String, IpAddr)]) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let name = question.name().to_string();
    if name.starts_with("silent.") {
        return None;
    }
    let mut answer = query.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_available = true;
    let known: Vec<_> = records.iter().filter(|(known, _)| *known == name).collect();
    if name.starts_with("broken.") {
        answer.metadata.response_code = ResponseCode::ServFail;
    } else if known.is_empty() {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    for (_, ip) in known {
        let (kind, data) = match ip {
            IpAddr::V4(v4) => (RecordType::A, RData::A((*v4).into())),
            IpAddr::V6(v6) => (RecordType::AAAA, RData::AAAA((*v6).into())),
        };
        if kind == question.query_type() {
            let record = Record::from_rdata(question.name().clone(), 60, data);
            answer.add_answer(record);
        }
    }
    Some(answer.to_vec().unwrap())
}

/// A target that sends back what it gets and half-closes when its client does.
pub(crate) async fn echo_server() -> SocketAddr {
    echo_server_at((Ipv4Addr::LOCALHOST, 0).into()).await
}

/// As [`echo_server`], at this address.
pub(crate) async fn echo_server_at(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                while let Ok(read @ 1..) = tcp.read(&mut buffer).await {
                    if tcp.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
                // A client that reset the connection needs no FIN.
                let _ = tcp.shutdown().await;
            });
        }
    });
    address
}

/// An address where nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// A listener whose accept queue is full: connecting to it gets no answer.
pub(crate) struct SilentTarget {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<TcpStream>,
}

pub(crate) async fn silent_target() -> SilentTarget {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let listener = listener.unwrap();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&loopback.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(100);
    while let Ok(connected) = timeout(patience, TcpStream::connect(address)).await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 64, "the accept queue has an end");
    }
    SilentTarget {
        address,
        _listener: listener,
        _queued: queued,
    }
}
