use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::{FrameError, decode_frame, encode_frame};

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        any::<(IpAddr, u16)>()
            .prop_map(|(ip, port)| Target::Address(SocketAddr::new(ip.to_canonical(), port))),
        ("[a-z0-9._-]{0,253}", any::<u16>()).prop_map(|(name, port)| Target::Domain(name, port)),
    ]
}

fn request() -> impl Strategy<Value = StreamRequest> {
    prop_oneof![
        target().prop_map(|target| StreamRequest::Connect(ConnectRequest { target })),
        ("\\PC{0,80}", any::<Option<u8>>())
            .prop_map(|(name, useful)| { StreamRequest::Resolve(ResolveRequest { name, useful }) }),
    ]
}

fn status() -> impl Strategy<Value = ConnectStatus> {
    let ends = ConnectStatus::ENDS.into_iter();
    let all: Vec<_> = ends.chain([ConnectStatus::Pending]).collect();
    prop::sample::select(all)
}

prop_compose! {
    fn connect_reply()(
        status in status(),
        bound in any::<Option<(IpAddr, u16)>>(),
        detail in "\\PC{0,80}",
    ) -> ConnectReply {
        ConnectReply {
            status,
            bound: bound.map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port)),
            detail,
        }
    }
}

prop_compose! {
    fn resolve_reply()(
        addresses in prop::collection::vec(any::<IpAddr>().prop_map(|ip| ip.to_canonical()), 0..32),
        error in prop::option::of("\\PC{0,80}"),
        more in any::<Option<bool>>(),
    ) -> ResolveReply {
        ResolveReply {
            addresses,
            error,
            more,
        }
    }
}

fn round_trip<T>(message: &T)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + fmt::Debug,
{
    let mut bytes = Vec::new();
    encode_frame(message, &mut bytes);
    let mut input = BytesMut::from(&bytes[..]);
    let decoded: T = decode_frame(&mut input, STREAM_MESSAGE_LIMIT)
        .unwrap()
        .unwrap();
    assert_eq!(&decoded, message);
    assert!(input.is_empty());
    for cut in 0..bytes.len() {
        let mut part = BytesMut::from(&bytes[..cut]);
        let incomplete: Option<T> = decode_frame(&mut part, STREAM_MESSAGE_LIMIT).unwrap();
        assert!(incomplete.is_none(), "complete after {cut} bytes");
    }
}

proptest! {
    #[test]
    fn requests_round_trip(message in request()) {
        round_trip(&message);
    }

    #[test]
    fn connect_replies_round_trip(message in connect_reply()) {
        round_trip(&message);
    }

    #[test]
    fn resolve_replies_round_trip(message in resolve_reply()) {
        round_trip(&message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_frame::<StreamRequest>(&mut BytesMut::from(&bytes[..]), STREAM_MESSAGE_LIMIT);
        let _ = minicbor::decode::<StreamRequest>(&bytes);
        let _ = minicbor::decode::<ConnectReply>(&bytes);
        let _ = minicbor::decode::<ResolveReply>(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(
        message in request(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        encode_frame(&message, &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_frame::<StreamRequest>(&mut BytesMut::from(&bytes[..]), STREAM_MESSAGE_LIMIT);
    }
}

#[test]
fn the_longest_messages_fit_the_limit() {
    round_trip(&StreamRequest::Connect(ConnectRequest {
        target: Target::Domain("a".repeat(253), u16::MAX),
    }));
    round_trip(&ResolveReply {
        addresses: vec![IpAddr::from([0xff; 16]); 32],
        error: Some("e".repeat(256)),
        more: Some(true),
    });
}

/// Resolving as it was before answers came in parts.
#[derive(Debug, PartialEq, Encode, Decode)]
struct EarlierRequest {
    #[n(0)]
    name: String,
}

#[test]
fn resolving_is_understood_by_those_who_know_nothing_of_parts() {
    let name = "a.example".to_owned();
    let request = ResolveRequest {
        name: name.clone(),
        useful: Some(USEFUL_V4),
    };
    let bytes = minicbor::to_vec(&request).unwrap();
    let earlier: EarlierRequest = minicbor::decode(&bytes).unwrap();
    assert_eq!(earlier.name, name);
    let bytes = minicbor::to_vec(&earlier).unwrap();
    let later: ResolveRequest = minicbor::decode(&bytes).unwrap();
    assert_eq!((later.name, later.useful), (name, None));
}

#[test]
fn an_oversized_request_is_refused_before_its_body_arrives() {
    let mut input = BytesMut::from(&2_000_u32.to_be_bytes()[..]);
    let refused = decode_frame::<StreamRequest>(&mut input, STREAM_MESSAGE_LIMIT);
    assert!(matches!(
        refused,
        Err(FrameError::Oversized { length: 2_000, .. })
    ));
}
