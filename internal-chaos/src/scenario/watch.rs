//! What the agents say while the load runs: events, paths, health.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::record::{Event, PathSeen, Reason};
use crate::host::Host;
use crate::http;

/// How often each agent is asked: often enough to see a path for as long as a failover takes,
/// seldom enough to cost nothing.
const CADENCE: Duration = Duration::from_millis(100);

/// The longest that one answer may take: a stopped agent gives none.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// An agent's own time is believed up to so much ahead of ours.
const TRUSTED: Duration = Duration::from_secs(2);

/// An agent that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) http: SocketAddr,
    pub(super) is_ingress: bool,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) events: Vec<Event>,
    /// From before the load.
    pub(super) forming: Vec<Event>,
    pub(super) paths: Vec<PathSeen>,
    pub(super) reasons: Vec<Reason>,
    seen_reasons: BTreeSet<(String, String)>,
}

/// Watches until dropped.
#[derive(Debug)]
pub(super) struct Watch {
    heard: Arc<Mutex<Heard>>,
    tasks: Vec<JoinHandle<()>>,
    _host: Host,
}

/// Asks one agent.
struct Asker {
    agent: Watched,
    /// Names by ids.
    names: Arc<BTreeMap<String, String>>,
    heard: Arc<Mutex<Heard>>,
    began: Instant,
    /// The wall clock at `began`.
    wall: SystemTime,
    /// Whether its path is the one that is shown.
    shows_path: bool,
    since: u64,
    /// Number and time of events, because a new process counts anew.
    known: BTreeSet<(u64, String)>,
    /// Whether it has answered.
    has_answered: bool,
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    // Lists are whole between two calls.
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Begins; times count from `began`.
    pub(super) fn begin(
        agents: &[Watched],
        names: BTreeMap<String, String>,
        began: Instant,
    ) -> anyhow::Result<Self> {
        let host = Host::here("watch")?;
        let heard = Arc::<Mutex<Heard>>::default();
        let names = Arc::new(names);
        let wall = SystemTime::now() - began.elapsed();
        let shown = agents.iter().position(|agent| agent.is_ingress);
        let mut tasks = Vec::new();
        for (number, agent) in agents.iter().enumerate() {
            let asker = Asker {
                agent: agent.clone(),
                names: Arc::clone(&names),
                heard: Arc::clone(&heard),
                began,
                wall,
                shows_path: shown == Some(number),
                since: 0,
                known: BTreeSet::new(),
                has_answered: false,
            };
            tasks.push(host.spawn(asker.run()));
        }
        Ok(Self {
            heard,
            tasks,
            _host: host,
        })
    }

    /// Stops and gives what was heard, by time.
    pub(super) fn end(self) -> Heard {
        self.tasks.iter().for_each(JoinHandle::abort);
        let mut heard = std::mem::take(&mut *lock(&self.heard));
        heard.events.sort_by_key(|event| event.at);
        heard
    }
}

/// The status that an agent's `/healthz` gives; `None` without an answer.
pub(super) async fn status(address: SocketAddr) -> Option<String> {
    let answer = timeout(ANSWER_LIMIT, http::get(address, "/healthz")).await;
    let health: Value = serde_json::from_slice(&answer.ok()?.ok()?.body).ok()?;
    health["status"].as_str().map(str::to_owned)
}

impl Asker {
    async fn run(mut self) {
        let mut pace = interval(CADENCE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            self.ask_events().await;
            self.ask_health().await;
            if self.shows_path {
                self.ask_path().await;
            }
        }
    }

    async fn json(&self, path: &str) -> Option<Value> {
        let answer = timeout(ANSWER_LIMIT, http::get(self.agent.http, path)).await;
        // `/healthz` has a body whatever its status.
        serde_json::from_slice(&answer.ok()?.ok()?.body).ok()
    }

    async fn ask_events(&mut self) {
        let path = format!("/api/events?since={}", self.since);
        let Some(Value::Array(events)) = self.json(&path).await else {
            // It may be another process when it answers again.
            self.since = 0;
            return;
        };
        let now = self.began.elapsed();
        for event in events {
            let number = event["number"].as_u64().unwrap_or(0);
            let at = event["at"].as_str().unwrap_or_default().to_owned();
            self.since = self.since.max(number);
            let time = self.time(&at, now);
            if !self.known.insert((number, at)) {
                continue;
            }
            let event = Event {
                at: time.unwrap_or_default(),
                agent: self.agent.name.clone(),
                kind: event["kind"].as_str().unwrap_or("unknown").to_owned(),
                text: describe(&event, &self.names),
                is_ingress: self.agent.is_ingress,
            };
            let mut heard = lock(&self.heard);
            match time {
                Some(_) => heard.events.push(event),
                None => heard.forming.push(event),
            }
        }
        self.has_answered = true;
    }

    /// When an event happened; `None`: before the load. By our own clock if the agent's is wrong.
    fn time(&self, at: &str, now: Duration) -> Option<Duration> {
        let told = humantime::parse_rfc3339(at).ok()?;
        match told.duration_since(self.wall) {
            Ok(since) if since <= now + TRUSTED => Some(since),
            Err(_) if !self.has_answered => None,
            // A clock that was stepped. Asked often, it has just happened.
            Ok(_) | Err(_) => Some(now),
        }
    }

    async fn ask_health(&mut self) {
        let Some(health) = self.json("/healthz").await else {
            return;
        };
        let at = self.began.elapsed();
        for reason in health["reasons"].as_array().into_iter().flatten() {
            let reason = named(reason.as_str().unwrap_or_default(), &self.names);
            let agent = self.agent.name.clone();
            let mut heard = lock(&self.heard);
            if heard.seen_reasons.insert((agent.clone(), reason.clone())) {
                heard.reasons.push(Reason { at, agent, reason });
            }
        }
    }

    async fn ask_path(&mut self) {
        let Some(Value::Array(streams)) = self.json("/api/streams").await else {
            return;
        };
        let mut uses: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for stream in &streams {
            let hops = stream["path"].as_array().into_iter().flatten();
            let name = |hop: &Value| named(hop.as_str().unwrap_or_default(), &self.names);
            let path: Vec<String> = hops.map(name).collect();
            if !path.is_empty() {
                *uses.entry(path).or_default() += 1;
            }
        }
        let Some((path, _)) = uses.into_iter().max_by_key(|(_, count)| *count) else {
            return;
        };
        let at = self.began.elapsed();
        let mut heard = lock(&self.heard);
        if heard.paths.last().is_none_or(|last| last.path != path) {
            heard.paths.push(PathSeen { at, path });
        }
    }
}

/// Ids in a text become names.
fn named(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (id, name) in names {
        text = text.replace(id.as_str(), name);
    }
    text
}

/// One line for people.
fn describe(event: &Value, names: &BTreeMap<String, String>) -> String {
    let text = |key: &str| named(event[key].as_str().unwrap_or_default(), names);
    let path = |key: &str| {
        let hops = event[key].as_array().into_iter().flatten();
        let hops = hops.map(|hop| named(hop.as_str().unwrap_or_default(), names));
        hops.collect::<Vec<_>>().join(" > ")
    };
    let millis = |key: &str| match event[key].as_f64() {
        Some(ms) => format!("{ms:.0} ms"),
        None => "unknown".to_owned(),
    };
    match event["kind"].as_str().unwrap_or_default() {
        "failover" => format!(
            "{} to {} by {} ({}): detected after {}, stall {}",
            text("side"),
            text("peer"),
            path("to"),
            text("cause"),
            millis("detection_ms"),
            millis("stall_ms"),
        ),
        "recovered" => format!("stall was {}", millis("stall_ms")),
        "link_down" => format!("{}: {}", text("peer"), text("reason")),
        "session_opened" => format!("{} with {}", text("side"), text("peer")),
        "session_ended" => format!("{} with {}: {}", text("side"), text("peer"), text("reason")),
        _ => text("peer"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_name_agents() {
        let names = [("aa11".to_owned(), "transit-a".to_owned())];
        let names = BTreeMap::from(names);
        let event = json!({ "kind": "link_down", "peer": "aa11", "reason": "no heartbeat" });
        assert_eq!(describe(&event, &names), "transit-a: no heartbeat");
        let event = json!({
            "kind": "failover", "side": "ingress", "peer": "aa11", "cause": "link_down",
            "to": ["aa11"], "detection_ms": 150.4, "stall_ms": null,
        });
        assert_eq!(
            describe(&event, &names),
            "ingress to transit-a by transit-a (link_down): detected after 150 ms, stall unknown"
        );
    }
}
