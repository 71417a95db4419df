//! Names are resolved where the exit is, and never lead outside its routes.

use std::net::Ipv4Addr;

use crate::support::command::warren;
use crate::support::dns::Dns;
use crate::support::socks::{Address, refusal};
use crate::support::{Mesh, Spec, Target, socks};

const NOT_ALLOWED: u8 = 0x02;
const NO_ROUTE: u8 = 0x03;
const NOT_FOUND: u8 = 0x04;

fn dns() -> Dns {
    Dns::start(&[
        ("inside.corp.example", Ipv4Addr::LOCALHOST),
        ("outside.corp.example", Ipv4Addr::new(10, 1, 2, 3)),
        ("plain.other.example", Ipv4Addr::LOCALHOST),
        ("far.other.example", Ipv4Addr::new(10, 1, 2, 3)),
        ("_srv._tcp.other.example", Ipv4Addr::LOCALHOST),
        ("-odd.other.example", Ipv4Addr::LOCALHOST),
        ("x-.other.example", Ipv4Addr::LOCALHOST),
        ("_in.corp.example", Ipv4Addr::LOCALHOST),
        ("-in.corp.example", Ipv4Addr::LOCALHOST),
    ])
}

fn mesh(dns: &Dns) -> Mesh {
    let exit = format!(
        "routes: [127.0.0.0/8], domain_routes: ['*.corp.example'], \
         dns: {{ servers: ['{}'], timeout: 2s }}",
        dns.address()
    );
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(&exit),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_ready("ingress");
    mesh.await_chosen("ingress", "inside.corp.example", &["transit", "exit"]);
    mesh
}

fn fetch_by_name(mesh: &Mesh, name: &str, target: &Target) {
    use std::io::{Read, Write};
    let to = Address::from((name, target.address().port()));
    let mut stream = socks::connect(mesh.socks("ingress"), to)
        .unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
    writeln!(stream, "bulk 5000").expect("an open connection");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a clean end");
    assert_eq!(bytes.len(), 5000);
}

#[test]
fn a_domain_route_names_the_exit_that_resolves() {
    let (dns, target) = (dns(), Target::start());
    let mesh = mesh(&dns);
    let before = dns.queries();
    fetch_by_name(&mesh, "inside.corp.example", &target);
    fetch_by_name(&mesh, "INSIDE.Corp.Example", &target);
    assert!(dns.queries() > before, "the exit asked its own server");
}

#[test]
fn other_names_are_resolved_by_an_exit_with_servers_and_matched_against_prefixes() {
    let (dns, target) = (dns(), Target::start());
    let mesh = mesh(&dns);
    fetch_by_name(&mesh, "plain.other.example", &target);
    let port = target.address().port();
    let socks = mesh.socks("ingress");
    assert_eq!(refusal(socks, ("far.other.example", port)), NO_ROUTE);
    assert_eq!(refusal(socks, ("unknown.other.example", port)), NOT_FOUND);
}

#[test]
fn a_name_that_leads_outside_the_routes_is_refused_by_the_exit() {
    let (dns, target) = (dns(), Target::start());
    let mesh = mesh(&dns);
    let port = target.address().port();
    let socks = mesh.socks("ingress");
    assert_eq!(refusal(socks, ("outside.corp.example", port)), NOT_ALLOWED);
    assert_eq!(refusal(socks, ("missing.corp.example", port)), NOT_FOUND);
}

#[test]
fn an_address_written_as_a_name_is_an_address() {
    let (dns, target) = (dns(), Target::start());
    let mesh = mesh(&dns);
    let before = dns.queries();
    fetch_by_name(&mesh, "127.0.0.1", &target);
    let port = target.address().port();
    assert_eq!(refusal(mesh.socks("ingress"), ("10.9.9.9", port)), NO_ROUTE);
    assert_eq!(dns.queries(), before, "nobody was asked");
}

#[test]
fn odd_labels_and_trailing_dots_are_names_like_any_other() {
    let (dns, target) = (dns(), Target::start());
    let mesh = mesh(&dns);
    for name in [
        "_srv._tcp.other.example",
        "-odd.other.example",
        "x-.other.example",
        "_in.corp.example",
        "-in.corp.example",
        "_srv._tcp.other.example.",
        "-in.corp.example.",
    ] {
        fetch_by_name(&mesh, name, &target);
    }
}

#[test]
fn an_explanation_tells_the_address_that_a_name_has() {
    let dns = dns();
    let mesh = mesh(&dns);
    let api = mesh.api_url("ingress");
    for name in [
        "plain.other.example",
        "plain.other.example.",
        "PLAIN.other.example",
        "-odd.other.example",
        "_srv._tcp.other.example.",
    ] {
        let explained = mesh.explain("ingress", name).expect("an answer");
        assert_eq!(explained["resolved"], "127.0.0.1", "{explained}");
        assert_eq!(explained["chosen"]["exit"], mesh.id("exit"), "{explained}");
        let text = warren(&["explain", "--api", &api, "--", name]).success();
        assert!(text.contains(" has the address 127.0.0.1\n"), "{text}");
        let traced = warren(&["trace", "--api", &api, "--", name]).success();
        assert!(traced.contains("leaves the mesh at exit"), "{traced}");
    }
    // The exit of a domain route resolves, and nobody else is asked.
    for name in [
        "inside.corp.example",
        "inside.corp.example.",
        "_in.corp.example.",
    ] {
        let explained = mesh.explain("ingress", name).expect("an answer");
        assert!(explained.get("resolved").is_none(), "{explained}");
        assert_eq!(explained["candidates"][0]["prefix"], "*.corp.example");
        let traced = warren(&["trace", "--api", &api, "--", name]).success();
        assert!(traced.contains("leaves the mesh at exit"), "{traced}");
    }
    let far = mesh
        .explain("ingress", "far.other.example.")
        .expect("an answer");
    assert_eq!(far["resolved"], "10.1.2.3");
    assert!(far["chosen"].is_null(), "{far}");
}

#[test]
fn a_health_check_of_an_odd_name_is_made() {
    let (dns, target) = (dns(), Target::start());
    let port = target.address().port();
    for name in ["_in.corp.example", "-in.corp.example", "-in.corp.example."] {
        let exit = format!(
            "routes: [127.0.0.0/8], dns: {{ servers: ['{}'], timeout: 2s }}, \
             health_checks: [{{ tcp: '{name}:{port}' }}]",
            dns.address()
        );
        let mesh = Mesh::start_all([
            Spec::new("exit").listen().exit(&exit),
            Spec::new("ingress").socks5().peer("exit"),
        ]);
        mesh.await_ready("ingress");
    }
}
