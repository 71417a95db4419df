//! An exit that lies about names. Its certificate is good for one small prefix, and it sits nearer
//! than the exit that may resolve.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use crate::support::dns::Dns;
use crate::support::socks::{self, Address, refusal};
use crate::support::{Mesh, Spec};

const LIARS: Ipv4Addr = Ipv4Addr::new(127, 66, 0, 1);
const NO_ROUTE: u8 = 0x03;

/// Says who it is to everyone, on one port of both addresses.
fn servers() -> u16 {
    let honest = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = honest.local_addr().expect("a bound port").port();
    let lying = TcpListener::bind((LIARS, port)).expect("a free port");
    for (listener, name) in [(honest, "bank"), (lying, "liar")] {
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(name.as_bytes());
            }
        });
    }
    port
}

fn who(ingress: SocketAddr, name: &str, port: u16) -> String {
    let mut stream = socks::connect(ingress, Address::from((name, port)))
        .unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("a clean end");
    said
}

fn exit(routes: &str, dns: &Dns) -> String {
    let server = dns.address();
    format!("routes: [{routes}], dns: {{ servers: ['{server}'], timeout: 2s }}")
}

/// The ingress's neighbours are the liar, and a transit before the honest exit.
fn mesh(lies: &Dns, truth: &Dns, ingress: &str) -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("liar")
            .listen()
            .exit(&exit("127.66.0.0/16", lies))
            .grants(&["--route", "127.66.0.0/16"]),
        Spec::new("exit")
            .listen()
            .exit(&exit("127.0.0.1/32", truth))
            .grants(&["--route", "127.0.0.1/32", "--resolve", "*.example"]),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress")
            .socks5_with(ingress)
            .peer("transit")
            .peer("liar"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    mesh.await_chosen("ingress", "127.66.0.1", &["liar"]);
    mesh
}

#[test]
fn an_exit_answers_for_no_name_that_it_may_not_resolve() {
    let lies = Dns::start(&[("bank.example", LIARS), ("other.test", LIARS)]);
    let truth = Dns::start(&[("bank.example", Ipv4Addr::LOCALHOST)]);
    let port = servers();
    let mesh = mesh(&lies, &truth, "");
    let ingress = mesh.socks("ingress");
    assert_eq!(who(ingress, "bank.example", port), "bank");
    // Nobody may say where this is.
    assert_eq!(refusal(ingress, ("other.test", port)), NO_ROUTE);
    assert_eq!(lies.queries(), 0, "it was not even asked");
}

#[test]
fn an_ingress_may_name_its_resolvers_itself() {
    let lies = Dns::start(&[("bank.example", LIARS)]);
    let truth = Dns::start(&[("bank.example", Ipv4Addr::LOCALHOST)]);
    let port = servers();
    // An id that is nobody's: then nobody is asked.
    let nobody = "resolvers: ['00112233445566778899aabbccddeeff']";
    let mesh = mesh(&lies, &truth, nobody);
    assert_eq!(
        refusal(mesh.socks("ingress"), ("bank.example", port)),
        NO_ROUTE
    );
    assert_eq!((lies.queries(), truth.queries()), (0, 0));
}
