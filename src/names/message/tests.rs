use hickory_proto::rr::{Record, rdata};

use super::*;
use crate::names::name::absolute;

fn question(name: &str) -> Question {
    Question {
        name: absolute(name).unwrap(),
        records: RecordType::A,
    }
}

fn message(question: &Question) -> Message {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(Query::query(question.name.clone(), question.records));
    message
}

fn a(name: &str, ttl: u32, last: u8) -> Record {
    let data = RData::A(std::net::Ipv4Addr::new(192, 0, 2, last).into());
    Record::from_rdata(absolute(name).unwrap(), ttl, data)
}

fn cname(name: &str, ttl: u32, target: &str) -> Record {
    let data = RData::CNAME(rdata::CNAME(absolute(target).unwrap()));
    Record::from_rdata(absolute(name).unwrap(), ttl, data)
}

fn read_of(message: &Message, question: &Question) -> Reply {
    read(&message.to_vec().unwrap(), question, 7)
}

fn answered(message: &Message, question: &Question) -> Answer {
    match read_of(message, question) {
        Reply::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chain_is_followed_in_any_order_and_others_records_are_not_taken() {
    let question = question("a.example");
    let mut reply = message(&question);
    reply.add_answer(a("C.example", 300, 1));
    reply.add_answer(a("other.example", 300, 66));
    reply.add_answer(cname("b.example", 20, "c.example"));
    reply.add_answer(cname("a.example", 40, "B.example"));
    let answer = answered(&reply, &question);
    assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(answer.ttl, Duration::from_secs(20));
}

#[test]
fn a_mapped_address_is_ipv4() {
    let question = Question {
        records: RecordType::AAAA,
        ..question("a.example")
    };
    let mut reply = message(&question);
    for address in ["::ffff:192.0.2.7", "::192.0.2.7"] {
        let data = RData::AAAA(address.parse::<std::net::Ipv6Addr>().unwrap().into());
        reply.add_answer(Record::from_rdata(question.name.clone(), 60, data));
    }
    let expected: [IpAddr; 2] = ["192.0.2.7", "::192.0.2.7"].map(|ip| ip.parse().unwrap());
    assert_eq!(answered(&reply, &question).addresses, expected);
}

#[test]
fn what_there_is_not_holds_as_long_as_its_zone_says() {
    let question = question("a.example");
    for (code, exists) in [
        (ResponseCode::NoError, true),
        (ResponseCode::NXDomain, false),
    ] {
        let mut reply = message(&question);
        reply.metadata.response_code = code;
        assert_eq!(answered(&reply, &question).ttl, Duration::ZERO);
        let names = absolute("ns.example").unwrap();
        let soa = rdata::SOA::new(names.clone(), names, 1, 2, 3, 4, 30);
        let zone = absolute("example").unwrap();
        reply.add_authority(Record::from_rdata(zone, 90, RData::SOA(soa)));
        let answer = answered(&reply, &question);
        assert_eq!(
            (answer.exists, answer.ttl),
            (exists, Duration::from_secs(30))
        );
    }
}

#[test]
fn an_alias_without_its_target_is_asked_for_next() {
    let question = question("a.example");
    let mut reply = message(&question);
    reply.add_answer(cname("a.example", 40, "b.example"));
    let answer = answered(&reply, &question);
    assert_eq!(answer.next, absolute("b.example"));
    assert_eq!(answer.ttl, Duration::from_secs(40));
}

#[test]
fn only_a_reply_to_the_question_counts() {
    let own = question("a.example");
    let good = message(&own).to_vec().unwrap();
    let not_ours = |bytes: &[u8]| matches!(read(bytes, &own, 7), Reply::Foreign);
    assert!(!not_ours(&good));
    assert!(matches!(read(&good, &own, 8), Reply::Foreign));
    let mut query = message(&own);
    query.metadata.message_type = MessageType::Query;
    assert!(not_ours(&query.to_vec().unwrap()));
    assert!(not_ours(&message(&question("b.example")).to_vec().unwrap()));
    for cut in 0..good.len() {
        assert!(not_ours(&good[..cut]), "{cut}");
    }
    // Cut off with the bit set, wherever.
    let mut long = message(&own);
    long.metadata.truncation = true;
    long.add_answer(a("a.example", 1, 1));
    let long = long.to_vec().unwrap();
    let cut = read(&long[..long.len() - 3], &own, 7);
    assert!(matches!(cut, Reply::Truncated));
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut bytes = bytes;
        if let Some(head) = bytes.first_chunk_mut() {
            *head = [0, 7, 0x81];
        }
        read(&bytes, &question("a.example"), 7);
    }
}
