//! Clients that send the right bytes in unusual pieces.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::support::socks::{Address, CONNECT, READ_TIMEOUT, read_reply};
use crate::world::{NAME, PASSWORD, SIZE, USER, World, check_bytes};

/// Long enough that every byte travels in a packet of its own.
const BETWEEN_BYTES: Duration = Duration::from_millis(3);

fn dial(world: &World) -> TcpStream {
    let stream = TcpStream::connect(world.socks()).expect("the ingress listens");
    stream.set_nodelay(true).expect("an open connection");
    stream
        .set_read_timeout(Some(READ_TIMEOUT))
        .expect("a time-out that is not zero");
    stream
}

fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        stream.write_all(&[*byte]).expect("an open connection");
        thread::sleep(BETWEEN_BYTES);
    }
}

fn expect(stream: &mut TcpStream, bytes: [u8; 2]) {
    let mut got = [0; 2];
    stream.read_exact(&mut got).expect("an answer");
    assert_eq!(got, bytes);
}

fn request(to: &Address) -> Vec<u8> {
    let mut bytes = vec![5, CONNECT, 0];
    bytes.extend(to.to_bytes());
    bytes
}

fn download(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a clean end");
    check_bytes(&bytes);
}

#[test]
fn byte_by_byte() {
    let world = World::open();
    let port = world.target.address().port();
    for to in [world.target.address().into(), Address::from((NAME, port))] {
        let mut stream = dial(&world);
        // Two methods offered, the one that counts last.
        drip(&mut stream, &[5, 2, 2, 0]);
        expect(&mut stream, [5, 0]);
        drip(&mut stream, &request(&to));
        read_reply(&mut stream).expect("a route");
        drip(&mut stream, format!("bulk {SIZE}\n").as_bytes());
        download(stream);
    }
}

#[test]
fn a_login_byte_by_byte() {
    let world = World::guarded();
    let mut stream = dial(&world);
    drip(&mut stream, &[5, 2, 0, 2]);
    expect(&mut stream, [5, 2]);
    let mut login = vec![1];
    for text in [USER, PASSWORD] {
        login.push(u8::try_from(text.len()).expect("short"));
        login.extend(text.as_bytes());
    }
    drip(&mut stream, &login);
    expect(&mut stream, [1, 0]);
    drip(&mut stream, &request(&world.target.address().into()));
    read_reply(&mut stream).expect("a route");
    writeln!(stream, "bulk {SIZE}").expect("an open connection");
    download(stream);
}

#[test]
fn everything_in_one_packet_before_any_answer() {
    let world = World::open();
    let mut stream = dial(&world);
    let mut bytes = vec![5, 1, 0];
    bytes.extend(request(&world.target.address().into()));
    bytes.extend(format!("bulk {SIZE}\n").as_bytes());
    stream.write_all(&bytes).expect("an open connection");
    expect(&mut stream, [5, 0]);
    read_reply(&mut stream).expect("a route");
    download(stream);
}
