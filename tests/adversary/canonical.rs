//! One address in many forms, at every door: taken as what it is, or refused. A second form behind
//! a door passes every fence that compares the first: an IPv4-mapped prefix was inside a grant of
//! `::/0`, and the mesh sent its owner IPv4 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ipnet::IpNet;
use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, duplex};
use warren::api::Dest;
use warren::config::{Config, HealthTarget};
use warren::identity::{AgentId, Grants, parse_prefix};
use warren::ingress::handshake;
use warren::wire::{
    Advertisement, ConnectRequest, ResolveReply, RouteAdv, RoutePrefix, Stamp, StreamRequest,
    Target,
};

/// A door, and what becomes of a text there: `None` if it is refused, else what it is taken as.
type Door = (&'static str, fn(&str) -> Option<String>);

const PREFIX_DOORS: &[Door] = &[
    ("advertisement", |text| advertised(text.parse().ok()?)),
    ("grant", |text| {
        let grants = Grants::from_uris([format!("warren:route:{text}").as_str()]);
        Some(grants.ok()??.prefixes.first()?.to_string())
    }),
    ("cert --route", |text| {
        parse_prefix(text).ok().map(|prefix| prefix.to_string())
    }),
    ("exit.routes", |text| {
        let exit = config(&format!("exit: {{ enabled: true, routes: ['{text}'] }}"))?.exit?;
        Some(exit.routes.first()?.to_string())
    }),
    ("exit.allow_special", |text| {
        let rest = format!("enabled: true, routes: [0.0.0.0/0], allow_special: ['{text}']");
        let exit = config(&format!("exit: {{ {rest} }}"))?.exit?;
        Some(exit.allow_special.first()?.to_string())
    }),
];

const ADDRESS_DOORS: &[Door] = &[
    ("socks address", |text| {
        let (kind, bytes) = octets(text.parse().ok()?);
        socks([&[kind][..], &bytes].concat())
    }),
    ("socks name", |text| {
        let length = u8::try_from(text.len()).ok()?;
        socks([&[3, length][..], text.as_bytes()].concat())
    }),
    ("explain and trace", |text| match text.parse().ok()? {
        Dest::Ip(ip) => Some(ip.to_string()),
        Dest::Name(name) => Some(format!("name {name}")),
    }),
    ("connect request", |text| {
        let target = Target::Address(SocketAddr::from((PLACE, 80)));
        let request = StreamRequest::Connect(ConnectRequest { target });
        match received(&request, text)? {
            StreamRequest::Connect(ConnectRequest {
                target: Target::Address(at),
            }) => Some(at.ip().to_string()),
            other => panic!("{other:?}"),
        }
    }),
    ("resolve reply", |text| {
        let reply = ResolveReply {
            addresses: vec![PLACE.into()],
            error: None,
            more: None,
        };
        let reply: ResolveReply = received(&reply, text)?;
        Some(reply.addresses.first()?.to_string())
    }),
    ("listeners", |text| {
        let listeners = format!("listeners: [{{ address: '{}' }}]", at(text));
        let config = config(&listeners)?;
        Some(config.listeners.first()?.address.ip().to_string())
    }),
    ("socks5.address", |text| {
        let socks5 = format!("socks5: {{ enabled: true, address: '{}' }}", at(text));
        Some(config(&socks5)?.socks5?.address.ip().to_string())
    }),
    ("http.address", |text| {
        let http = format!("http: {{ address: '{}' }}", at(text));
        Some(config(&http)?.http?.address.ip().to_string())
    }),
    ("peers", |text| {
        let id = "00112233445566778899aabbccddeeff";
        let peers = format!("peers: [{{ id: {id}, address: '{}' }}]", at(text));
        Some(config(&peers)?.peers.first()?.address.host.clone())
    }),
    ("exit.dns.servers", |text| {
        let exit = exit(&format!("dns: {{ servers: ['{}'] }}", at(text)))?;
        Some(exit.dns.servers.first()?.ip().to_string())
    }),
    ("exit.dns.servers, bare", |text| {
        let exit = exit(&format!("dns: {{ servers: ['{text}'] }}"))?;
        Some(exit.dns.servers.first()?.ip().to_string())
    }),
    ("health check, tcp", |text| {
        checked(&format!("tcp: '{}'", at(text)))
    }),
    ("health check, http", |text| {
        checked(&format!("http: 'http://{}/'", at(text)))
    }),
];

/// A place for 16 bytes in an encoded message.
const PLACE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6);

fn octets(ip: IpAddr) -> (u8, Vec<u8>) {
    match ip {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (4, v6.octets().to_vec()),
    }
}

/// `host:port`.
fn at(text: &str) -> String {
    match text.contains(':') {
        true => format!("[{text}]:4433"),
        false => format!("{text}:4433"),
    }
}

fn config(text: &str) -> Option<Config> {
    let listeners = match text.contains("listeners") {
        true => "",
        false => "listeners: [{ address: '127.0.0.1:0' }]\n",
    };
    let text = format!("{listeners}{text}\n");
    Config::parse(&text, "doors.yaml", Path::new("/"), &|_: &str| None).ok()
}

fn exit(more: &str) -> Option<warren::config::Exit> {
    config(&format!(
        "exit: {{ enabled: true, routes: [10.0.0.0/8], {more} }}"
    ))?
    .exit
}

fn checked(target: &str) -> Option<String> {
    let exit = exit(&format!("health_checks: [{{ {target} }}]"))?;
    match &exit.health_checks.first()?.target {
        HealthTarget::Tcp(host) | HealthTarget::Http { host, .. } => Some(host.host.clone()),
    }
}

/// What a client's request is taken as.
fn socks(address: Vec<u8>) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers");
    runtime.block_on(async {
        let (mut client, mut server) = duplex(1_024);
        let sent = [&[5, 1, 0, 5, 1, 0][..], &address, &[0, 80]].concat();
        client.write_all(&sent).await.expect("room for it");
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let asked = handshake(&mut server, None, client).await;
        Some(match asked.ok()?.target {
            Target::Address(at) => at.ip().to_string(),
            Target::Domain(name, _) => format!("name {name}"),
        })
    })
}

/// `message` as it comes from somebody who wrote the address in this form into it.
fn received<T>(message: &T, text: &str) -> Option<T>
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let (_, bytes) = octets(text.parse().ok()?);
    let mut body = minicbor::to_vec(message).expect("it is encoded in memory");
    let place = body.windows(17).position(|at| at[1..] == PLACE.octets());
    let place = place.expect("the address is in it");
    let coded = [&[0x40 | bytes.len() as u8][..], &bytes].concat();
    body.splice(place..place + 17, coded);
    minicbor::decode(&body).ok()
}

fn advertised(prefix: IpNet) -> Option<String> {
    let adv = RouteAdv {
        stamp: Stamp {
            origin: AgentId::from_spki(b"liar"),
            certificate_hash: [0; 32],
            epoch: 1,
            sequence: 1,
            issued_at_ms: 0,
            lifetime_ms: 1,
            max_hops: 1,
            incarnation: 1,
            answers: 0,
        },
        fragment: 0,
        fragments: 1,
        prefixes: vec![RoutePrefix { prefix, metric: 0 }],
        domains: Vec::new(),
        resolves: false,
        load: 0,
        pool: String::new(),
    };
    match Advertisement::decode(&Advertisement::Route(adv).encode()).ok()? {
        Advertisement::Route(route) => Some(route.prefixes.first()?.prefix.to_string()),
        Advertisement::Link(link) => panic!("{link:?}"),
    }
}

fn mapped(ip: Ipv4Addr) -> [String; 3] {
    let v6 = ip.to_ipv6_mapped();
    let [.., high, low] = v6.segments();
    [
        v6.to_string(),
        format!("::FFFF:{high:x}:{low:x}"),
        format!("0:0:0:0:0:ffff:{ip}"),
    ]
}

/// Forms of the IPv4 prefix `net` that are not its own.
fn odd_prefixes(net: ipnet::Ipv4Net, host: u32) -> Vec<String> {
    let length = net.prefix_len();
    let host = Ipv4Addr::from(u32::from(net.addr()) | host & !u32::from(net.netmask()));
    let mut odd: Vec<String> = mapped(net.addr())
        .map(|text| format!("{text}/{}", length + 96))
        .to_vec();
    odd.push(format!("{}/0{length}", net.addr()));
    odd.push(format!("{}/+{length}", net.addr()));
    if host != net.addr() {
        odd.push(format!("{host}/{length}"));
        odd.push(format!("{}/{}", host.to_ipv6_mapped(), length + 96));
    }
    odd
}

/// Forms of an IPv4 address that are not its own; some are what only other programs read as it.
fn odd_addresses(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let mut odd = mapped(ip).to_vec();
    odd.extend([
        u32::from(ip).to_string(),
        format!("{:#x}", u32::from(ip)),
        format!("{a}.{}", u32::from(ip) & 0xff_ffff),
        format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
        format!("{a:#x}.{b}.{c}.{d:#x}"),
        format!("0{a:o}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.00{d}"),
        format!("{ip}."),
    ]);
    odd
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn a_prefix_has_one_form_behind_every_door(
        address: u32, host: u32, length in 0_u8..=32,
    ) {
        let net = ipnet::Ipv4Net::new(address.into(), length).expect("32 bits at most").trunc();
        for (door, enter) in PREFIX_DOORS {
            prop_assert_eq!(enter(&net.to_string()), Some(net.to_string()), "{}", door);
            for odd in odd_prefixes(net, host) {
                let taken = enter(&odd);
                prop_assert!(
                    taken.is_none() || taken == Some(net.to_string()),
                    "{}: {} is taken as {:?}", door, odd, taken
                );
            }
        }
        let mapped = odd_prefixes(net, host).swap_remove(0);
        prop_assert_eq!(advertised(mapped.parse().expect("a prefix")), None);
    }

    #[test]
    fn an_address_has_one_form_behind_every_door(address in 1_u32..) {
        let ip = Ipv4Addr::from(address);
        for (door, enter) in ADDRESS_DOORS {
            prop_assert_eq!(enter(&ip.to_string()), Some(ip.to_string()), "{}", door);
            for odd in odd_addresses(ip) {
                let taken = enter(&odd);
                prop_assert!(
                    taken.is_none() || taken == Some(ip.to_string()),
                    "{}: {} is taken as {:?}", door, odd, taken
                );
            }
        }
    }

    #[test]
    fn ipv6_stays_ipv6(address: u128, length in 0_u8..=128) {
        let ip = Ipv6Addr::from(address);
        prop_assume!(ip.to_ipv4_mapped().is_none());
        for (door, enter) in ADDRESS_DOORS {
            prop_assert_eq!(enter(&ip.to_string()), Some(ip.to_string()), "{}", door);
        }
        let net = ipnet::Ipv6Net::new(ip, length).expect("128 bits at most").trunc();
        for (door, enter) in PREFIX_DOORS {
            prop_assert_eq!(enter(&net.to_string()), Some(net.to_string()), "{}", door);
        }
    }
}
