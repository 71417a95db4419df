//! A name server for tests, over UDP and TCP, that does to each query what its script says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType, rdata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::sleep;

use super::name::absolute;

/// A query as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Lower case, without a trailing dot.
    pub(crate) name: String,
    pub(crate) is_v6: bool,
    pub(crate) tcp: bool,
    pub(crate) edns: bool,
}

/// What is done to a query.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// These addresses, of the family that was asked for; none: the name has no such record.
    Addresses(Vec<IpAddr>),
    /// An alias, and nothing of what it stands for.
    Alias(&'static str),
    NoName,
    Code(ResponseCode),
    /// The same without the question, as servers do that did not understand it.
    BareCode(ResponseCode),
    /// Nothing said, and nobody else named.
    Lame,
    Truncated,
    /// Bytes that are no message behind the right id.
    Garbage,
    /// The answer with another id.
    WrongId,
    /// The answer to another question.
    WrongQuestion,
    Silence,
    After(Duration, Box<Act>),
}

type Script = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// A server in operation, until the runtime ends.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub(crate) fn ips(texts: &[&str]) -> Act {
    Act::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

pub(crate) fn after(millis: u64, act: Act) -> Act {
    Act::After(Duration::from_millis(millis), Box::new(act))
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let script: Script = Arc::new(script);
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            // Another process may have the TCP port.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (Arc::new(udp), tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (own_script, own_seen) = (script.clone(), seen.clone());
        tokio::spawn(async move {
            let mut packet = [0; 4_096];
            while let Ok((length, from)) = udp.recv_from(&mut packet).await {
                let (query, udp) = (packet[..length].to_vec(), udp.clone());
                let answering = answer(query, false, own_script.clone(), own_seen.clone());
                tokio::spawn(async move {
                    if let Some(answer) = answering.await {
                        udp.send_to(&answer, from).await.unwrap();
                    }
                });
            }
        });
        let own_seen = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = tcp.accept().await {
                let (script, seen) = (script.clone(), own_seen.clone());
                tokio::spawn(async move {
                    let mut query = vec![0; usize::from(client.read_u16().await?)];
                    client.read_exact(&mut query).await?;
                    if let Some(answer) = answer(query, true, script, seen).await {
                        client.write_u16(answer.len().try_into().unwrap()).await?;
                        client.write_all(&answer).await?;
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, seen }
    }

    /// The queries so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The names asked for so far, each once in a row.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.seen().into_iter().map(|seen| seen.name).collect();
        names.dedup();
        names
    }
}

async fn answer(
    query: Vec<u8>,
    tcp: bool,
    script: Script,
    all: Arc<Mutex<Vec<Seen>>>,
) -> Option<Vec<u8>> {
    let query = Message::from_vec(&query).unwrap();
    let question = query.queries[0].clone();
    let name = question.name().to_ascii().to_ascii_lowercase();
    let seen = Seen {
        name: name.trim_end_matches('.').to_owned(),
        is_v6: question.query_type() == RecordType::AAAA,
        tcp,
        edns: query.edns.is_some(),
    };
    all.lock().unwrap().push(seen.clone());
    let mut act = script(&seen);
    while let Act::After(time, then) = act {
        sleep(time).await;
        act = *then;
    }
    let mut reply = query;
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_available = true;
    let mut add = |data| {
        reply.add_answer(Record::from_rdata(question.name().clone(), 60, data));
    };
    match act {
        Act::Silence | Act::After(..) => return None,
        Act::Addresses(addresses) => {
            for ip in addresses
                .into_iter()
                .filter(|ip| ip.is_ipv6() == seen.is_v6)
            {
                add(match ip {
                    IpAddr::V4(v4) => RData::A(v4.into()),
                    IpAddr::V6(v6) => RData::AAAA(v6.into()),
                });
            }
        }
        Act::Alias(target) => add(RData::CNAME(rdata::CNAME(absolute(target).unwrap()))),
        Act::NoName => reply.metadata.response_code = ResponseCode::NXDomain,
        Act::Code(code) => reply.metadata.response_code = code,
        Act::BareCode(code) => {
            reply.metadata.response_code = code;
            reply.queries.clear();
            reply.edns = None;
        }
        Act::Lame => reply.metadata.recursion_available = false,
        Act::Truncated => reply.metadata.truncation = true,
        Act::Garbage => {
            let mut bytes = reply.metadata.id.to_be_bytes().to_vec();
            bytes.extend([0x81, 0x80, 0xff, 0xff, 0xff, 0xff]);
            return Some(bytes);
        }
        Act::WrongId => {
            add(RData::A(Ipv4Addr::new(192, 0, 2, 66).into()));
            reply.metadata.id = !reply.metadata.id;
        }
        Act::WrongQuestion => {
            add(RData::A(Ipv4Addr::new(192, 0, 2, 66).into()));
            reply.queries[0].set_name(absolute("other.example").unwrap());
        }
    }
    Some(reply.to_vec().unwrap())
}
