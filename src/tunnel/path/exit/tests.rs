//! An accepted session's path: probes go in, and what shows is the paths that it wants set.

use proptest::prelude::*;

use super::*;
use crate::tunnel::path::probe::Probe;
use crate::tunnel::testing::{Differing as _, mesh_of};

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(2);
const EXIT: AgentId = AgentId([1; 16]);
const INGRESS: AgentId = AgentId([9; 16]);

struct World {
    path: ExitPath,
    now: Instant,
    traffic: Traffic,
    sequence: u64,
    done: Vec<Output>,
    /// First hops of the ways that are taken.
    active: u64,
    mirror: Option<u64>,
}

impl World {
    /// A session with two ways.
    fn new() -> Self {
        let mut world = Self::with_one_way();
        world.probe(3, false, false);
        world
    }

    /// The same before the ingress has told of another way.
    fn with_one_way() -> Self {
        let now = Instant::now();
        let (timing, view) = (Timing::new(100 * MS), Arc::new(mesh_of(EXIT, &[])));
        let traffic = Traffic {
            rtt: RTT,
            ..Traffic::idle(now)
        };
        let mut path = ExitPath::new(now, INGRESS, asked(1, 2, true, false), timing, view);
        path.handle_traffic(traffic);
        let mut world = Self {
            path,
            now,
            traffic,
            sequence: 1,
            done: Vec::new(),
            active: 0,
            mirror: None,
        };
        world.turn();
        world
    }

    /// A probe arrives over that last hop.
    fn probe(&mut self, hop: u64, active: bool, doubt: bool) {
        self.sequence += 1;
        self.path.handle_traffic(self.traffic);
        let asked = asked(self.sequence, hop, active, doubt);
        self.path.handle_asked(self.now, asked);
        self.turn();
    }

    /// Time passes, in steps as long as the path wants to be waited for.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self.path.poll_timeout(self.now).max(self.now + MS);
            self.now = due.min(end);
            self.path.handle_traffic(self.traffic);
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.path.handle_tick(self.now);
        while let Some(output) = self.path.poll_output() {
            match &output {
                Output::Route { active, mirror } => {
                    self.active = active.hops[0].0;
                    self.mirror = mirror.as_ref().map(|way| way.hops[0].0);
                }
                Output::Forgive => self.traffic.unanswered = None,
                _ => {}
            }
            self.done.push(output);
        }
    }

    /// A packet left whose answer is missed.
    fn miss_packets(&mut self) {
        self.traffic.unanswered = Some(self.now);
        while !self.mirrors() {
            self.pass(MS);
        }
    }

    fn mirrors(&self) -> bool {
        self.mirror.is_some()
    }

    /// What was done since the last call that `is_wanted`.
    fn count(&mut self, is_wanted: impl Fn(&Output) -> bool) -> usize {
        let done = std::mem::take(&mut self.done);
        done.iter().filter(|output| is_wanted(output)).count()
    }
}

fn asked(sequence: u64, hop: u64, active: bool, doubt: bool) -> Asked {
    let flags = Flags {
        active,
        doubt,
        signal: false,
        narrow: false,
    };
    let probe = Probe {
        tag: 0,
        sequence,
        flags,
    };
    let back = vec![ShortId(hop), INGRESS.short()];
    Asked { probe, back }
}

#[test]
fn a_backup_is_remembered_that_is_heard_of_late() {
    let mut world = World::with_one_way();
    world.sequence = 0;
    world.path.seen_active = 2;
    // It left before the active path's.
    world.probe(3, false, false);
    world.miss_packets();
}

#[test]
fn a_doubt_is_shared_until_it_is_taken_back() {
    let mut world = World::new();
    assert!(!world.mirrors());
    world.probe(3, false, true);
    assert!(world.mirrors());
    world.probe(3, false, false);
    assert!(world.mirrors(), "the backup does not speak for the path");
    world.probe(2, true, false);
    assert!(!world.mirrors());
}

#[test]
fn the_ingress_is_told_of_our_doubt_along_the_backup_and_not_of_its_own() {
    let mut world = World::new();
    let is_word = |output: &Output| match output {
        Output::Probe { hops, flags, .. } => hops[0] == ShortId(3) && flags.signal && flags.doubt,
        _ => false,
    };
    world.probe(3, false, true);
    world.pass(100 * MS);
    assert_eq!(world.count(is_word), 0);
    world.probe(2, true, false);
    world.miss_packets();
    world.pass(100 * MS);
    assert!(world.count(is_word) >= 4);
}

#[test]
fn a_probe_that_crossed_our_word_does_not_end_our_doubt() {
    let mut world = World::new();
    // An ingress that does not heed us says so again later.
    world.miss_packets();
    world.pass(RTT + CROSSING);
    world.probe(2, true, false);
    assert!(!world.mirrors());
    // One that heeds us says when the path is sound, be it at once.
    world.miss_packets();
    world.probe(3, false, true);
    world.probe(2, true, false);
    assert!(!world.mirrors());
    // What it said before it heard us says nothing.
    world.miss_packets();
    world.probe(2, true, false);
    assert!(world.mirrors());
    // Its word may still be on its way along a backup that is longer by far.
    world.pass(RTT + 100 * MS);
    world.probe(2, true, false);
    assert!(world.mirrors());
}

#[test]
fn a_lone_path_is_kicked_once_when_it_is_trusted_again() {
    let mut world = World::with_one_way();
    let kick = |output: &Output| *output == Output::Kick;
    world.probe(2, true, true);
    assert_eq!(world.count(kick), 0);
    world.probe(2, true, false);
    assert_eq!(world.count(kick), 1);
    world.probe(2, true, false);
    assert_eq!(world.count(|output| *output == Output::TakeRoom), 1);
}

#[test]
fn a_suspect_link_is_doubted_and_a_link_that_is_down_is_left() {
    let mut world = World::new();
    // What the handshake measured is of whichever path was shorter.
    assert_eq!(world.count(|output| *output == Output::Moved), 1);
    let neighbor = AgentId([2; 16]);
    let first = world.path.active.hops[0];
    assert!(!world.path.view.is_suspect(first));
    world.path.active.hops[0] = neighbor.short();
    let view = mesh_of(EXIT, &[]).suspecting(neighbor, world.now);
    world.path.handle_view(world.now, Arc::new(view), |_| true);
    world.turn();
    assert!(world.mirrors());
    let view = Arc::new(mesh_of(EXIT, &[]));
    let lost = neighbor.short();
    world.path.handle_view(world.now, view, |hop| hop != lost);
    world.turn();
    assert_eq!((world.active, world.mirror), (3, None));
    assert_eq!(world.count(|output| *output == Output::Moved), 1);
}

#[test]
fn who_doubts_all_the_time_is_heeded_for_a_while_only() {
    let mut world = World::new();
    let mut mirrored = 0;
    for step in 0..1_000_u32 {
        world.probe(3, false, true);
        world.pass(20 * MS);
        mirrored += u32::from(world.mirrors());
        assert!(step > 400 || world.mirrors(), "step {step}");
    }
    assert!(
        mirrored < 600,
        "mirrored for {} ms of 20,000",
        mirrored * 20
    );
}

/// Milliseconds of 20 s for which an exit mirrors whose doubt the ingress does not end, though the
/// path carries packets.
fn mirrored_for_a_peer(that_doubts: bool) -> u32 {
    let mut world = World::new();
    world.miss_packets();
    let mut mirrored = 0;
    for _ in 0..1_000 {
        (world.traffic.proved, world.traffic.arrived) = (world.now, Some(world.now));
        if that_doubts {
            world.probe(2, true, true);
        }
        world.pass(20 * MS);
        mirrored += u32::from(world.mirrors());
    }
    mirrored * 20
}

#[test]
fn a_peer_that_is_silent_about_a_sound_path_is_mirrored_for_a_while_only() {
    let mirrored = mirrored_for_a_peer(false);
    assert!(mirrored < 12_000, "mirrored for {mirrored} ms of 20,000");
}

#[test]
fn a_peer_that_doubts_a_sound_path_that_we_doubted_is_mirrored_for_a_while_only() {
    let mirrored = mirrored_for_a_peer(true);
    assert!(mirrored < 12_000, "mirrored for {mirrored} ms of 20,000");
}

#[test]
fn an_own_doubt_of_a_silent_path_costs_nothing() {
    let mut world = World::new();
    world.miss_packets();
    for _ in 0..100 {
        // What came along the other path proves nothing.
        world.traffic.arrived = Some(world.now);
        world.pass(200 * MS);
        assert!(world.mirrors());
    }
    world.probe(2, true, false);
    assert!(!world.mirrors());
}

#[test]
fn who_moves_all_the_time_is_followed_and_recorded_for_a_while_only() {
    let mut world = World::new();
    for step in 1..=200 {
        world.probe(2 + step % 2, true, false);
        assert_eq!(world.active, 2 + step % 2);
        world.pass(MS);
    }
    let recorded = world.count(|output| matches!(output, Output::Record(_)));
    assert!((40..=60).contains(&recorded), "{recorded} of 200 moves");
}

/// What may happen to a session, and how many milliseconds later.
fn histories() -> impl Strategy<Value = Vec<(u32, u8)>> {
    proptest::collection::vec((1_u32..400, 0_u8..9), 0..80)
}

proptest! {
    /// Whatever happens: a turn wants few things, the next one is not due at once for ever, and packets
    /// are mirrored only in a doubt, along another way.
    #[test]
    fn no_history_makes_a_session_spin_or_mirror_a_trusted_path(history in histories()) {
        let mut world = World::new();
        for (pause, what) in history {
            world.pass(pause * MS);
            world.done.clear();
            match what {
                0 | 1 => world.probe(2, true, what == 1),
                2 | 3 => world.probe(3, false, what == 3),
                4 => world.probe(3, true, false),
                5 => world.traffic.unanswered = Some(world.now),
                6 => (world.traffic.unanswered, world.traffic.proved) = (None, world.now),
                _ => {
                    let view = Arc::new(mesh_of(EXIT, &[]));
                    world.path.handle_view(world.now, view, |hop| hop == ShortId(3) || what == 7);
                }
            }
            world.path.handle_traffic(world.traffic);
            world.turn();
            world.turn();
            prop_assert!(world.done.len() < 30, "{:?}", world.done);
            prop_assert!(world.path.poll_timeout(world.now) > world.now);
            prop_assert!(world.mirror.is_none_or(|mirror| mirror != world.active));
            prop_assert!(world.path.state != State::Trusted || !world.mirrors());
        }
    }
}
