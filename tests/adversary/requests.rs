//! HTTP requests of strangers to an agent with a token: other forms of the paths of management, requests
//! hidden in others, heads and bodies out of all proportion. None manages the agent, none ends it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, http};

/// argon2id of `p` with the least work that there is.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c2FsdCBvZiBhIHRlc3Q$oK1I0Jyv63oXf0hI1uFrANPLEv5elHrJ9zK5aJeuEd8";

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an agent tells its operator alone.
const SECRET: &str = "last_error";

fn agent() -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("peer").listen(),
        Spec::new("agent")
            .http(&format!("token_hash: '{HASH}'"))
            .peer("peer"),
    ]);
    mesh.await_ready("agent");
    mesh
}

/// Whatever comes for these bytes and the end behind them.
fn answers(agent: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(agent).expect("the agent listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    // It may be refused before it is whole.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

/// It answers, and does not drain; on a busy machine its link may come and go.
fn is_well(mesh: &Mesh) {
    let start = Instant::now();
    let health = mesh.get("agent", "/healthz").json();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_ne!(health["status"], "draining", "{health}");
}

/// It neither drained nor read its file again.
fn is_untouched(mut mesh: Mesh) {
    is_well(&mesh);
    let log = mesh.process("agent").log();
    for word in ["draining", "reload", "panicked"] {
        assert!(!log.contains(word), "{word}: {log}");
    }
    // With the token all of it works.
    let ask = |line: &str| {
        let request = format!("{line} HTTP/1.0\r\nauthorization: Bearer p\r\n\r\n");
        http::send(mesh.http("agent"), &request).expect("an answer")
    };
    assert!(ask("GET /api/peers").body.contains(SECRET));
    assert_eq!(ask("POST /api/drain").status, 200);
}

#[test]
fn no_other_form_of_a_path_or_method_manages_the_agent() {
    let mesh = agent();
    let paths = [
        "/api/drain",
        "//api/drain",
        "/api//drain",
        "/./api/drain",
        "/health/../api/drain",
        "/health/..;/api/drain",
        "/health%2f..%2fapi/drain",
        "/%61pi/drain",
        "/api%2fdrain",
        "/API/drain",
        "/api/drain/",
        "/api/drain;x=y",
        "/api/drain%00",
        "/api/drain?authorization=Bearer%20p",
        "/api/peers",
        "/metrics/../api/peers",
        "http://localhost/api/drain",
        "http://localhost:1@localhost/api/peers",
        "*",
        "localhost:80",
    ];
    let methods = [
        "GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "PRI",
    ];
    let heads = [
        "host: localhost",
        "host: localhost\r\nx-http-method-override: POST\r\nx-original-url: /api/drain",
        "host: localhost\r\nx-rewrite-url: /api/drain\r\nx-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1",
        "host: localhost\r\nauthorization: Bearer",
        "host: localhost\r\nauthorization: Basic cDpw\r\nauthorization: Digest p",
        "host: localhost\r\nauthorization: Bearer p\0",
        "host: localhost\r\nproxy-authorization: Bearer p\r\ncookie: token=p",
    ];
    for path in paths {
        for method in methods {
            for head in heads {
                let request = format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n");
                let heard = answers(mesh.http("agent"), request.as_bytes());
                assert!(!heard.contains(SECRET), "{request}{heard}");
            }
        }
    }
    is_untouched(mesh);
}

#[test]
fn what_is_hidden_in_a_request_is_a_strangers_too_and_malformed_ones_end_nothing() {
    let mesh = agent();
    let hidden = "POST /api/drain HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let with = |head: &str, body: &str| {
        format!("POST /health HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n{body}{hidden}")
    };
    let length = hidden.len();
    let mut requests: Vec<Vec<u8>> = [
        with("content-length: 0", ""),
        with("content-length: 0\r\ncontent-length: 10", ""),
        with("content-length: 0, 10", ""),
        with("content-length: +0", ""),
        with("content-length: -1", ""),
        with("content-length: 18446744073709551616", ""),
        with("content-length: 0x0", ""),
        with(
            &format!("content-length: {length}\r\ntransfer-encoding: chunked"),
            "0\r\n\r\n",
        ),
        with(
            "transfer-encoding: chunked\r\ntransfer-encoding: identity",
            "0\r\n\r\n",
        ),
        with("transfer-encoding: xchunked", "0\r\n\r\n"),
        with("transfer-encoding: chunked", "ffffffffffffffff\r\n"),
        with("transfer-encoding: chunked", "fffffffffffffffff\r\n"),
        with("transfer-encoding: chunked", "0;a=\"\r\n\r\n\"\r\n\r\n"),
        with("transfer-encoding : chunked", "0\r\n\r\n"),
        with("x: y\r\n folded: z", ""),
        with("upgrade: h2c\r\nconnection: upgrade, http2-settings", ""),
        with("expect: 100-continue\r\ncontent-length: 9", ""),
        with("x\0y: z", ""),
        with("x: \0", ""),
        with("\u{7f}: z", ""),
        "GET /health\r\n\r\n".to_owned(),
        "GET /health HTTP/9.9\r\n\r\n".to_owned(),
        "GET  /health HTTP/1.1\r\n\r\n".to_owned(),
        "\r\n\r\n\r\nGET /health HTTP/1.1\n\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\nGET /api/peers HTTP/1.0\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec();
    requests.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    requests.push(b"GET /\xff\xfe HTTP/1.1\r\nhost: \xff\r\n\r\n".to_vec());
    requests.push((0..=255).collect());
    // A line, a header, many headers and many requests out of all proportion.
    let long = "x".repeat(1_000_000);
    requests.push(format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes());
    requests.push(format!("GET /health HTTP/1.1\r\nx: {long}\r\n\r\n").into_bytes());
    let many = "x: y\r\n".repeat(100_000);
    requests.push(format!("GET /health HTTP/1.1\r\n{many}\r\n").into_bytes());
    requests.push(
        "GET /api/peers HTTP/1.1\r\nhost: localhost\r\n\r\n"
            .repeat(5_000)
            .into_bytes(),
    );
    for request in requests {
        let heard = answers(mesh.http("agent"), &request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
        assert!(!heard.contains(SECRET), "{shown}: {heard}");
        is_well(&mesh);
    }
    is_untouched(mesh);
}

/// Bodies without end, which nobody asked for.
#[test]
fn bodies_without_end_fill_no_memory() {
    let mesh = agent();
    let memory = || mesh.metric("agent", "process_resident_memory_bytes") / 1e6;
    let before = memory();
    let block = [b'x'; 64 * 1024];
    for head in [
        "POST /api/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n\r\n",
        "POST /health HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n10000000000\r\n",
        "POST /nothing HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n10000000000\r\n",
    ] {
        let mut stream = TcpStream::connect(mesh.http("agent")).expect("the agent listens");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
            .write_all(head.as_bytes())
            .expect("an open connection");
        let mut sent = 0;
        while sent < 256 << 20 && stream.write_all(&block).is_ok() {
            sent += block.len();
        }
        println!(
            "{} bytes of a body were taken: {}",
            sent,
            head.lines().next().unwrap_or("")
        );
        is_well(&mesh);
    }
    let grown = memory() - before;
    assert!(grown < 16.0, "{grown} MB more");
    is_untouched(mesh);
}

/// Thousands of connections of one source to the port of HAProxy's agent checks, which say nothing, read
/// nothing and stay.
#[test]
fn agent_checks_that_stay_keep_no_other_out() {
    let port = crate::support::ports::free_port();
    let mesh = Mesh::start_all([
        Spec::new("peer").listen(),
        Spec::new("agent")
            .http(&format!("agent_check: '127.0.0.1:{port}'"))
            .peer("peer"),
    ]);
    mesh.await_ready("agent");
    let checks = SocketAddr::from(([127, 0, 0, 1], port));
    let ask = || {
        let start = Instant::now();
        let mut stream = TcpStream::connect(checks).expect("it listens");
        let mut word = String::new();
        stream.read_to_string(&mut word).expect("a line");
        assert!(word.starts_with("up"), "{word:?}");
        start.elapsed()
    };
    ask();
    let open_files = || mesh.metric("agent", "process_open_fds");
    let before = open_files();
    let mut worst = Duration::ZERO;
    let mut kept = Vec::new();
    for _ in 0..20 {
        kept.extend((0..100).map(|_| crate::crowding::open(checks)));
        worst = worst.max(ask());
    }
    println!("beside 2,000 that stay: {worst:?} at most");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
    eventually("they are let go, though they stay", || {
        (open_files() < before + 8.0).then_some(())
    });
    drop(kept);
}
