//! The client against a server of a few lines that records what it was asked.

use tokio::net::TcpListener;

use super::*;

/// What the server read, and how it should answer.
struct Script {
    method: u8,
    reply: Vec<u8>,
}

/// Accepts one client, answers by `script`, echoes one byte, and returns greeting + request.
async fn serve_one(listener: TcpListener, script: Script) -> (Vec<u8>, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut greeting = vec![0; 3];
    stream.read_exact(&mut greeting).await.unwrap();
    stream.write_all(&[VERSION, script.method]).await.unwrap();
    if script.method == USERNAME_PASSWORD {
        let mut login = vec![0; 1 + 1 + 4 + 1 + 6];
        stream.read_exact(&mut login).await.unwrap();
        stream.write_all(&[1, 0]).await.unwrap();
        greeting.extend(login);
    }
    let mut request = vec![0; 5];
    stream.read_exact(&mut request).await.unwrap();
    let rest = match request[3] {
        1 => 3 + 2,
        4 => 15 + 2,
        3 => usize::from(request[4]) + 2,
        other => panic!("address type {other}"),
    };
    let mut tail = vec![0; rest];
    stream.read_exact(&mut tail).await.unwrap();
    request.extend(tail);
    stream.write_all(&script.reply).await.unwrap();
    if script.reply[1] == 0 {
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
    }
    (greeting, request)
}

/// Runs one connect against one server; returns both sides' views.
async fn exchange(
    target: &str,
    login: &str,
    script: Script,
) -> (Result<u8, ConnectError>, (Vec<u8>, Vec<u8>)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let route = Route::Via(format!("{login}{address}").parse().unwrap());
    let target = target.parse().unwrap();
    let client = async {
        let mut stream = route.connect(&target).await?;
        stream.write_u8(b'x').await.unwrap();
        Ok(stream.read_u8().await.unwrap())
    };
    tokio::join!(client, serve_one(listener, script))
}

fn success(bound: &[u8]) -> Vec<u8> {
    [&[5, 0, 0], bound].concat()
}

#[tokio::test]
async fn addresses_and_names_cross_as_the_rfc_says() {
    let bound_v4 = [1, 127, 0, 0, 1, 0, 80];
    let cases: [(&str, &[u8]); 3] = [
        ("192.0.2.7:443", &[5, 1, 0, 1, 192, 0, 2, 7, 1, 0xbb]),
        (
            "[2001:db8::1]:80",
            &[
                5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80,
            ],
        ),
        ("a.example:7", b"\x05\x01\x00\x03\x09a.example\x00\x07"),
    ];
    for (target, expected) in cases {
        let script = Script {
            method: NO_AUTHENTICATION,
            reply: success(&bound_v4),
        };
        let (echoed, (greeting, request)) = exchange(target, "", script).await;
        assert_eq!(echoed.unwrap(), b'x');
        assert_eq!(greeting, [5, 1, 0]);
        assert_eq!(request, expected, "{target}");
    }
}

#[tokio::test]
async fn bound_addresses_of_every_type_are_consumed() {
    for bound in [
        [&[4][..], &[0; 18]].concat(),
        [&[3, 4][..], b"exit", &[0, 1]].concat(),
    ] {
        let script = Script {
            method: NO_AUTHENTICATION,
            reply: success(&bound),
        };
        let (echoed, _) = exchange("192.0.2.7:443", "", script).await;
        assert_eq!(echoed.unwrap(), b'x');
    }
}

#[tokio::test]
async fn passwords_are_sent_when_given() {
    let script = Script {
        method: USERNAME_PASSWORD,
        reply: success(&[1, 0, 0, 0, 0, 0, 0]),
    };
    let (echoed, (greeting, _)) = exchange("192.0.2.7:443", "user:secret@", script).await;
    assert_eq!(echoed.unwrap(), b'x');
    assert_eq!(greeting, b"\x05\x01\x02\x01\x04user\x06secret");
}

#[tokio::test]
async fn refusals_carry_the_reply() {
    let script = Script {
        method: NO_AUTHENTICATION,
        reply: vec![5, 3, 0, 1],
    };
    let (echoed, _) = exchange("192.0.2.7:443", "", script).await;
    let error = echoed.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { reply: 3, .. }));
    assert!(error.to_string().contains("network unreachable"), "{error}");
}

#[test]
fn targets_and_proxies_parse() {
    assert!("10.0.0.1".parse::<Target>().is_err());
    assert!(":80".parse::<Target>().is_err());
    assert!("a:b:80".parse::<Target>().is_err());
    assert_eq!(
        "host:80".parse::<Target>().unwrap(),
        Target::Name("host".to_owned(), 80)
    );
    let proxy: Proxy = "u:p@127.0.0.1:1080".parse().unwrap();
    assert_eq!(proxy.credentials, Some(("u".to_owned(), "p".to_owned())));
    assert_eq!(format!("{proxy:?}"), "***@127.0.0.1:1080");
    assert!("name:1080".parse::<Proxy>().is_err());
}
