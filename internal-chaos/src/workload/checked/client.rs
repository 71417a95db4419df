//! The client's side of one connection.

use std::io;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::chain::{Checker, LARGEST};
use super::flow::{End, Received, Slow, Until, receive, send};
use super::protocol::{Answer, Mode, Request};
use super::report::{Ending, Seen};
use super::watch::Watch;
use super::{Kind, Plan};

/// The largest answer that a request asks for: a page, and more than one packet.
const LARGEST_ANSWER: u32 = 4_096;

/// The only answer of a storm's connection.
const SHORT_ANSWER: u32 = 64;

/// The longest that a connection may take, one without a time of its own included.
const LONGEST: Duration = Duration::from_secs(2 * 3_600);

/// Opens a connection and runs it to its end; `seed` tells it from the others.
pub(super) async fn run(plan: &Plan, seed: u64) -> Seen {
    match plan.route.connect(&plan.target).await {
        Ok(stream) => carry(plan, seed, stream, &Watch::default()).await,
        Err(error) => Seen {
            ending: Ending::Failed(format!("{:#}", anyhow::Error::new(error))),
            ..Seen::default()
        },
    }
}

/// Runs one open connection to its end. What the target knows of an upload by then counts even if
/// its answer did not arrive.
pub async fn carry(plan: &Plan, seed: u64, stream: TcpStream, watch: &Watch) -> Seen {
    let mut seen = converse(plan, seed, stream, watch).await;
    if let Some(answer) = plan.ledger.as_ref().and_then(|ledger| ledger.take(seed))
        && seen.unanswered
    {
        seen.unanswered = false;
        seen.count_upload(answer);
    }
    seen
}

async fn converse(plan: &Plan, seed: u64, stream: TcpStream, watch: &Watch) -> Seen {
    let directions = if plan.kind == Kind::HalfClose { 2 } else { 1 };
    let time = plan.time.saturating_mul(directions).min(LONGEST);
    let deadline = Instant::now() + time + plan.grace;
    let mut connection = Connection::new(plan, seed, stream, (deadline, watch));
    let request = connection.request;
    let begun = timeout_at(deadline, request.write(&mut connection.write)).await;
    if let Err(ending) = finished(begun) {
        connection.seen.ending = ending;
        return connection.seen;
    }
    match plan.kind {
        Kind::Download => connection.down(Until::Close, None).await,
        Kind::SlowReader => {
            let slow = Slow {
                pace: pace(plan),
                until: deadline - plan.grace,
            };
            connection.down(Until::Close, Some(slow)).await;
        }
        Kind::Upload | Kind::Both => connection.up(plan.kind == Kind::Both).await,
        Kind::HalfClose => connection.half_close().await,
        Kind::Request => connection.requests(plan).await,
        Kind::Storm => connection.storm().await,
    }
    connection.seen
}

struct Connection<'a> {
    request: Request,
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    deadline: Instant,
    watch: &'a Watch,
    seen: Seen,
}

impl<'a> Connection<'a> {
    fn new(
        plan: &Plan,
        seed: u64,
        stream: TcpStream,
        (deadline, watch): (Instant, &'a Watch),
    ) -> Self {
        let (read, write) = stream.into_split();
        let mode = match plan.kind {
            Kind::Download | Kind::SlowReader => Mode::Streams {
                down: true,
                up: false,
            },
            Kind::Upload => Mode::Streams {
                down: false,
                up: true,
            },
            Kind::Both => Mode::Streams {
                down: true,
                up: true,
            },
            Kind::HalfClose => Mode::HalfClose,
            Kind::Request | Kind::Storm => Mode::Request,
        };
        let slow = plan.kind == Kind::SlowReader;
        // A slow reader must not have its data taken off the connection behind its back.
        let capacity = if slow { 1 } else { LARGEST };
        Self {
            request: Request {
                mode,
                seed,
                bytes: plan.bytes,
                time: plan.time,
                pace: if slow { 0 } else { pace(plan) },
            },
            read: BufReader::with_capacity(capacity, read),
            write,
            deadline,
            watch,
            seen: Seen::default(),
        }
    }

    async fn down(&mut self, until: Until, slow: Option<Slow>) {
        let seed = self.request.down_seed();
        let watched = (self.deadline, self.watch);
        let received = receive(&mut self.read, seed, until, slow, watched).await;
        self.saw(received);
    }

    /// An upload, and a download beside it.
    async fn up(&mut self, down: bool) {
        let Self {
            request,
            read,
            write,
            deadline,
            watch,
            ..
        } = self;
        let over = Notify::new();
        let sending = async {
            let sending = timeout_at(
                *deadline,
                send(write, request.seed, request.limits(), watch),
            );
            tokio::select! {
                sent = sending => finished(sent),
                // Nobody listens any more; a connection that says so is as good as one that broke.
                () = over.notified() => Ok(0),
            }
        };
        let receiving = async {
            let seed = request.down_seed();
            let received = match down {
                true => {
                    Some(receive(read, seed, Until::LastRecord, None, (*deadline, watch)).await)
                }
                false => None,
            };
            let answer = match received.as_ref().map(|received| &received.end) {
                None | Some(End::Complete) => {
                    finished(timeout_at(*deadline, Answer::read(read)).await)
                }
                Some(_) => Err(Ending::Complete),
            };
            over.notify_one();
            (received, answer)
        };
        let (sent, (received, answer)) = tokio::join!(sending, receiving);
        if let Some(received) = received {
            self.saw(received);
        }
        self.uploaded(sent, answer);
    }

    async fn half_close(&mut self) {
        let sending = async {
            let (seed, limits) = (self.request.seed, self.request.limits());
            let sent = send(&mut self.write, seed, limits, self.watch).await?;
            self.write.shutdown().await?;
            Ok(sent)
        };
        let sent = finished(timeout_at(self.deadline, sending).await);
        let answer = finished(timeout_at(self.deadline, Answer::read(&mut self.read)).await);
        let answered = answer.is_ok();
        self.uploaded(sent, answer);
        if answered {
            self.down(Until::Close, None).await;
        }
    }

    async fn requests(&mut self, plan: &Plan) {
        let mut random = StdRng::seed_from_u64(self.request.seed);
        let mut checker = Checker::new(self.request.down_seed());
        let begun = Instant::now();
        while begun.elapsed() < plan.time && checker.exact() < plan.bytes {
            let length = random.random_range(1..=LARGEST_ANSWER);
            if !self.ask(&mut checker, length).await {
                return;
            }
            if let Some(rate) = plan.rate {
                tokio::time::sleep(rate.time(length as usize)).await;
            }
        }
        self.goodbye(checker).await;
    }

    async fn storm(&mut self) {
        let mut checker = Checker::new(self.request.down_seed());
        if self.ask(&mut checker, SHORT_ANSWER).await {
            self.goodbye(checker).await;
        }
    }

    /// One request and its answer; whether it arrived.
    async fn ask(&mut self, checker: &mut Checker, length: u32) -> bool {
        let asked = Instant::now();
        let before = checker.exact();
        let mut buffer = [0; LARGEST_ANSWER as usize];
        let exchange = async {
            self.write.write_u32(length).await?;
            loop {
                let wanted = checker.wanted().min(buffer.len());
                let count = self.read.read(&mut buffer[..wanted]).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if let Err(error) = checker.feed(&buffer[..count]) {
                    return Ok(Some(error));
                }
                if checker.is_between_records() {
                    return Ok(None);
                }
            }
        };
        let outcome = finished(timeout_at(self.deadline, exchange).await);
        self.seen.stalls.add(asked.elapsed());
        self.seen.exact += checker.exact() - before;
        self.seen.bytes += checker.exact() - before;
        self.seen.ending = match outcome {
            Ok(None) if checker.exact() - before == u64::from(length) => return true,
            Ok(None) => Ending::Damaged(format!("{length} bytes were asked for, others came")),
            Ok(Some(error)) => Ending::Damaged(error.to_string()),
            Err(ending) => ending,
        };
        false
    }

    /// Ends a conversation of requests: the last record must come, and then nothing.
    async fn goodbye(&mut self, mut checker: Checker) {
        let mut rest = Vec::new();
        let ending = async {
            self.write.write_u32(0).await?;
            (&mut self.read)
                .take(LARGEST as u64)
                .read_to_end(&mut rest)
                .await
        };
        self.seen.ending = match finished(timeout_at(self.deadline, ending).await) {
            Err(ending) => ending,
            Ok(_) => match checker.feed(&rest) {
                Err(error) => Ending::Damaged(error.to_string()),
                Ok(()) if checker.is_complete() => Ending::Complete,
                Ok(()) => Ending::Broken("the connection ended early".to_owned()),
            },
        };
    }

    fn saw(&mut self, received: Received) {
        self.seen.bytes += received.bytes;
        self.seen.exact += received.exact;
        self.seen.stalls.merge(&received.stalls);
        self.end(match received.end {
            End::Complete => Ending::Complete,
            End::Cut(reason) => Ending::Broken(format!("after {} bytes: {reason}", received.exact)),
            End::Damaged(error) => Ending::Damaged(error.to_string()),
        });
    }

    /// Compares what was sent with what the target says.
    fn uploaded(&mut self, sent: Result<u64, Ending>, answer: Result<Answer, Ending>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(ending) => {
                self.seen.unanswered = true;
                self.end(sent.err().unwrap_or(Ending::Complete));
                return self.end(ending);
            }
        };
        let complete = answer.complete.then_some(answer.exact);
        self.seen.count_upload(answer);
        match sent {
            Ok(sent) if complete == Some(sent) => {}
            Ok(sent) => self.end(Ending::Damaged(format!(
                "{sent} bytes were sent, {complete:?} arrived whole"
            ))),
            Err(ending) => self.end(ending),
        }
    }

    fn end(&mut self, ending: Ending) {
        let before = std::mem::take(&mut self.seen.ending);
        self.seen.ending = before.and(ending);
    }
}

/// Bytes per second; 0 is as fast as it goes.
fn pace(plan: &Plan) -> u64 {
    plan.rate.map_or(0, |rate| (rate.per_second() / 8).max(1))
}

/// What a step gave before the deadline; else how the connection ended.
fn finished<T, E>(step: Result<io::Result<T>, E>) -> Result<T, Ending> {
    match step {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Ending::Broken(error.to_string())),
        Err(_) => Err(Ending::Broken("it hung".to_owned())),
    }
}
