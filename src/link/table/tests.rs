//! Which of several links is kept.

use super::*;
use crate::identity::{Leaf, Serial};

const LOW: AgentId = AgentId([1; 16]);
const HIGH: AgentId = AgentId([2; 16]);

struct Side {
    links: Arc<Links>,
    neighbor: AgentId,
}

fn side(own: AgentId, neighbor: AgentId) -> Side {
    Side {
        links: Links::new(own, 8),
        neighbor,
    }
}

fn candidate(neighbor: AgentId, dialled: bool, epoch: u64) -> (Candidate, Ends) {
    let (outgoing, queue) = mpsc::channel(1);
    let (end, ended) = watch::channel(None);
    let info = LinkInfo {
        display_name: String::new(),
        remote: "127.0.0.1:1".parse().unwrap(),
        dialled,
        state: LinkState::Up,
        cost: 1,
        rtt: Duration::ZERO,
        mtu: 1_200,
        since: Instant::now(),
        epoch,
    };
    let candidate = Candidate {
        neighbor,
        dialled,
        outgoing,
        end,
        credential: Credential {
            id: neighbor,
            serial: Serial::from_octets(&[1]),
            not_after: 1_000,
            leaf: Leaf::default(),
        },
        info,
    };
    (
        candidate,
        Ends {
            ended,
            _queue: queue,
        },
    )
}

/// What the driver of a link holds.
struct Ends {
    ended: watch::Receiver<Option<DownReason>>,
    _queue: mpsc::Receiver<ControlMessage>,
}

impl Side {
    fn offer(&self, dialled: bool, epoch: u64) -> (Verdict, Ends) {
        let (candidate, ends) = candidate(self.neighbor, dialled, epoch);
        (self.links.admit(candidate), ends)
    }
}

/// Both sides dialled: whatever order each sees the two links in, both keep the one that the
/// lower id dialled.
#[test]
fn both_ends_keep_the_same_of_two_links() {
    for lower_first in [true, false] {
        for higher_first in [true, false] {
            let kept = |own, other, first_is_own_dial: bool| {
                let side = side(own, other);
                let (_, first) = side.offer(first_is_own_dial, 5);
                let (second, _ends) = side.offer(!first_is_own_dial, 5);
                match second {
                    Verdict::Duplicate => first_is_own_dial,
                    Verdict::Kept(_) => {
                        assert_eq!(*first.ended.borrow(), Some(DownReason::Replaced));
                        !first_is_own_dial
                    }
                    Verdict::Full | Verdict::Closed => panic!("there is room"),
                }
            };
            assert!(kept(LOW, HIGH, lower_first), "the lower keeps its own dial");
            assert!(
                !kept(HIGH, LOW, higher_first),
                "the higher keeps the other's"
            );
        }
    }
}

#[test]
fn a_restarted_neighbour_and_a_dial_anew_replace_the_old_link() {
    for dialled in [true, false] {
        let side = side(LOW, HIGH);
        let (_, old) = side.offer(true, 5);
        assert!(matches!(side.offer(dialled, 6).0, Verdict::Kept(_)));
        assert_eq!(*old.ended.borrow(), Some(DownReason::Replaced));
    }
    let side = side(HIGH, LOW);
    let (_, old) = side.offer(true, 5);
    assert!(matches!(side.offer(true, 5).0, Verdict::Kept(_)));
    assert_eq!(*old.ended.borrow(), Some(DownReason::Replaced));
}

#[test]
fn the_end_of_a_replaced_link_takes_nothing_down() {
    let side = side(LOW, HIGH);
    let (Verdict::Kept(old), _a) = side.offer(true, 5) else {
        panic!("there is room");
    };
    let (Verdict::Kept(new), _b) = side.offer(true, 6) else {
        panic!("a restart replaces");
    };
    assert!(
        !side
            .links
            .remove(HIGH, old, "replaced", || panic!("it was replaced"))
    );
    assert!(side.links.is_live(HIGH));
    assert!(side.links.remove(HIGH, new, "gone", || ()));
    assert!(!side.links.is_live(HIGH));
}

#[test]
fn links_are_limited_and_strangers_forgotten() {
    let links = Links::new(LOW, 1);
    links.configure(HIGH, "h:1".to_owned());
    let (first, _a) = candidate(AgentId([7; 16]), false, 1);
    let Verdict::Kept(number) = links.admit(first) else {
        panic!("there is room for one");
    };
    let (second, _b) = candidate(HIGH, true, 1);
    assert_eq!(links.admit(second), Verdict::Full);
    assert_eq!(links.snapshot().len(), 2);
    links.remove(AgentId([7; 16]), number, "gone", || ());
    let left: Vec<AgentId> = links.snapshot().into_keys().collect();
    assert_eq!(left, [HIGH]);
}

#[test]
fn a_neighbour_that_takes_no_messages_loses_its_link() {
    let side = side(LOW, HIGH);
    let (_, ends) = side.offer(true, 5);
    for _ in 0..2 {
        let token = crate::wire::Token { token: 1 };
        side.links.send(HIGH, ControlMessage::Token(token));
    }
    assert_eq!(*ends.ended.borrow(), Some(DownReason::Behind));
}

#[test]
fn links_end_by_their_certificates() {
    let links = Links::new(AgentId([9; 16]), 10);
    let (one, mut one_ends) = candidate(AgentId([1; 16]), true, 1);
    let (two, two_ends) = candidate(AgentId([2; 16]), true, 1);
    assert!(matches!(links.admit(one), Verdict::Kept(_)));
    assert!(matches!(links.admit(two), Verdict::Kept(_)));
    let judge = |credential: &Credential| {
        let is_one = credential.id == AgentId([1; 16]);
        is_one.then(|| DownReason::Distrusted("revoked".to_owned()))
    };
    links.disconnect_where(judge);
    let told = one_ends.ended.borrow_and_update().clone();
    assert_eq!(told, Some(DownReason::Distrusted("revoked".to_owned())));
    assert_eq!(*two_ends.ended.borrow(), None);
    links.disconnect_where(judge);
    assert!(!one_ends.ended.has_changed().unwrap(), "told once");
}
