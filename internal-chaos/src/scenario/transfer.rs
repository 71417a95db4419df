//! One transfer of a load: it connects until it is let in, and carries checked bytes until its time is
//! over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};

use super::record::{End, Flow};
use crate::workload::Attempt;
use crate::workload::attempt::refused;
use crate::workload::checked::{self, Ending, Ledger, Watch, carry};

/// From a refusal to the next attempt, as patient applications do it.
const PATIENCE: Duration = Duration::from_millis(500);

/// Seeds of two connections of one transfer are so far apart: a load has fewer transfers.
const SEED_STRIDE: u64 = 1_000;

/// What a transfer is to do.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub(super) name: String,
    pub(super) plan: checked::Plan,
    pub(super) ledger: Arc<Ledger>,
    /// The zero of all times.
    pub(super) zero: Instant,
    pub(super) from: Instant,
    pub(super) until: Instant,
    /// Begins anew when it broke.
    pub(super) again: bool,
    /// Ends after so long, and begins anew.
    pub(super) each: Option<Duration>,
    /// How long a connect may take.
    pub(super) limit: Duration,
    /// How long it may take to end once it is told to.
    pub(super) drain: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// One for each connection that came about.
    pub(super) flows: Vec<Flow>,
    /// Those that did not.
    pub(super) refused: Vec<Attempt>,
}

impl Transfer {
    /// Carries until the time is over. A refused connection is counted and tried again.
    pub(super) async fn run(mut self) -> Carried {
        sleep_until(self.from.into()).await;
        let mut carried = Carried::default();
        loop {
            let begun = Instant::now();
            let (route, target) = (&self.plan.route, &self.plan.target);
            let connected = route.connect_within(target, self.limit).await;
            let next = match connected {
                Ok(stream) => {
                    let flow = self.carry(stream).await;
                    let next = self.after(&flow);
                    carried.flows.push(flow);
                    self.plan.seed = self.plan.seed.wrapping_add(SEED_STRIDE);
                    next
                }
                Err(error) => {
                    carried.refused.push(refused(begun, error));
                    Some(PATIENCE)
                }
            };
            match next {
                Some(rest) if Instant::now() + PATIENCE < self.until => sleep(rest).await,
                _ => return carried,
            }
        }
    }

    /// How long it rests after this flow before the next one; `None`: there is none.
    fn after(&self, flow: &Flow) -> Option<Duration> {
        match flow.end {
            End::Complete => self.each.map(|_| Duration::ZERO),
            End::Broken(_) => (self.again || self.each.is_some()).then_some(PATIENCE),
            End::Damaged(_) => None,
        }
    }

    async fn carry(&self, stream: TcpStream) -> Flow {
        // How long the connect took is a wait, no stall.
        let begun = Instant::now();
        let until = self
            .each
            .map_or(self.until, |each| self.until.min(begun + each));
        let watch = Arc::new(Watch::remembering());
        self.ledger.announce(self.plan.seed, &watch);
        let mut carrying = std::pin::pin!(carry(&self.plan, self.plan.seed, stream, &watch));
        let (seen, ended) = tokio::select! {
            seen = &mut carrying => (Some(seen), Instant::now()),
            () = sleep_until(until.into()) => {
                watch.stop();
                (timeout(self.drain, carrying).await.ok(), until)
            }
        };
        let over = Instant::now();
        let arrivals = watch.take_arrivals().into_iter();
        Flow {
            name: self.name.clone(),
            bytes: watch.bytes(),
            begun: self.since(begun),
            ended: self.since(ended),
            over: self.since(over),
            end: match seen.map(|seen| seen.ending) {
                Some(Ending::Complete) => End::Complete,
                Some(Ending::Failed(error) | Ending::Broken(error)) => End::Broken(error),
                Some(Ending::Damaged(damage)) => End::Damaged(damage),
                None => End::Broken(format!("did not end within {:?}", self.drain)),
            },
            arrivals: arrivals
                .map(|(when, bytes)| (self.since(when), bytes))
                .collect(),
        }
    }

    fn since(&self, when: Instant) -> Duration {
        when.saturating_duration_since(self.zero)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::workload::checked::Kind;
    use crate::workload::serve::{Service, serve};
    use crate::workload::{Route, Target};

    const SECOND: Duration = Duration::from_secs(1);

    /// A download from there for so long.
    fn download(from: SocketAddr, lasts: Duration, ledger: &Arc<Ledger>) -> Transfer {
        let (now, target) = (Instant::now(), Target::Address(from));
        Transfer {
            name: "download 1".to_owned(),
            plan: checked::Plan {
                ledger: Some(Arc::clone(ledger)),
                seed: 5,
                ..checked::Plan::new(Route::Direct, target, Kind::Download, Duration::MAX)
            },
            ledger: Arc::clone(ledger),
            zero: now,
            from: now,
            until: now + lasts,
            again: false,
            each: None,
            limit: SECOND,
            drain: 10 * SECOND,
        }
    }

    /// Nothing listens there yet: who connects is refused.
    fn bound() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn a_refused_connection_is_counted_and_tried_again() {
        let (socket, address) = bound();
        let ledger = Arc::<Ledger>::default();
        let carrying = tokio::spawn(download(address, 3 * SECOND, &ledger).run());
        sleep(SECOND).await;
        let listener = socket.listen(1).unwrap();
        tokio::spawn(serve(listener, Service::Checked, ledger, |_, _| {}));
        let Carried { flows, refused } = carrying.await.unwrap();
        assert!(!refused.is_empty() && refused.len() < 4, "{refused:?}");
        let [flow] = &flows[..] else {
            panic!("{flows:?}");
        };
        assert_eq!(flow.end, End::Complete);
        assert!(flow.bytes > 0 && flow.begun >= SECOND, "{flow:?}");
    }

    #[tokio::test]
    async fn refusals_until_the_end_are_no_transfer() {
        let (_socket, address) = bound();
        let carried = download(address, SECOND, &Arc::default()).run().await;
        assert!(carried.flows.is_empty());
        assert!((1..=2).contains(&carried.refused.len()));
    }

    #[tokio::test]
    async fn short_transfers_follow_each_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::<Ledger>::default();
        let transfer = Transfer {
            each: Some(SECOND / 2),
            ..download(address, 2 * SECOND, &ledger)
        };
        tokio::spawn(serve(listener, Service::Checked, ledger, |_, _| {}));
        let Carried { flows, refused } = transfer.run().await;
        assert!(refused.is_empty(), "{refused:?}");
        assert!((2..=4).contains(&flows.len()), "{flows:?}");
        for pair in flows.windows(2) {
            assert_eq!(pair[0].end, End::Complete);
            assert!(pair[1].begun >= pair[0].over, "{pair:?}");
        }
    }

    /// Closes the first connection, and serves the others.
    #[tokio::test]
    async fn what_broke_begins_anew_if_it_shall() {
        for (again, ends) in [(false, 1), (true, 2)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let ledger = Arc::<Ledger>::default();
            let transfer = Transfer {
                again,
                ..download(address, 2 * SECOND, &ledger)
            };
            tokio::spawn(async move {
                drop(listener.accept().await);
                serve(listener, Service::Checked, ledger, |_, _| {}).await
            });
            let Carried { flows, refused } = transfer.run().await;
            assert!(refused.is_empty(), "{refused:?}");
            assert_eq!(flows.len(), ends, "{flows:?}");
            assert!(flows[0].is_broken());
            assert_eq!(flows[ends - 1].is_broken(), !again);
        }
    }
}
