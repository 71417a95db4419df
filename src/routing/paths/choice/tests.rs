use proptest::prelude::*;

use super::*;
use crate::routing::Avoid;
use crate::routing::fixture::{Mesh, agent, numbers};

mod widths;

fn path(hops: &[u32], cost: u32) -> Path {
    Path {
        hops: hops.iter().map(|&hop| agent(hop)).collect(),
        cost,
        rtt_us: 0,
        mtu: 0,
    }
}

fn active() -> Path {
    path(&[1, 9], 10)
}

fn better() -> Path {
    path(&[2, 9], 5)
}

fn backup() -> Path {
    path(&[3, 9], 12)
}

fn on(active: Path, mood: Mood) -> State {
    State::On { active, mood }
}

fn tempted(since: Instant) -> Mood {
    let better = better();
    Mood::Tempted { better, since }
}

/// Runs one input at `start + after` from `state`, with a backup: the state after, and where and
/// why the session moved.
fn transition(
    start: Instant,
    state: State,
    after: Duration,
    input: Input,
) -> (State, Option<(Option<Path>, SwitchCause)>) {
    let mut choice = PathChoice::new(agent(9), 1_200);
    choice.state = state;
    choice.backup = Some(backup());
    choice.step(start + after, input);
    let moved = choice.poll_event().map(|event| (event.to, event.cause));
    assert_eq!(choice.poll_event(), None, "at most one move a step");
    (choice.state, moved)
}

/// What a step leads to.
#[derive(Clone, Copy)]
enum Then {
    Stays,
    /// Without a path.
    Loses(SwitchCause),
    ToBetter(SwitchCause),
    ToBackup(SwitchCause),
    Settles,
    /// By the better path of the input, from now on.
    IsTempted,
}

/// One row per input, `after` so long: what becomes of Lost, Settled and Tempted (since the start).
fn rows() -> Vec<(Duration, Input, [Then; 3])> {
    use SwitchCause::*;
    use Then::*;

    let (early, late) = (Duration::from_secs(9), TAKEOVER_AFTER);
    let alive = |better: Option<Path>| Input::Alive {
        active: active(),
        better,
    };
    let other = path(&[4, 9], 5);
    let gone = Loses(PathGone);
    let found = ToBetter(PathGone);
    let leaves = ToBetter(Draining);
    let (down, failed) = (ToBackup(LinkDown), ToBackup(PathError));
    let silent = ToBackup(Unanswered);
    #[rustfmt::skip]
    let rows = vec![
        (early, Input::Gone(None),               [Stays, gone, gone]),
        (early, Input::Gone(Some(better())),     [ToBetter(Found), found, found]),
        (early, Input::Draining(better()),       [Stays, leaves, leaves]),
        (early, alive(None),                     [Stays, Stays, Settles]),
        (early, alive(Some(better())),           [Stays, IsTempted, Stays]),
        (late,  alive(Some(better())),           [Stays, IsTempted, ToBetter(Better)]),
        (late,  alive(Some(other)),              [Stays, IsTempted, IsTempted]),
        (early, Input::LinkDown(agent(1)),       [Stays, down, down]),
        (early, Input::LinkDown(agent(2)),       [Stays, Stays, Settles]),
        (early, Input::LinkDown(agent(7)),       [Stays, Stays, Stays]),
        (early, Input::PathFailed(PathError),    [Stays, failed, failed]),
        (early, Input::PathFailed(Unanswered),   [Stays, silent, silent]),
        (early, Input::Doubt,                    [Stays, Stays, Settles]),
        (early, Input::Tick,                     [Stays, Stays, Stays]),
        (late,  Input::Tick,                     [Stays, Stays, ToBetter(Better)]),
    ];
    rows
}

#[test]
fn the_whole_transition_table() {
    let start = Instant::now();
    let to = |path: Path, cause| (on(path.clone(), Mood::Settled), Some((Some(path), cause)));
    for (after, input, row) in rows() {
        let states = [
            State::Lost,
            on(active(), Mood::Settled),
            on(active(), tempted(start)),
        ];
        for (state, then) in states.into_iter().zip(row) {
            let name = format!("{state:?} on {input:?} after {after:?}");
            let expected = match (then, &input) {
                (Then::Stays, _) => (state.clone(), None),
                (Then::Loses(cause), _) => (State::Lost, Some((None, cause))),
                (Then::ToBetter(cause), _) => to(better(), cause),
                (Then::ToBackup(cause), _) => to(backup(), cause),
                (Then::Settles, _) => (on(active(), Mood::Settled), None),
                (Then::IsTempted, Input::Alive { better, .. }) => {
                    let (better, since) = (better.clone().unwrap(), start + after);
                    (on(active(), Mood::Tempted { better, since }), None)
                }
                (Then::IsTempted, other) => panic!("{other:?} tempts nobody"),
            };
            let became = transition(start, state, after, input.clone());
            assert_eq!(became, expected, "{name}");
        }
    }
}

#[test]
fn without_a_backup_a_dead_link_loses_the_path_and_a_failed_path_is_kept() {
    let now = Instant::now();
    for (input, after) in [
        (Input::LinkDown(agent(1)), State::Lost),
        (
            Input::PathFailed(SwitchCause::PathError),
            on(active(), Mood::Settled),
        ),
    ] {
        let mut choice = PathChoice::new(agent(9), 1_200);
        choice.state = on(active(), Mood::Settled);
        choice.step(now, input);
        assert_eq!(choice.state, after);
    }
}

/// Two transits (1, 2) to exit 3.
fn diamond() -> Mesh {
    Mesh::with_links(4, &[(0, 1), (1, 3), (0, 2), (2, 3)])
}

fn settled(mesh: &Mesh, now: Instant) -> PathChoice {
    let mut choice = PathChoice::new(agent(3), 1_200);
    choice.handle_paths(now, &mesh.table(8));
    let found = choice.poll_event().unwrap();
    assert_eq!((found.from, found.cause), (None, SwitchCause::Found));
    choice
}

fn causes(choice: &mut PathChoice) -> Vec<SwitchCause> {
    std::iter::from_fn(|| choice.poll_event())
        .map(|event| event.cause)
        .collect()
}

fn shown(path: Option<&Path>) -> Option<Vec<u32>> {
    path.map(numbers)
}

#[test]
fn a_dead_link_moves_a_doubted_session_to_its_backup() {
    let now = Instant::now();
    let mut mesh = diamond();
    let mut choice = settled(&mesh, now);
    choice.handle_doubt(now);
    assert_eq!(shown(choice.backup()), Some(vec![2, 3]));
    choice.handle_link_down(now, agent(1));
    assert_eq!(shown(choice.active()), Some(vec![2, 3]));
    mesh.cut(0, 1);
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(causes(&mut choice), [SwitchCause::LinkDown]);
    assert_eq!(choice.backup(), None);
}

#[test]
fn a_backup_behind_a_dead_link_is_not_fled_to() {
    let now = Instant::now();
    let mut choice = settled(&diamond(), now);
    choice.handle_link_down(now, agent(2));
    assert_eq!(choice.backup(), None);
    choice.handle_link_down(now, agent(1));
    assert_eq!(choice.active(), None);
    assert_eq!(causes(&mut choice), [SwitchCause::LinkDown]);
}

#[test]
fn a_path_that_the_graph_lost_is_left_at_once() {
    let now = Instant::now();
    let mut mesh = diamond();
    let mut choice = settled(&mesh, now);
    mesh.cut(1, 3);
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(shown(choice.active()), Some(vec![2, 3]));
    mesh.cut(2, 3);
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(choice.active(), None);
    assert_eq!(
        causes(&mut choice),
        [SwitchCause::PathGone, SwitchCause::PathGone]
    );
}

#[test]
fn a_slightly_better_path_is_never_taken_and_a_fifth_better_one_after_ten_seconds() {
    let start = Instant::now();
    let mut mesh = Mesh::of(4);
    mesh.link(0, 1, 5, 0);
    mesh.link(1, 3, 5, 0);
    let mut choice = settled(&mesh, start);
    mesh.link(0, 2, 5, 0);
    mesh.link(2, 3, 4, 0);
    choice.handle_paths(start, &mesh.table(8));
    assert_eq!(choice.poll_timeout(), None, "9 against 10");
    mesh.cut(2, 3);
    mesh.link(2, 3, 3, 0);
    choice.handle_paths(start, &mesh.table(8));
    let due = choice.poll_timeout().unwrap();
    assert_eq!(due, start + TAKEOVER_AFTER);
    choice.handle_tick(due - Duration::from_millis(1));
    assert_eq!(shown(choice.active()), Some(vec![1, 3]));
    choice.handle_tick(due);
    assert_eq!(shown(choice.active()), Some(vec![2, 3]));
    assert_eq!(causes(&mut choice), [SwitchCause::Better]);
    choice.handle_paths(due, &mesh.table(8));
    assert_eq!(shown(choice.backup()), Some(vec![1, 3]));
}

#[test]
fn a_draining_transit_is_left_at_once_if_there_is_another() {
    let now = Instant::now();
    let mut mesh = diamond();
    let mut choice = settled(&mesh, now);
    mesh.flags(1).draining = true;
    mesh.flags(3).draining = true;
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(causes(&mut choice), [], "the exit drains on every path");
    mesh.flags(3).draining = false;
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(causes(&mut choice), [SwitchCause::Draining]);
    mesh.flags(2).draining = true;
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(causes(&mut choice), [], "both drain");
}

#[test]
fn a_failed_path_is_better_than_none() {
    let now = Instant::now();
    let mut mesh = diamond();
    let mut choice = settled(&mesh, now);
    choice.handle_path_error(now);
    mesh.cut(2, 3);
    let mut shunned = Avoid::default();
    shunned.insert_agent(agent(1));
    choice.handle_paths(now, &mesh.table_avoiding(8, shunned));
    assert_eq!(shown(choice.active()), Some(vec![1, 3]));
}

#[test]
fn figures_of_the_active_path_are_kept_current() {
    let now = Instant::now();
    let mut mesh = diamond();
    let mut choice = settled(&mesh, now);
    mesh.cut(0, 1);
    mesh.link(0, 1, 1, 6);
    choice.handle_paths(now, &mesh.table(8));
    assert_eq!(choice.active().map(|path| path.rtt_us), Some(33));
    assert_eq!(causes(&mut choice), []);
}

#[derive(Clone, Debug)]
enum Happening {
    Toggle(usize),
    LinkDown(u32),
    Doubt,
    PathError,
    Tick,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0_usize..7).prop_map(Happening::Toggle),
        2 => (1_u32..4).prop_map(Happening::LinkDown),
        1 => Just(Happening::Doubt),
        1 => Just(Happening::PathError),
        2 => Just(Happening::Tick),
    ]
}

proptest! {
    /// Whatever happens: after each table the session is on a live path if there is one, its
    /// backup is another live path, and the moves reported link up.
    #[test]
    fn a_session_is_on_a_live_path_whenever_one_exists(
        happenings in prop::collection::vec((happening(), 0_u64..12_000), 1..40),
    ) {
        const LINKS: [(u32, u32); 7] = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (1, 2)];
        let mut up = [true; LINKS.len()];
        let mut now = Instant::now();
        let mut choice = PathChoice::new(agent(4), 1_200);
        let mut known: Option<Vec<u32>> = None;
        for (happening, millis) in happenings {
            now += Duration::from_millis(millis);
            match happening {
                Happening::Toggle(link) => up[link] = !up[link],
                Happening::LinkDown(neighbor) => choice.handle_link_down(now, agent(neighbor)),
                Happening::Doubt => choice.handle_doubt(now),
                Happening::PathError => choice.handle_path_error(now),
                Happening::Tick => choice.handle_tick(now),
            }
            let links: Vec<(u32, u32)> = LINKS.into_iter().zip(up).filter(|(_, up)| *up).map(|(link, _)| link).collect();
            let table = Mesh::with_links(5, &links).table(8);
            choice.handle_paths(now, &table);
            prop_assert_eq!(choice.active().is_some(), table.is_reachable(agent(4)));
            prop_assert!(choice.active().is_none_or(|path| table.is_live(path)));
            prop_assert!(choice.backup().is_none_or(|path| table.is_live(path)));
            prop_assert_eq!(choice.active().and(table.alternate(agent(4))).is_some(), choice.backup().is_some());
            while let Some(event) = choice.poll_event() {
                prop_assert_eq!(shown(event.from.as_ref()), known);
                known = shown(event.to.as_ref());
            }
            prop_assert_eq!(shown(choice.active()), known.clone());
            prop_assert!(choice.backup().is_none() || shown(choice.backup()) != known);
        }
    }
}
