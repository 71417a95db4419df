//! One name's lookup: both families of one candidate after the other, told as they come.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::flights::Flights;
use super::message::{Answer, Family};
use super::search::{self, Candidate, Miss};
use super::servers::Servers;
use super::{Families, LookupError, name};
use super::{cache::Cache, exchange::Trouble, query};

/// How long a family's answer is waited for when the other one has said all that counts: RFC 8305's
/// Resolution Delay.
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Parts of one lookup: one for each family.
const MAX_PARTS: usize = 2;

/// Addresses that became known together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// At least one.
    pub addresses: Vec<IpAddr>,
    /// Whether the answer of another family, one of use, is still waited for.
    pub more: bool,
}

/// A name being looked up: a stream of [`Part`]s, of which none may come. An error is the only and
/// last item. Ends with the resolver's time; dropping it ends the lookup.
#[derive(Debug)]
pub struct Lookup {
    parts: mpsc::Receiver<Result<Part, LookupError>>,
    task: Option<AbortHandle>,
}

impl Lookup {
    /// Of what is known already.
    pub fn known(addresses: Vec<IpAddr>) -> Self {
        let (sender, parts) = mpsc::channel(MAX_PARTS);
        if !addresses.is_empty() {
            let part = Part {
                addresses,
                more: false,
            };
            sender.try_send(Ok(part)).expect("the channel is new");
        }
        Self { parts, task: None }
    }

    /// That has failed already.
    pub fn failed(error: LookupError) -> Self {
        let (sender, parts) = mpsc::channel(MAX_PARTS);
        sender.try_send(Err(error)).expect("the channel is new");
        Self { parts, task: None }
    }

    /// What `run` tells, until `time` is over.
    pub(super) fn spawn<F>(
        name: String,
        time: Duration,
        run: impl FnOnce(Parts) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Trouble>> + Send,
    {
        let (sender, parts) = mpsc::channel(MAX_PARTS);
        let told = Arc::new(AtomicBool::new(false));
        let own = Parts {
            sender: sender.clone(),
            told: told.clone(),
        };
        let task = crate::task::serve(crate::task::Served::Stream, async move {
            let error = match timeout(time, run(own)).await {
                Ok(Ok(())) => return,
                Ok(Err(trouble)) => LookupError::Failed {
                    name,
                    reason: trouble.to_string(),
                },
                Err(_) => LookupError::TimedOut {
                    name,
                    timeout: time,
                },
            };
            // Parts that were told stand for themselves.
            if !told.load(Ordering::Relaxed) {
                // Who asked may have left.
                let _ = sender.try_send(Err(error));
            }
        });
        Self {
            parts,
            task: Some(task.abort_handle()),
        }
    }
}

impl Stream for Lookup {
    type Item = Result<Part, LookupError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.parts.poll_recv(cx)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Where the parts of a lookup are told.
pub(super) struct Parts {
    sender: mpsc::Sender<Result<Part, LookupError>>,
    /// Whether there was any.
    told: Arc<AtomicBool>,
}

impl Parts {
    pub(super) fn tell(&self, addresses: Vec<IpAddr>, more: bool) {
        self.told.store(true, Ordering::Relaxed);
        // There is room for a part of each family; who asked may have left.
        let _ = self.sender.try_send(Ok(Part { addresses, more }));
    }
}

/// A name and whether its IPv6 addresses are meant.
pub(super) type Question = (hickory_proto::rr::Name, bool);

/// Whom a lookup asks.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) servers: Arc<Servers>,
    pub(super) cache: Option<Arc<Cache>>,
    pub(super) flights: Arc<Flights<Question, Result<Answer, Trouble>>>,
}

/// Asks for `candidates` until one has an address.
pub(super) async fn run(
    candidates: Vec<Candidate>,
    families: Families,
    asked: &Asked,
    parts: &Parts,
) -> Result<(), Trouble> {
    let mut misses = Vec::new();
    for candidate in candidates {
        if !search::is_worth(&candidate, &misses) {
            continue;
        }
        match both(&candidate.name, families, asked, parts).await {
            None => return Ok(()),
            Some(miss) => misses.push((candidate.is_as_given, miss)),
        }
    }
    search::verdict(misses)
}

/// Asks for both families of `name` and tells what comes; why there was nothing to tell.
async fn both(
    name: &str,
    families: Families,
    asked: &Asked,
    parts: &Parts,
) -> Option<Miss<Trouble>> {
    if let Some(special) = special(name) {
        if special.is_empty() {
            return Some(Miss::NoName);
        }
        parts.tell(special, false);
        return None;
    }
    let Some(name) = name::absolute(name) else {
        return Some(Miss::NoName);
    };
    // AAAA first, as RFC 8305, 3 has it.
    let mut waiting: Vec<Family> = [Family::V6, Family::V4]
        .into_iter()
        .filter(|family| families.is_asked(*family))
        .collect();
    let mut running: futures_util::stream::FuturesUnordered<_> = waiting
        .iter()
        .map(|&family| {
            let name = &name;
            async move { (family, query(name, family, asked).await) }
        })
        .collect();
    let mut has_found = false;
    let mut miss: Option<Miss<Trouble>> = None;
    loop {
        let is_awaited = waiting.iter().any(|family| families.is_useful(*family));
        let next = async {
            if is_awaited {
                return running.next().await;
            }
            let brief = timeout(RESOLUTION_DELAY, running.next());
            brief.await.ok().flatten()
        };
        let Some((family, result)) = next.await else {
            break;
        };
        waiting.retain(|other| *other != family);
        match result {
            Ok(answer) if !answer.addresses.is_empty() => {
                let is_awaited = waiting.iter().any(|other| families.is_useful(*other));
                parts.tell(answer.addresses, is_awaited);
                has_found = true;
            }
            Ok(answer) => {
                let is_there = answer.exists || matches!(miss, Some(Miss::NoData));
                let own = if is_there { Miss::NoData } else { Miss::NoName };
                if !matches!(miss, Some(Miss::ServFail(_) | Miss::Failed(_))) {
                    miss = Some(own);
                }
            }
            Err(trouble) => miss = Some(failure(trouble)),
        }
    }
    (!has_found).then(|| miss.unwrap_or(Miss::Failed(Trouble::Silent)))
}

fn failure(trouble: Trouble) -> Miss<Trouble> {
    match trouble {
        Trouble::Refused {
            code: hickory_proto::op::ResponseCode::ServFail,
            ..
        } => Miss::ServFail(trouble),
        trouble => Miss::Failed(trouble),
    }
}

/// Whether no server is asked for `name`.
pub(super) fn is_special(name: &str) -> bool {
    special(name::without_dot(name)).is_some()
}

/// The addresses of names that no server is asked for (RFC 6761, 6.3 and 6.4; RFC 7686): none, or this
/// host's.
fn special(name: &str) -> Option<Vec<IpAddr>> {
    let last = name.rsplit('.').next()?.to_ascii_lowercase();
    match last.as_str() {
        "localhost" => Some(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
        "invalid" | "onion" => Some(Vec::new()),
        _ => None,
    }
}
