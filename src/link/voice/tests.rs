//! Every order in which links with one neighbour can come, speak and end.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::watch;

use super::*;
use crate::identity::{Credential, Leaf, Serial};
use crate::link::event::DownReason;
use crate::link::table::{Candidate, LinkInfo, Verdict};
use crate::routing::LinkState;

const OWN: AgentId = AgentId([1; 16]);
const NEIGHBOR: AgentId = AgentId([2; 16]);

/// What each link does, in this order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    SayUp,
    SayMeasured,
    End,
}

const STEPS: [Step; 4] = [Step::Admit, Step::SayUp, Step::SayMeasured, Step::End];

/// Links with one neighbour, the control task's queue, and the voices of those admitted.
struct World {
    links: Arc<Links>,
    events: mpsc::Sender<LinkEvent>,
    queue: mpsc::Receiver<LinkEvent>,
}

impl World {
    fn new(room: usize) -> Self {
        let (events, queue) = mpsc::channel(room);
        Self {
            links: Links::new(OWN, 8),
            events,
            queue,
        }
    }

    /// Each link replaces the one before: its epoch is another.
    fn admit(&self, epoch: u64) -> Voice {
        let candidate = Candidate {
            neighbor: NEIGHBOR,
            dialled: true,
            outgoing: mpsc::channel(1).0,
            end: watch::Sender::new(None),
            credential: Credential {
                id: NEIGHBOR,
                serial: Serial::from_octets(&[1]),
                not_after: u64::MAX,
                leaf: Leaf::default(),
            },
            info: LinkInfo {
                display_name: String::new(),
                remote: "127.0.0.1:1".parse().unwrap(),
                dialled: true,
                state: LinkState::Up,
                cost: 1,
                rtt: Duration::ZERO,
                mtu: 0,
                since: Instant::now(),
                epoch,
            },
        };
        let Verdict::Kept(number) = self.links.admit(candidate) else {
            panic!("a restarted neighbour replaces its link");
        };
        Voice {
            links: self.links.clone(),
            events: self.events.clone(),
            neighbor: NEIGHBOR,
            number,
        }
    }

    /// Every event so far as (kind, number of the link that said it).
    fn heard(&mut self) -> Vec<(&'static str, LinkNumber)> {
        let mut heard = Vec::new();
        while let Ok(event) = self.queue.try_recv() {
            heard.push(match event {
                LinkEvent::Up { epoch, .. } => ("up", epoch),
                LinkEvent::Measured { mtu, .. } => ("measured", u64::from(mtu)),
                LinkEvent::Down {
                    reason: DownReason::Closed(number),
                    ..
                } => ("down", number.parse().unwrap()),
                other => panic!("nobody said {other:?}"),
            });
        }
        heard
    }
}

fn up(voice: &Voice) -> LinkEvent {
    LinkEvent::Up {
        neighbor: NEIGHBOR,
        cost: 1,
        rtt: Duration::ZERO,
        mtu: 0,
        epoch: voice.number,
        stood_still: false,
    }
}

fn measured(voice: &Voice) -> LinkEvent {
    LinkEvent::Measured {
        neighbor: NEIGHBOR,
        rtt: Duration::ZERO,
        mtu: voice.number as u16,
    }
}

fn down(voice: &Voice) -> LinkEvent {
    LinkEvent::Down {
        neighbor: NEIGHBOR,
        reason: DownReason::Closed(voice.number.to_string()),
    }
}

/// Calls `run` with every order of `links` times [`STEPS`] that keeps each link's own order.
fn interleavings(done: &mut Vec<usize>, order: &mut Vec<usize>, run: &mut impl FnMut(&[usize])) {
    let mut complete = true;
    for link in 0..done.len() {
        if done[link] < STEPS.len() {
            complete = false;
            done[link] += 1;
            order.push(link);
            interleavings(done, order, run);
            order.pop();
            done[link] -= 1;
        }
    }
    if complete {
        run(order);
    }
}

fn play(order: &[usize]) -> Vec<(&'static str, LinkNumber)> {
    let mut world = World::new(32);
    let mut voices: Vec<Option<Voice>> = Vec::new();
    voices.resize_with(3, || None);
    let mut next = [0; 3];
    for &link in order {
        let step = STEPS[next[link]];
        next[link] += 1;
        let voice = &mut voices[link];
        match (step, voice) {
            (Step::Admit, voice) => *voice = Some(world.admit(link as u64)),
            (Step::SayUp, Some(voice)) => voice.say(up(voice)).now_or_never().unwrap(),
            (Step::SayMeasured, Some(voice)) => voice.say(measured(voice)).now_or_never().unwrap(),
            (Step::End, Some(voice)) => {
                voice.end("", down(voice)).now_or_never().unwrap();
            }
            (_, None) => panic!("admitted first"),
        }
    }
    assert!(world.links.live().is_empty(), "{order:?}");
    world.heard()
}

#[test]
fn whatever_the_order_no_link_speaks_after_its_successor() {
    let mut orders = 0;
    interleavings(&mut vec![0; 3], &mut Vec::new(), &mut |order| {
        orders += 1;
        let heard = play(order);
        let (mut current, mut newest) = (None, 0);
        for (kind, number) in &heard {
            match *kind {
                "up" => {
                    assert!(*number > newest, "{order:?}: {heard:?}");
                    (current, newest) = (Some(*number), *number);
                }
                "measured" => assert_eq!(current, Some(*number), "{order:?}: {heard:?}"),
                _ => {
                    assert_eq!(current, Some(*number), "{order:?}: {heard:?}");
                    current = None;
                }
            }
        }
        assert_eq!(current, None, "{order:?}: {heard:?}");
    });
    // 12! / (4!)³: no order was left out.
    assert_eq!(orders, 34_650);
}

#[tokio::test]
async fn a_link_replaced_while_it_waited_for_room_is_not_heard() {
    let mut world = World::new(1);
    let old = world.admit(1);
    old.say(up(&old)).await;
    let late = tokio::spawn(async move {
        old.say(measured(&old)).await;
        old.end("", down(&old)).await
    });
    tokio::task::yield_now().await;
    let new = world.admit(2);
    assert_eq!(world.heard(), [("up", 1)]);
    assert!(!late.await.unwrap(), "nothing went down");
    new.say(up(&new)).await;
    assert_eq!(world.heard(), [("up", 2)]);
}
