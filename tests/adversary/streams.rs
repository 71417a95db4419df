//! A member that is an ingress and means harm: what it does with sessions and their streams at an exit,
//! and the ingress beside it.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::identity::AgentId;
use warren::wire::{ConnectRequest, ResolveRequest, StreamRequest, Target as Asked};

use crate::churn::Stop;
use crate::member::Member;
use crate::scene::Scene;
use crate::support::traffic::try_fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, http, socks};

/// Asks for a connection.
fn connect(to: &Target) -> StreamRequest {
    StreamRequest::Connect(ConnectRequest {
        target: Asked::Address(to.address()),
    })
}

/// Asks for a name.
fn resolve(name: String) -> StreamRequest {
    StreamRequest::Resolve(ResolveRequest { name, useful: None })
}

fn bad_requests(mesh: &Mesh) -> f64 {
    mesh.metric("exit", "warren_exit_bad_requests_total")
}

#[test]
fn a_session_of_a_member_carries_what_it_asks_for() {
    let scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let session = member.session(scene.id("exit")).expect("it is let in");
    let (_send, mut recv) = session.say(&connect(&scene.target)).expect("a stream");
    assert!(session.answer(&mut recv).is_some());
    eventually("the target is connected", || {
        (scene.target.open() == 2).then_some(())
    });
}

#[test]
fn streams_opened_and_reset_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let session = member.session(scene.id("exit")).expect("it is let in");
    let request = connect(&Target::start());
    scene.under("exit", "connects reset at once", || {
        u64::from(session.say_and_reset(&request))
    });
    assert!(session.is_open());
    eventually("nothing is left of it", || {
        let streams = scene.mesh.get("exit", "/api/streams").json();
        // The innocent echo.
        (streams.as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn streams_that_say_nothing_keep_nobody_out() {
    let mut scene = Scene::with(
        Spec::new("exit").extra("limits: { exit_connections: 64, handshake_timeout: 2s }\n"),
    );
    let member = Member::join(&scene.mesh, "transit", None);
    let session = member.session(scene.id("exit")).expect("it is let in");
    let held = std::sync::Mutex::new(std::collections::VecDeque::new());
    scene.under("exit", "streams that say nothing", || {
        // A frame that has only begun.
        let Ok(stream) = session.say_bytes(&[0]) else {
            return 0;
        };
        let mut held = held.lock().expect("no panic while locked");
        held.push_back(stream);
        if held.len() > 1_000 {
            held.pop_front();
        }
        1
    });
    assert!(bad_requests(&scene.mesh) > 0.0, "they are told apart");
}

/// Sessions that begin at once.
const AT_ONCE: usize = 8;

/// Opens some sessions and gives them up; how many came about.
fn sessions(member: &Member, exit: AgentId) -> u64 {
    thread::scope(|scope| {
        let opening: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(move || u64::from(member.session(exit).is_ok())))
            .collect();
        let opened = opening.into_iter().map(|one| one.join());
        opened.map(|one| one.expect("it only opens")).sum()
    })
}

/// Each handshake costs an exit four signatures, and each session room for its streams.
#[test]
fn sessions_made_anew_without_end_cost_their_sender() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let exit = scene.id("exit");
    let start = Instant::now();
    let seen = scene.under("exit", "sessions made anew", || sessions(&member, exit));
    // A pace for those that proved their address, and one for those that did not.
    let most = 2 * 16 * (start.elapsed().as_secs() + 2);
    assert!(seen.sent <= most, "{} of {most}", seen.sent);
    assert!(seen.memory < 150.0, "{} MB", seen.memory);
}

/// One agent has one session; those that it gave up must not take the places of others.
#[test]
fn sessions_given_up_take_no_place_of_others() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit")
            .listen()
            .exit(LOOPBACK)
            .extra("limits: { sessions: 8 }\n"),
        Spec::new("transit").listen().peer("exit"),
    ]);
    mesh.add(Spec::new("late").socks5().peer("transit"));
    mesh.await_peers("exit", 1);
    let member = Member::join(&mesh, "transit", None);
    let exit: AgentId = mesh.id("exit").parse().expect("an agent id");
    eventually("the way to the exit is open", || member.session(exit).ok());
    let stop = AtomicBool::new(false);
    let target = Target::start();
    thread::scope(|scope| {
        let _end = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                sessions(&member, exit);
            }
        });
        mesh.start("late");
        mesh.await_chosen("late", "127.0.0.1", &["transit", "exit"]);
        let start = Instant::now();
        eventually("its first session comes about", || {
            try_fetch(mesh.socks("late"), target.address()).then_some(())
        });
        println!("a new session beside it: {:?}", start.elapsed());
    });
}

/// Members that have a session and nothing else: they are there, and cost nothing.
#[test]
fn silent_sessions_are_no_burden() {
    let mut scene = Scene::new();
    let members: Vec<Member> = (0..20)
        .map(|_| Member::join(&scene.mesh, "transit", None))
        .collect();
    let exit = scene.id("exit");
    let sessions: Vec<_> = members
        .iter()
        .map(|member| member.session(exit).expect("it is let in"))
        .collect();
    scene.under("exit", "silent sessions", || {
        thread::sleep(Duration::from_millis(50));
        sessions.iter().filter(|session| session.is_open()).count() as u64
    });
    drop(sessions);
    eventually("they are gone", || {
        let sessions = scene.mesh.get("exit", "/api/sessions").json();
        (sessions.as_array()?.len() == 1).then_some(())
    });
}

/// A server of names that never answers questions for `slow…`, and others at once.
struct SlowNames {
    socket: UdpSocket,
}

impl SlowNames {
    fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = socket.try_clone().expect("a socket can be cloned");
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = own.recv_from(&mut query) {
                let query = &query[..length];
                if query.windows(4).any(|name| name == b"slow") {
                    continue;
                }
                // The question alone, then 127.0.0.1 for it, whatever it is; no answer for IPv6.
                let Some(end) = query.get(12..).and_then(|q| q.iter().position(|b| *b == 0)) else {
                    continue;
                };
                let question = &query[12..12 + end + 5];
                let is_v4 = question[question.len() - 3] == 1;
                let mut answer = query[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
                answer.extend(question);
                if is_v4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
                }
                let _ = own.send_to(&answer, from);
            }
        });
        Self { socket }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("a bound socket").port()
    }
}

/// One ingress asks for names that nobody answers, as many as it may; the exit has few descriptors.
#[test]
fn names_that_nobody_answers_starve_no_other_ingress() {
    let names = SlowNames::start();
    let dns = format!("dns: {{ servers: ['127.0.0.1:{}'] }}", names.port());
    let mut mesh = Mesh::start_all([
        Spec::new("exit")
            .listen()
            .exit(&format!("{LOOPBACK}, {dns}"))
            .open_files(1_024),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    let target = Target::start();
    let port = target.address().port();
    let ask = |name: &str| socks::connect(mesh.socks("ingress"), (name, port)).is_ok();
    assert!(ask("quick-0.example"), "before");
    let member = Member::join(&mesh, "transit", None);
    let exit = mesh.id("exit").parse().expect("an agent id");
    let session = member.session(exit).expect("it is let in");
    let held: Vec<_> = (0..1_200)
        .map(|number| session.say(&resolve(format!("slow-{number}.example"))))
        .collect();
    // They are asked again and again for the exit's patience with name servers.
    let start = Instant::now();
    let (mut asked, mut worst) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(4) {
        let before = Instant::now();
        assert!(ask(&format!("quick-{asked}.test")), "{asked}");
        worst = worst.max(before.elapsed());
        let health = http::get(mesh.http("exit"), "/health").expect("the exit answers");
        assert_eq!(health.status, 200);
        asked += 1;
        thread::sleep(Duration::from_millis(20));
    }
    println!("{asked} names beside it, {worst:?} at most");
    assert!(worst < Duration::from_secs(3), "{worst:?}");
    drop(held);
    let log = mesh.process("exit").log();
    assert!(!log.contains("Too many open files"), "descriptors ran out");
    assert!(try_fetch(mesh.socks("ingress"), target.address()));
}
