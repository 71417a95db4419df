//! Hashes off the packet thread: a bounded number at once, a bounded number waiting.
//!
//! A hash cannot be interrupted, so it counts until it is done, also when its client has left. Those
//! who wait are taken by rank (who failed and waits least), the newest first: under a flood the
//! newest has the most time left, and the oldest would be gone before its turn. At the limit the
//! worst placed one gives way.
//!
//! Each hash has a thread of its own, because tokio's blocking threads number hundreds, and of low
//! priority, because the links' heartbeats share the processor with it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Verdict;
use super::attempts::{Attempts, Ticket};
use crate::clock;

/// How much less than others a hash gets of a busy processor: a tenth (sched(7), weight 110 of
/// 1,024).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The rank of whoever waits, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u32,
    newest: Reverse<u64>,
}

struct Job {
    ticket: Ticket,
    work: Box<dyn FnOnce() -> bool + Send>,
    /// Closed if nobody waits for it any more.
    answer: oneshot::Sender<(Verdict, Duration)>,
}

#[derive(Default)]
struct State {
    threads: usize,
    waiting: BTreeMap<Place, Job>,
    arrived: u64,
}

/// The hashes of one agent.
pub struct Checks {
    /// `limits.password_checks`.
    at_once: usize,
    /// `limits.password_queue`.
    queue: usize,
    state: Mutex<State>,
}

impl Checks {
    /// At most `at_once` hashes exist, and at most `queue` more wait for their turn.
    pub fn new(at_once: usize, queue: usize) -> Arc<Self> {
        Arc::new(Self {
            at_once,
            queue,
            state: Mutex::default(),
        })
    }

    /// What `work` finds, in its turn, and how long it took.
    pub(super) async fn run(
        self: &Arc<Self>,
        attempts: &Arc<Attempts>,
        source: IpAddr,
        work: impl FnOnce() -> bool + Send + 'static,
    ) -> (Verdict, Duration) {
        let refused = (Verdict::TooOften, Duration::ZERO);
        let Some(ticket) = attempts.enter(source, clock::now()) else {
            return refused;
        };
        let (answer, answered) = oneshot::channel();
        self.push(Job {
            ticket,
            work: Box::new(work),
            answer,
        });
        answered.await.unwrap_or(refused)
    }

    fn push(self: &Arc<Self>, job: Job) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.arrived += 1;
        let place = Place {
            rank: job.ticket.rank,
            newest: Reverse(state.arrived),
        };
        state.waiting.insert(place, job);
        if state.threads < self.at_once {
            if self.spawn() {
                state.threads += 1;
            } else if state.threads == 0 {
                // Nobody would ever look at it.
                state.waiting.remove(&place);
            }
        }
        if state.waiting.len() > self.queue {
            state.waiting.retain(|_, job| !job.answer.is_closed());
        }
        while state.waiting.len() > self.queue {
            state.waiting.pop_last();
        }
    }

    /// Whether a thread works at it from now on.
    fn spawn(self: &Arc<Self>) -> bool {
        let checks = self.clone();
        std::thread::Builder::new()
            .name("password".to_owned())
            .spawn(move || {
                yield_to_others();
                while let Some(job) = checks.next() {
                    job.run();
                }
            })
            .is_ok()
    }

    /// The best placed one that somebody still waits for; `None` ends the thread.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, job)) = state.waiting.pop_first() {
            if !job.answer.is_closed() {
                return Some(job);
            }
        }
        state.threads -= 1;
        None
    }
}

impl Job {
    fn run(self) {
        // The receiver may be gone, which is its own business, here and below.
        if !self.ticket.charge(clock::now()) {
            let _ = self.answer.send((Verdict::TooOften, Duration::ZERO));
            return;
        }
        let started = clock::now();
        // A panic of a hash must not take the thread's place with it.
        let work = std::panic::AssertUnwindSafe(self.work);
        let matches = std::panic::catch_unwind(work).unwrap_or(false);
        if matches {
            self.ticket.refund(clock::now());
        }
        let verdict = match matches {
            true => Verdict::Valid,
            false => Verdict::Wrong,
        };
        let _ = self.answer.send((verdict, clock::since(started)));
    }
}

/// On Linux a priority belongs to the thread that sets it.
fn yield_to_others() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "password checks run at the priority of everything else");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::future::join_all;
    use tokio::time::timeout;

    use super::*;

    fn source(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Work that tells that it began and goes on until it is let go.
    struct Gate {
        begun: mpsc::Sender<u8>,
        go: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Gate {
        fn new() -> (Self, mpsc::Receiver<u8>, mpsc::Sender<()>) {
            let (begun, seen) = mpsc::channel();
            let (go, wait) = mpsc::channel();
            let go_on = Arc::new(Mutex::new(wait));
            (Self { begun, go: go_on }, seen, go)
        }

        fn work(&self, name: u8) -> impl FnOnce() -> bool + Send + 'static {
            let (begun, go) = (self.begun.clone(), self.go.clone());
            move || {
                begun.send(name).unwrap();
                go.lock().unwrap().recv().is_ok()
            }
        }
    }

    #[tokio::test]
    async fn a_hash_counts_until_it_is_done_though_its_client_has_left() {
        let checks = Checks::new(1, 8);
        let attempts = Arc::default();
        let (gate, begun, go) = Gate::new();
        let first = checks.run(&attempts, source(1), gate.work(1));
        assert!(timeout(Duration::from_millis(20), first).await.is_err());
        assert_eq!(begun.recv(), Ok(1));
        let second = checks.run(&attempts, source(2), gate.work(2));
        assert!(timeout(Duration::from_millis(20), second).await.is_err());
        // The second never begins: nobody waits for it when its turn comes.
        go.send(()).unwrap();
        let third = checks.run(&attempts, source(3), gate.work(3));
        go.send(()).unwrap();
        assert_eq!(third.await.0, Verdict::Valid);
        assert_eq!(begun.try_iter().collect::<Vec<_>>(), [3]);
    }

    #[tokio::test]
    async fn never_more_than_the_limit_are_computed_at_once() {
        let checks = Checks::new(3, 64);
        let attempts = Arc::default();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..64).map(|n| {
            let (now, most) = (now.clone(), most.clone());
            checks.run(&attempts, source(n), move || {
                let others = now.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(others + 1, Ordering::SeqCst);
                std::thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
                true
            })
        });
        for (verdict, _) in join_all(all).await {
            assert_eq!(verdict, Verdict::Valid);
        }
        assert!(most.load(Ordering::SeqCst) <= 3, "{most:?}");
    }

    #[tokio::test]
    async fn who_waits_least_and_came_last_goes_first_and_the_worst_gives_way() {
        let checks = Checks::new(1, 4);
        let attempts = Arc::default();
        let (gate, begun, go) = Gate::new();
        let ask = |from, name| checks.run(&attempts, source(from), gate.work(name));
        let order = async {
            let busy = begun.recv();
            assert_eq!(busy, Ok(0));
            for _ in 0..5 {
                go.send(()).unwrap();
            }
        };
        // One is under way; then five that wait of four that may: the flooder's third gives way.
        let blocked = ask(9, 0);
        let flood = async {
            while checks.state.lock().unwrap().threads == 0
                || !checks.state.lock().unwrap().waiting.is_empty()
            {
                tokio::task::yield_now().await;
            }
            let waiting = [ask(1, 1), ask(1, 2), ask(1, 3), ask(2, 4), ask(3, 5)];
            tokio::join!(join_all(waiting), order).0
        };
        let (first, verdicts) = tokio::join!(blocked, flood);
        assert_eq!(first.0, Verdict::Valid);
        let verdicts: Vec<Verdict> = verdicts.into_iter().map(|(verdict, _)| verdict).collect();
        let (valid, refused) = (Verdict::Valid, Verdict::TooOften);
        assert_eq!(verdicts, [valid, valid, refused, valid, valid]);
        assert_eq!(begun.try_iter().collect::<Vec<_>>(), [5, 4, 1, 2]);
    }

    #[tokio::test]
    async fn a_panic_of_the_work_is_a_wrong_secret_and_no_lost_place() {
        let checks = Checks::new(1, 1);
        let attempts = Arc::default();
        let broken = checks.run(&attempts, source(1), || panic!("a broken hash"));
        assert_eq!(broken.await.0, Verdict::Wrong);
        let next = checks.run(&attempts, source(1), || true);
        assert_eq!(next.await.0, Verdict::Valid);
    }
}
