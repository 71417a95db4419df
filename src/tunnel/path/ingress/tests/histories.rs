//! Whatever happens to a session, in any order.

use proptest::prelude::*;

use super::*;

/// What may happen to a session, and how many milliseconds later.
fn histories() -> impl Strategy<Value = Vec<(u32, u8)>> {
    proptest::collection::vec((0_u32..400, 0_u8..16), 0..80)
}

proptest! {
    /// Whatever happens: a turn wants few things, the next one is not due at once for ever, packets are
    /// mirrored only in a doubt, and whoever moves a session records it.
    #[test]
    fn no_history_makes_a_session_spin_or_move_unseen(history in histories()) {
        let mut world = World::new(2);
        for (pause, what) in history {
            let (before, had_path) = (world.path.info(), world.path.state.pathless().is_none());
            world.done();
            let answered = |probe: &Left| match what {
                0..=3 => true,
                4 => probe.transit == 1,
                5 => !probe.full,
                _ => false,
            };
            world.pass(pause * MS, answered);
            match what {
                6 => world.traffic.unanswered = Some(world.now),
                7 => (world.traffic.unanswered, world.traffic.proved) = (None, world.now),
                8 => world.path.handle_answer(world.now, &Answer::PeerDoubts),
                9 => world.is_refused(),
                10 => world.see(mesh(&TRANSITS).suspecting(TRANSITS[0], world.now)),
                11 => world.see(mesh(&TRANSITS[..1])),
                12 => world.see(mesh(&[])),
                13 => world.path.handle_view(world.now, Arc::new(mesh(&TRANSITS)), |_| false),
                _ => world.see(mesh(&TRANSITS)),
            }
            world.turn();
            world.turn();
            let done = world.done();
            prop_assert!(done.len() < 60, "{done:?}");
            if done.iter().any(|output| matches!(output, Output::Close(_))) {
                break;
            }
            prop_assert!(world.path.poll_timeout() > world.now, "{:?}", world.path.state);
            prop_assert!(world.doubts() || !world.mirrors());
            let hops = |info: Option<SessionInfo>| info.map(|info| info.path.hops);
            let (was, is) = (hops(before), hops(world.path.info()));
            let records = done.iter().filter(|it| matches!(it, Output::Record(_))).count();
            prop_assert!(records > 0 || was == is || !had_path || is.is_none());
        }
    }
}
