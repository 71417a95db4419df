//! An opened session's path: the test says which of its probes are answered.

mod histories;

use super::*;
use crate::record::Side;
use crate::routing::Avoid;
use crate::tunnel::testing::{Differing as _, mesh_of};

const MS: Duration = Duration::from_millis(1);
const OWN: AgentId = AgentId([1; 16]);
const EXIT: AgentId = AgentId([9; 16]);

/// The first of them leads to the exit at the least cost.
const TRANSITS: [AgentId; 2] = [AgentId([2; 16]), AgentId([3; 16])];

struct World {
    path: IngressPath,
    now: Instant,
    traffic: Traffic,
    done: Vec<Output>,
}

/// A probe that left.
struct Left {
    /// Index of the transit that it left for.
    transit: usize,
    sequence: u64,
    full: bool,
    /// It says that packets pass only in halves.
    narrow: bool,
}

fn mesh(transits: &[AgentId]) -> Mesh {
    let links: Vec<_> = (1..)
        .zip(transits)
        .flat_map(|(cost, &transit)| [(OWN, transit, cost), (transit, EXIT, cost)])
        .collect();
    mesh_of(OWN, &links)
}

impl World {
    /// A session that settled on the first of so many paths.
    fn new(paths: usize) -> Self {
        let mut world = Self::unanswered(paths);
        world.answer(|_| true);
        assert_eq!(world.first_hop(), TRANSITS[0]);
        world
    }

    /// The same before the first probes are answered.
    fn unanswered(paths: usize) -> Self {
        let now = Instant::now();
        let view = Arc::new(mesh(&TRANSITS[..paths]));
        let timing = Timing::new(100 * MS);
        let mut world = Self {
            path: IngressPath::new(now, (EXIT, None), 1_200, timing, view.clone()),
            now,
            traffic: Traffic::idle(now),
            done: Vec::new(),
        };
        world.path.handle_view(now, view, |_| true);
        world.turn();
        world
    }

    fn turn(&mut self) {
        self.path.handle_tick(self.now);
        self.done
            .extend(std::iter::from_fn(|| self.path.poll_output()));
        if self.done.contains(&Output::Forgive) {
            self.traffic.unanswered = None;
        }
    }

    /// Time passes; the probes that left meanwhile are answered if `answered` says so.
    fn pass(&mut self, time: Duration, answered: impl Fn(&Left) -> bool) {
        self.now += time;
        self.path.handle_traffic(self.traffic);
        self.turn();
        self.answer(answered);
    }

    fn answer(&mut self, answered: impl Fn(&Left) -> bool) {
        for probe in self.left().into_iter().filter(answered) {
            let answer = Answer::Reply(probe.sequence);
            self.path.handle_answer(self.now, &answer);
        }
        self.turn();
    }

    /// What was done since the last call, probes aside.
    fn done(&mut self) -> Vec<Output> {
        let is_probe = |output: &Output| matches!(output, Output::Probe { .. });
        let (probes, done) = self.done.drain(..).partition(is_probe);
        self.done = probes;
        done
    }

    /// The probes that left since the last call.
    fn left(&mut self) -> Vec<Left> {
        let probe = |output: &Output| match output {
            Output::Probe {
                hops,
                sequence,
                flags,
                size,
            } => Some(Left {
                transit: TRANSITS.iter().position(|it| it.short() == hops[0])?,
                sequence: *sequence,
                narrow: flags.narrow,
                full: *size >= 1_200,
            }),
            _ => None,
        };
        let left = self.done.iter().filter_map(probe).collect();
        self.done
            .retain(|output| !matches!(output, Output::Probe { .. }));
        left
    }

    fn see(&mut self, view: Mesh) {
        self.path.handle_view(self.now, Arc::new(view), |_| true);
        self.turn();
    }

    fn first_hop(&self) -> AgentId {
        self.path.choice.active().unwrap().first_hop()
    }

    fn mirrors(&self) -> bool {
        self.path.mirror().is_some()
    }

    fn doubts(&self) -> bool {
        self.path.state.doubted().is_some()
    }

    fn is_refused(&mut self) {
        let error = PathError {
            reporter: TRANSITS[0],
            next_hop: EXIT.short(),
            destination: EXIT.short(),
            back: Vec::new(),
        };
        self.path.handle_path_error(self.now, TRANSITS[0], &error);
        self.turn();
    }

    /// Packets left along the path and are not answered.
    fn miss_packets(&mut self) {
        self.traffic.unanswered = Some(self.now);
        while !self.doubts() {
            self.pass(10 * MS, |_| false);
        }
        self.traffic.unanswered = None;
    }
}

#[test]
fn a_session_probes_both_paths_at_once_and_is_not_kicked_on_its_first() {
    let mut world = World::unanswered(2);
    let transits: Vec<usize> = world.left().iter().map(|probe| probe.transit).collect();
    assert_eq!(transits, [0, 1]);
    let done = world.done();
    assert!(!done.contains(&Output::Kick));
    // What the handshake measured is of whichever path was shorter.
    assert_eq!(done.iter().filter(|it| **it == Output::Moved).count(), 1);
    assert!(!done.iter().any(|it| matches!(it, Output::Record(_))));
}

#[test]
fn a_path_error_is_blamed_on_the_link_that_it_names_and_on_no_agent() {
    let mut world = World::new(2);
    let begun = world.now;
    world.is_refused();
    while world.first_hop() == TRANSITS[0] {
        assert!(world.now < begun + 200 * MS, "still there");
        world.pass(10 * MS, |probe| probe.transit == 1);
    }
    let blamed = Output::Blame(Avoid::reported(TRANSITS[0], EXIT));
    let done = world.done();
    assert!(done.contains(&blamed));
    let blames = done.iter().filter(|it| matches!(it, Output::Blame(_)));
    assert_eq!(blames.count(), 1);
}

#[test]
fn a_path_that_passes_short_packets_only_is_left_whatever_transits_say() {
    let mut world = World::new(2);
    let begun = world.now;
    while world.first_hop() == TRANSITS[0] {
        world.is_refused();
        world.pass(10 * MS, |probe| probe.transit == 1 || !probe.full);
        let moved = world.first_hop() != TRANSITS[0];
        let age = world.now - begun;
        assert!(moved || world.mirrors(), "trusted after {age:?}");
        assert!(age < Duration::from_secs(1), "still there");
    }
}

#[test]
fn a_lone_path_that_passes_short_packets_only_takes_them_in_halves_until_it_is_wide() {
    let mut world = World::new(1);
    let begun = world.now;
    let said = std::cell::Cell::new(false);
    let passes = |probe: &Left| {
        said.set(said.get() || probe.narrow);
        !probe.full
    };
    while world.path.narrow.is_none() {
        assert!(world.now < begun + Duration::from_secs(1), "not found");
        world.pass(10 * MS, passes);
    }
    for _ in 0..50 {
        world.pass(20 * MS, passes);
    }
    assert!(said.get(), "the exit must answer in halves, too");
    assert!(!world.doubts(), "it carries");
    assert!(world.path.narrow.is_some());
    let grown = world.now;
    while world.path.narrow.is_some() {
        assert!(
            world.now < grown + Duration::from_secs(3),
            "narrow for ever"
        );
        world.pass(20 * MS, |_| true);
    }
    said.set(false);
    for _ in 0..50 {
        world.pass(20 * MS, |probe| {
            passes(probe);
            true
        });
    }
    assert!(!said.get());
}

#[test]
fn a_lone_path_is_kicked_once_when_it_is_trusted_again() {
    let mut world = World::new(1);
    world.miss_packets();
    for _ in 0..50 {
        world.pass(20 * MS, |_| false);
        assert!(world.doubts());
    }
    let rooms = |done: Vec<Output>| -> Vec<Output> {
        let is_room = |it: &Output| matches!(it, Output::Kick | Output::TakeRoom);
        done.into_iter().filter(is_room).collect()
    };
    let done = rooms(world.done());
    assert!(!done.contains(&Output::Kick));
    while world.doubts() {
        world.pass(20 * MS, |_| true);
    }
    assert_eq!(rooms(world.done()).last(), Some(&Output::Kick));
    for _ in 0..20 {
        world.pass(20 * MS, |_| true);
    }
    let rest = rooms(world.done());
    assert_eq!(rest.first(), Some(&Output::TakeRoom));
    assert!(!rest.contains(&Output::Kick));
}

#[test]
fn a_doubted_path_is_mirrored_kicked_and_left_when_only_the_backup_answers() {
    let mut world = World::new(2);
    world.miss_packets();
    let begun = world.now;
    assert!(world.mirrors());
    world.done();
    while world.first_hop() == TRANSITS[0] {
        assert!(world.now < begun + 700 * MS, "still there");
        world.pass(10 * MS, |probe| probe.transit == 1);
    }
    assert!(world.now >= begun + 600 * MS, "the verdict takes its time");
    let done = world.done();
    assert!(done.iter().filter(|it| **it == Output::Kick).count() > 5);
    let record = done.iter().find_map(|output| match output {
        Output::Record(failover) => Some(failover),
        _ => None,
    });
    let failover = record.unwrap();
    assert_eq!((failover.peer, failover.side), (EXIT, Side::Ingress));
    assert_eq!(failover.from, [TRANSITS[0], EXIT]);
    assert_eq!(failover.to, [TRANSITS[1], EXIT]);
}

#[test]
fn a_suspect_link_is_mirrored_until_it_is_heard_whatever_probes_say() {
    let mut world = World::new(2);
    let heard = world.now;
    world.see(mesh(&TRANSITS).suspecting(TRANSITS[0], heard));
    assert!(world.mirrors());
    let begun = world.path.state.doubted();
    for _ in 0..10 {
        world.pass(20 * MS, |_| true);
        assert!(world.mirrors(), "answers do not clear it");
    }
    // Told once more, nothing changes.
    world.see(mesh(&TRANSITS).suspecting(TRANSITS[0], heard));
    assert_eq!(world.path.state.doubted(), begun);
    world.see(mesh(&TRANSITS));
    assert!(!world.mirrors());
}

#[test]
fn a_link_that_is_down_is_left_at_once() {
    let mut world = World::new(2);
    world.done();
    let lost = TRANSITS[0].short();
    let view = Arc::new(mesh(&TRANSITS));
    world.path.handle_view(world.now, view, |hop| hop != lost);
    world.turn();
    assert_eq!(world.first_hop(), TRANSITS[1]);
    let done = world.done();
    let moved = done.iter().position(|it| *it == Output::Moved).unwrap();
    assert_eq!(done[moved + 1], Output::Kick);
    assert!(matches!(done[moved - 1], Output::Route { .. }));
}

#[test]
fn a_session_without_a_path_ends_and_one_whose_exit_restarted_does_at_once() {
    let mut world = World::new(1);
    world.done();
    world.see(mesh(&[]));
    assert!(world.path.info().is_none());
    let due = world.path.given_up_at().unwrap();
    world.pass(due - world.now - MS, |_| false);
    let closed = |world: &mut World| {
        let mut done = world.done().into_iter();
        done.any(|it| matches!(it, Output::Close(_)))
    };
    assert!(!closed(&mut world));
    world.pass(MS, |_| false);
    assert!(closed(&mut world));

    let mut world = World::new(1);
    world.see(mesh(&TRANSITS[..1]).of_process(7));
    assert!(world.done().contains(&Output::Close("the exit restarted")));
}

#[test]
fn the_exits_doubt_is_heeded_for_a_tenth_of_the_time() {
    let mut world = World::new(2);
    let (mut mirrored, steps) = (0, 3_000);
    for _ in 0..steps {
        world.path.handle_answer(world.now, &Answer::PeerDoubts);
        world.turn();
        mirrored += u32::from(world.mirrors());
        world.pass(20 * MS, |_| true);
        world.done();
    }
    assert!((1..steps / 2).contains(&mirrored), "{mirrored} of {steps}");
}
