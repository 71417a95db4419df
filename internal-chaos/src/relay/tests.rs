//! Relays between real sockets on loopback. Nothing here waits for something not to happen: that a
//! packet was lost shows when a later one arrives, because order is kept.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::control::{Command, CommandError};
use super::*;
use crate::condition;
use crate::impairment::Impairment;
use crate::packet::{Direction, Plane, Ways};
use crate::rules::{Matcher, Rule, Verdict};
use crate::units::Probability;

const MS: Duration = Duration::from_millis(1);

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Only a failing test waits so long.
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket
}

/// A server, a relay before it, and a client that is connected to the relay.
fn world() -> (UdpSocket, Relay, UdpSocket) {
    let server = socket();
    let relay = Relay::start(&Options::to(server.local_addr().unwrap())).unwrap();
    let client = client(&relay);
    (server, relay, client)
}

fn client(relay: &Relay) -> UdpSocket {
    let client = socket();
    client.connect(relay.address()).unwrap();
    client
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, std::net::SocketAddr) {
    let mut buffer = [0; 2_000];
    let (count, from) = socket.recv_from(&mut buffer).unwrap();
    (buffer[..count].to_vec(), from)
}

/// Sends both, and returns those that arrive up to the second.
fn survivors(client: &UdpSocket, server: &UdpSocket, packets: [&[u8]; 2]) -> Vec<Vec<u8>> {
    packets.iter().for_each(|packet| {
        client.send(packet).unwrap();
    });
    let mut arrived = Vec::new();
    while arrived.last().is_none_or(|last| last != packets[1]) {
        arrived.push(receive(server).0);
    }
    arrived
}

#[test]
fn every_client_has_an_address_of_its_own_and_gets_its_answers() {
    let (server, relay, first) = world();
    let second = client(&relay);
    first.send(b"one").unwrap();
    let (packet, first_seen) = receive(&server);
    assert_eq!(packet, b"one");
    second.send(b"two").unwrap();
    let (packet, second_seen) = receive(&server);
    assert_eq!(packet, b"two");
    assert_ne!(first_seen, second_seen);
    server.send_to(b"for two", second_seen).unwrap();
    server.send_to(b"for one", first_seen).unwrap();
    assert_eq!(receive(&first).0, b"for one");
    assert_eq!(receive(&second).0, b"for two");
    let counters = relay.counters();
    assert_eq!((counters.flows, counters.carried()), (2, 4));
    assert_eq!(counters.to_server.delivered_bytes, 6);
}

#[test]
fn outward_ports_change_and_old_ones_are_deaf() {
    let (server, relay, client) = world();
    client.send(b"before").unwrap();
    let (_, old) = receive(&server);
    relay.rebind().unwrap();
    client.send(b"after").unwrap();
    let (_, new) = receive(&server);
    assert_ne!(old, new);
    server.send_to(b"lost", old).unwrap();
    server.send_to(b"heard", new).unwrap();
    assert_eq!(receive(&client).0, b"heard");
    assert_eq!(relay.counters().rebinds, 1);
}

#[test]
fn delays_are_kept_in_the_direction_that_has_them() {
    let (server, relay, client) = world();
    let slow = Impairment {
        delay: 30 * MS,
        ..Impairment::CLEAR
    };
    relay.set(Ways::ToServer, slow);
    assert_eq!(relay.impairment(Direction::ToServer), slow);
    assert_eq!(relay.impairment(Direction::ToClient), Impairment::CLEAR);
    let sent = Instant::now();
    client.send(b"slow").unwrap();
    let (_, seen) = receive(&server);
    assert!(sent.elapsed() >= 30 * MS);
    server.send_to(b"answer", seen).unwrap();
    assert_eq!(receive(&client).0, b"answer");
    relay.heal();
    assert_eq!(relay.impairment(Direction::ToServer), Impairment::CLEAR);
}

#[test]
fn a_cut_in_one_direction_spares_the_other() {
    let (server, relay, client) = world();
    client.send(b"hello").unwrap();
    let (_, seen) = receive(&server);
    relay.apply(&condition::DEAF_SERVER);
    client.send(b"lost").unwrap();
    server.send_to(b"heard", seen).unwrap();
    assert_eq!(receive(&client).0, b"heard");
    // Lost before the cut is mended: the relay has counted it.
    while relay.counters().to_server.cut == 0 {
        std::thread::yield_now();
    }
    relay.apply(&condition::CLEAR);
    client.send(b"again").unwrap();
    assert_eq!(receive(&server).0, b"again");
}

#[test]
fn rules_hold_until_their_guard_is_dropped() {
    let (server, relay, client) = world();
    let data: &[u8] = &[0x03, 1];
    let link: &[u8] = &[0xc3, 1];
    let grey = relay.rule(Rule::new(Matcher::plane(Plane::Data), Verdict::Drop));
    assert_eq!(survivors(&client, &server, [data, link]), [link]);
    assert_eq!(grey.decided(), 1);
    drop(grey);
    assert_eq!(survivors(&client, &server, [data, link]), [data, link]);
    let id = relay
        .rule(Rule::new(Matcher::plane(Plane::Link), Verdict::Drop))
        .keep();
    assert_eq!(survivors(&client, &server, [link, data]), [data]);
    relay.remove_rule(id);
    assert_eq!(survivors(&client, &server, [link, data]), [link, data]);
}

#[test]
fn packets_to_nobody_harm_nothing() {
    let server = socket();
    let address = server.local_addr().unwrap();
    let relay = Relay::start(&Options::to(address)).unwrap();
    let client = client(&relay);
    drop(server);
    client.send(b"refused").unwrap();
    while relay.counters().to_server.delivered == 0 {
        std::thread::yield_now();
    }
    let back = UdpSocket::bind(address).unwrap();
    back.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client.send(b"arrives").unwrap();
    assert_eq!(receive(&back).0, b"arrives");
}

#[test]
fn only_loopback_unless_allowed() {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let elsewhere = "0.0.0.0:0".parse().unwrap();
    for (listen, server) in [
        (elsewhere, loopback),
        (loopback, "192.0.2.1:9".parse().unwrap()),
    ] {
        let mut options = Options {
            listen,
            ..Options::to(server)
        };
        let refused = Relay::start(&options).unwrap_err();
        assert!(matches!(refused, RelayError::NotLoopback { .. }));
        options.allow_non_loopback = true;
        drop(Relay::start(&options).unwrap());
    }
}

#[test]
fn lines_become_commands() {
    let parse = |line: &str| line.parse::<Command>();
    assert_eq!(
        parse(" condition  lossy-wan "),
        Ok(Command::Condition(condition::LOSSY_WAN))
    );
    let lossy = Impairment {
        loss: Probability::permille(500),
        ..Impairment::CLEAR
    };
    assert_eq!(
        parse(r#"set to-client {"loss": 0.5}"#),
        Ok(Command::Set(Ways::ToClient, lossy))
    );
    assert_eq!(parse("cut both"), Ok(Command::Cut(Ways::Both)));
    let rule = Rule::new(Matcher::plane(Plane::Data), Verdict::Drop);
    let line = r#"rule {"match": {"plane": "data"}, "verdict": "drop"}"#;
    assert_eq!(parse(line), Ok(Command::Rule(rule)));
    for plain in ["heal", "rebind", "show", "counters", "quit", "remove 0"] {
        assert!(parse(plain).is_ok(), "{plain}");
    }
    assert!(matches!(parse("explode"), Err(CommandError::Unknown(_))));
    for bad in [
        "cut",
        "cut sideways",
        "set both",
        "set both {]",
        "condition x",
        "remove x",
    ] {
        assert!(
            matches!(parse(bad), Err(CommandError::Argument { .. })),
            "{bad}"
        );
    }
}

#[test]
fn commands_change_a_running_relay() {
    let (_server, relay, _client) = world();
    let execute = |line: &str| relay.execute(line.parse().unwrap());
    assert_eq!(execute("condition wan")["ok"], true);
    assert_eq!(
        relay.impairment(Direction::ToClient),
        condition::WAN.to_client
    );
    assert_eq!(execute("cut to-server")["ok"], true);
    assert_eq!(execute("show")["to_server"]["cut"], true);
    assert_eq!(execute("show")["to_client"]["cut"], false);
    let rule = execute(r#"rule {"verdict": "drop"}"#)["rule"].clone();
    assert_eq!(execute(&format!("remove {rule}"))["ok"], true);
    assert_eq!(execute("rebind")["ok"], true);
    assert_eq!(execute("counters")["rebinds"], 1);
    assert_eq!(execute("heal")["ok"], true);
    assert_eq!(relay.impairment(Direction::ToServer), Impairment::CLEAR);
}
