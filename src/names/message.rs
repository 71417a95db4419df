//! DNS messages: a question to bytes, bytes to what they answer to it. Pure.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

/// Of the UDP answer that we take: what passes everywhere without fragments (DNS flag day 2020).
pub(super) const MAX_UDP_ANSWER: u16 = 1_232;

/// Most names of one chain of CNAMEs.
pub(super) const MAX_CHAIN: usize = 16;

/// How long an answer is kept at most, and one that says "none" (RFC 2308, 5: one to three hours).
const MAX_TTL: u32 = 86_400;
const MAX_NEGATIVE_TTL: u32 = 3_600;

/// An address family, and the records that hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn records(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }
}

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Absolute.
    pub(super) name: Name,
    pub(super) records: RecordType,
}

/// What a server knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// None: there is no such name, or it has no such record.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether the name exists at all.
    pub(super) exists: bool,
    /// Where the chain of CNAMEs ended without an address: what is to be asked next.
    pub(super) next: Option<Name>,
    pub(super) ttl: Duration,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(Answer),
    /// Too long for UDP.
    Truncated,
    /// The server would not or could not answer.
    Refused(ResponseCode),
    /// Neither an answer nor a way to one: a referral by a server that does not recurse.
    Lame,
    /// No reply to this question.
    Foreign,
}

/// The question as a message.
pub(super) fn encode(question: &Question, id: u16, edns: bool) -> Result<Vec<u8>, ProtoError> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(question.name.clone(), question.records));
    if edns {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP_ANSWER);
        message.set_edns(edns);
    }
    message.to_vec()
}

/// What `bytes` say to the question asked as `id`.
pub(super) fn read(bytes: &[u8], question: &Question, id: u16) -> Reply {
    const RESPONSE: u8 = 0x80;
    const TRUNCATED: u8 = 0x02;
    let [high, low, flags, ..] = *bytes else {
        return Reply::Foreign;
    };
    if u16::from_be_bytes([high, low]) != id || flags & RESPONSE == 0 {
        return Reply::Foreign;
    }
    let message = Message::from_vec(bytes);
    if flags & TRUNCATED != 0 {
        // Cut anywhere, also inside a record.
        return match message {
            Ok(message) if !is_of(&message, question) => Reply::Foreign,
            _ => Reply::Truncated,
        };
    }
    let Ok(message) = message else {
        return Reply::Foreign;
    };
    let code = message.metadata.response_code;
    let is_answer = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    // Who did not understand the question need not repeat it (RFC 6891, 7).
    let is_bare = message.queries.is_empty() && !is_answer;
    if !is_bare && !is_of(&message, question) {
        return Reply::Foreign;
    }
    match code {
        _ if !is_answer => Reply::Refused(code),
        _ if is_lame(&message) => Reply::Lame,
        _ => Reply::Answer(answer(&message, question)),
    }
}

fn is_of(message: &Message, question: &Question) -> bool {
    matches!(message.queries.as_slice(), [asked]
        if *asked.name() == question.name
            && asked.query_type() == question.records
            && asked.query_class() == DNSClass::IN)
}

/// Nothing said, no recursion, no authority: glibc takes this as no answer, too.
fn is_lame(message: &Message) -> bool {
    let meta = &message.metadata;
    let has_soa = message
        .authorities
        .iter()
        .any(|record| record.record_type() == RecordType::SOA);
    meta.response_code == ResponseCode::NoError
        && message.answers.is_empty()
        && !meta.authoritative
        && !meta.recursion_available
        && !has_soa
}

fn answer(message: &Message, question: &Question) -> Answer {
    let mut at = question.name.clone();
    let mut ttl = MAX_TTL;
    for _ in 0..MAX_CHAIN {
        let mut addresses = Vec::new();
        let mut next = None;
        let of_name = |record: &&hickory_proto::rr::Record| {
            record.name == at && record.dns_class == DNSClass::IN
        };
        for record in message.answers.iter().filter(of_name) {
            match &record.data {
                RData::CNAME(target) => next = Some(target.0.clone()),
                data if data.record_type() == question.records => {
                    // A zone may hold IPv4-mapped ones.
                    addresses.extend(data.ip_addr().map(|ip| ip.to_canonical()));
                }
                _ => continue,
            }
            ttl = ttl.min(record.ttl);
        }
        if !addresses.is_empty() {
            return Answer {
                addresses,
                exists: true,
                next: None,
                ttl: seconds(ttl),
            };
        }
        match next {
            Some(target) => at = target,
            None => break,
        }
    }
    let exists = message.metadata.response_code == ResponseCode::NoError;
    // A server that looked the target up says what it found; one that did not says nothing of it.
    let negative = negative_ttl(message);
    let is_open = exists && at != question.name && negative.is_none();
    let holds = if is_open { Some(MAX_TTL) } else { negative };
    Answer {
        addresses: Vec::new(),
        exists,
        next: is_open.then_some(at),
        ttl: seconds(holds.map_or(0, |holds| holds.min(ttl))),
    }
}

/// How long it holds that there is none (RFC 2308, 5).
fn negative_ttl(message: &Message) -> Option<u32> {
    message
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum).min(MAX_NEGATIVE_TTL)),
            _ => None,
        })
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

#[cfg(test)]
mod tests;
