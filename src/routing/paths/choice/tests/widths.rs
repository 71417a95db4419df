//! Ways that take a session's packets whole, and ways that take them in halves.

use super::*;
use crate::wire::rtt_class;

/// [`diamond`] whose two ways have links of such cost, round-trip class and width (UDP payload bytes).
fn of_ways(ways: [(u32, u8, u16); 2]) -> Mesh {
    let mut mesh = Mesh::of(4);
    for (transit, (cost, class, width)) in [1, 2].into_iter().zip(ways) {
        for (a, b) in [(0, transit), (transit, 3)] {
            mesh.claim(a, b, cost, class, width);
            mesh.claim(b, a, cost, class, width);
        }
    }
    mesh
}

/// [`of_ways`] that cost the same.
fn of_widths(widths: [u16; 2]) -> Mesh {
    of_ways(widths.map(|width| (1, 1, width)))
}

/// The way of a session whose packets have so many bytes.
fn way(widths: [u16; 2], packet: u16) -> Option<Vec<u32>> {
    way_through(&of_widths(widths), packet)
}

fn way_through(mesh: &Mesh, packet: u16) -> Option<Vec<u32>> {
    let mut choice = PathChoice::new(agent(3), packet);
    choice.handle_paths(Instant::now(), &mesh.table(8));
    shown(choice.active())
}

#[test]
fn of_two_ways_the_one_is_taken_that_takes_packets_whole() {
    let (near, far) = (Some(vec![1, 3]), Some(vec![2, 3]));
    assert_eq!(way([1_400, 1_400], 1_300), near);
    assert_eq!(way([1_232, 1_400], 1_300), far);
    assert_eq!(way([1_232, 1_300], 1_300), near, "both take it in halves");
    assert_eq!(way([1_232, 1_232], 1_300), near);
    // Nobody said how wide it is.
    assert_eq!(way([0, 1_400], 1_300), near);
}

#[test]
fn whole_packets_are_worth_twice_the_way_and_no_more() {
    let (near, far) = (Some(vec![1, 3]), Some(vec![2, 3]));
    let way = |wide_cost, wide_class| {
        let narrow = (1, rtt_class(20_000), 1_232);
        way_through(&of_ways([narrow, (wide_cost, wide_class, 1_400)]), 1_300)
    };
    assert_eq!(way(2, rtt_class(20_000)), far);
    assert_eq!(way(3, rtt_class(20_000)), near, "three times the cost");
    assert_eq!(way(1, rtt_class(39_000)), far);
    assert_eq!(way(1, rtt_class(300_000)), near, "a detour of 0.6 s");
}

#[test]
fn a_narrow_link_is_left_by_those_whose_packets_it_breaks_and_by_no_others() {
    let now = Instant::now();
    let settled = |packet| {
        let mut choice = PathChoice::new(agent(3), packet);
        choice.handle_paths(now, &of_widths([1_400, 1_400]).table(8));
        choice.poll_event();
        choice
    };
    let (mut long, mut short) = (settled(1_300), settled(1_150));
    for choice in [&mut long, &mut short] {
        choice.handle_paths(now, &of_widths([1_232, 1_400]).table(8));
    }
    assert_eq!(shown(long.active()), Some(vec![2, 3]));
    assert_eq!(causes(&mut long), [SwitchCause::PathGone]);
    assert_eq!(shown(short.active()), Some(vec![1, 3]));
    assert_eq!(causes(&mut short), []);
    // Where both are narrow, nothing is gained by going back and forth.
    long.handle_paths(now, &of_widths([1_232, 1_232]).table(8));
    assert_eq!(causes(&mut long), []);
}

/// Settled on a wide path whose alternate is narrow, from where it fled just now.
fn fled_to_a_narrow_path(now: Instant) -> (PathChoice, PathTable) {
    let table = of_widths([1_400, 1_232]).table(8);
    let mut choice = PathChoice::new(agent(3), 1_300);
    choice.handle_paths(now, &table);
    choice.handle_unanswered(now);
    assert_eq!(shown(choice.active()), Some(vec![2, 3]));
    assert_eq!(
        causes(&mut choice),
        [SwitchCause::Found, SwitchCause::Unanswered]
    );
    (choice, table)
}

#[test]
fn who_fled_to_a_narrow_path_goes_back_to_a_wide_one_after_ten_seconds_only() {
    let now = Instant::now();
    let (mut choice, table) = fled_to_a_narrow_path(now);
    // The table has not heard why it fled, or nobody has.
    choice.handle_paths(now, &table);
    assert_eq!(shown(choice.active()), Some(vec![2, 3]));
    assert_eq!(choice.poll_timeout(), Some(now + TAKEOVER_AFTER));
    choice.handle_tick(now + TAKEOVER_AFTER);
    assert_eq!(shown(choice.active()), Some(vec![1, 3]));
    assert_eq!(causes(&mut choice), [SwitchCause::Better]);
    // There it stays while whole packets are worth the way.
    let cheap = of_ways([(2, 1, 1_400), (1, 1, 1_232)]);
    choice.handle_paths(now + TAKEOVER_AFTER, &cheap.table(8));
    assert_eq!(choice.poll_timeout(), None);
    assert_eq!(causes(&mut choice), []);
}

#[test]
fn who_fled_to_a_narrow_path_that_fails_too_goes_back_at_once() {
    let now = Instant::now();
    let (mut choice, table) = fled_to_a_narrow_path(now);
    choice.handle_paths(now, &table);
    choice.handle_link_down(now, agent(2));
    assert_eq!(shown(choice.active()), Some(vec![1, 3]));
    assert_eq!(causes(&mut choice), [SwitchCause::LinkDown]);
}
