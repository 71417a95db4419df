//! A scenario for every named condition: a link under it forms at the first dial, holds while nothing
//! is asked of it, and carries checked traffic. They are in the library as `link-NAME`.
//!
//! What a link must do follows from its condition: one that goes dead for longer than links live in
//! silence is lost with every outage and must return; one over which nothing passes one way is sound
//! at first, is lost when the condition begins and must return when it ends.

use std::time::Duration;

use super::file;
use super::model::Scenario;
use crate::condition::{self, Condition};
use crate::impairment::Impairment;
use crate::packet::Direction;
use crate::units::Rate;
use crate::workload::socks::CONNECT_LIMIT;

/// What these scenarios begin with in the library.
pub const PREFIX: &str = "link-";

/// How long each part lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Seconds, for every change.
    Short,
    /// Ten minutes idle and five under load, by night. Slow lines are filled.
    Long,
}

/// A load of its own accord fills lines up to this rate; others get [`PACE`], because it is links that
/// are judged and not what the machine carries.
const SLOW: Rate = Rate::mbit(20);

/// Each way, on lines that it does not fill.
const PACE: Rate = Rate::mbit(8);

/// Links go down after so much silence at default settings (`heartbeat` times `dead_after`).
const DEAD_AFTER: Duration = Duration::from_millis(300);

/// The start of two agents, and the second for which each hides that it comes and goes.
const START: Duration = Duration::from_secs(4);

/// A link takes so many round trips: two of handshake, which a lost packet doubles, one of hello, two
/// of news, and one that they are late by.
const ROUNDS: u32 = 8;

/// A connection over a full line waits for a queue of a round trip, there and back, and its request may
/// be lost and sent again.
const CONNECT_ROUNDS: u32 = 10;

/// What became of the link once the condition is over: the longest delay between two attempts is a
/// minute, of which a fifth is left to chance.
const LONG_RETURN: Duration = Duration::from_secs(75);

/// After seconds of silence only the first attempt is under way, and asks again in time.
const SHORT_RETURN: Duration = Duration::from_secs(8);

/// All of them, in the order of conditions.
pub fn all(length: Length) -> impl Iterator<Item = Scenario> {
    condition::ALL
        .into_iter()
        .map(move |condition| scenario(&condition, length))
}

/// The one with this name.
pub fn find(name: &str, length: Length) -> Option<Scenario> {
    let condition: Condition = name.strip_prefix(PREFIX)?.parse().ok()?;
    Some(scenario(&condition, length))
}

fn scenario(condition: &Condition, length: Length) -> Scenario {
    let name = format!("{PREFIX}{condition}");
    let scenario = match is_cut(condition) {
        true => cut(condition, length),
        false => live(condition, length),
    };
    file::parse(&name, &format!("{name}.yaml"), &scenario).expect("a test reads all of them")
}

fn ways(condition: &Condition) -> [Impairment; 2] {
    Direction::ALL.map(|direction| condition.towards(direction))
}

fn is_cut(condition: &Condition) -> bool {
    ways(condition).iter().any(|way| way.cut)
}

/// Whether the link goes down by itself.
fn flaps(condition: &Condition) -> bool {
    let outages = ways(condition).map(|way| way.outages);
    outages.iter().flatten().any(|it| it.down >= DEAD_AFTER)
}

fn idle_and_load(length: Length) -> (Duration, Duration) {
    let seconds = Duration::from_secs;
    match length {
        Length::Short => (seconds(3), seconds(6)),
        Length::Long => (seconds(600), seconds(300)),
    }
}

/// A link that carries something.
fn live(condition: &Condition, length: Length) -> String {
    let (idle, load) = idle_and_load(length);
    let flaps = flaps(condition);
    let bound = |steady: &'static str| if flaps { "at least 0" } else { steady };
    let forms = START + condition.round_trip() * ROUNDS;
    format!(
        "summary: {name}, {what}; forms, holds and carries\n\
         duration: {duration}\n\
         drain: {drain}\n\
         connect-limit: {limit}\n\
         agents: {{ ingress: {{ roles: [ingress] }}, exit: {{ roles: [exit] }} }}\n\
         links: [{{ between: [ingress, exit], condition: {name} }}]\n\
         workload:\n{load}\
         expect:\n  \
           forms-within: {forms}\n  failed-dials: {dials}\n  link-downs: {downs}\n  \
           broken: {broken}\n  failed: {failed}\n",
        name = condition.name,
        what = condition.summary,
        duration = text(idle + load),
        drain = text(drain(length)),
        limit = text(CONNECT_LIMIT.max(condition.round_trip() * CONNECT_ROUNDS)),
        forms = text(forms),
        load = loads(condition, length, idle),
        dials = bound("0"),
        downs = bound("0"),
        broken = bound("0"),
        failed = bound("0"),
    )
}

/// A link that is sound, cut as the condition says, and sound again.
fn cut(condition: &Condition, length: Length) -> String {
    let (idle, load) = idle_and_load(length);
    let back = match length {
        Length::Short => SHORT_RETURN,
        Length::Long => LONG_RETURN,
    };
    format!(
        "summary: {name}, {what}; the link is lost and returns\n\
         duration: {duration}\n\
         jitter: 0s\n\
         agents: {{ ingress: {{ roles: [ingress] }}, exit: {{ roles: [exit] }} }}\n\
         links: [{{ between: [ingress, exit] }}]\n\
         faults: [{{ at: 0s, do: condition, target: ingress <-> exit, condition: {name}, \
                     for: {idle} }}]\n\
         workload:\n{load}  - {{ do: connect, every: 500ms }}\n\
         expect:\n  \
           forms-within: {forms}\n  link-downs: at least 2\n  failed: at least 1\n  \
           replies: [3, 6]\n  recovers-within: {back}\n",
        name = condition.name,
        what = condition.summary,
        duration = text(idle + back + load),
        idle = text(idle),
        back = text(back),
        forms = text(START),
        load = loads(condition, length, idle + back),
    )
}

/// As files have it.
fn text(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

/// Transfers both ways, requests, and new connections, from `at` on.
fn loads(condition: &Condition, length: Length, at: Duration) -> String {
    let rate = |direction| {
        let carries = condition.towards(direction).rate;
        match (carries, length) {
            (Some(rate), Length::Long) if rate <= SLOW => String::new(),
            (Some(rate), _) if rate <= SLOW => {
                let kbit = rate.per_second().min(PACE.per_second()) / 4_000;
                format!(", rate: {kbit}kbit")
            }
            _ => format!(", rate: {}", PACE),
        }
    };
    let at = text(at);
    let (down, up) = (rate(Direction::ToClient), rate(Direction::ToServer));
    let again = match flaps(condition) {
        true => ", again: true",
        false => "",
    };
    format!(
        "  - {{ do: download, at: {at}{down}{again} }}\n  - {{ do: upload, at: {at}{up}{again} }}\n  \
           - {{ do: request, at: {at} }}\n  - {{ do: connect, at: {at}, every: 500ms }}\n"
    )
}

/// What a full line has under way is more than what waits for it: what both hosts hold for the
/// connection, too, some MiB in all, which take minutes at 500 kbit/s.
fn drain(length: Length) -> Duration {
    Duration::from_secs(match length {
        Length::Short => 15,
        Length::Long => 400,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_one_of_either_length() {
        for condition in condition::ALL {
            let name = format!("{PREFIX}{condition}");
            let short = find(&name, Length::Short).expect("it has one");
            let long = find(&name, Length::Long).expect("it has one");
            assert!(short.duration <= Duration::from_secs(20), "{name}");
            assert!(long.duration >= Duration::from_secs(15 * 60), "{name}");
            assert!(!short.summary.ends_with('.'), "{name}: a line of a list");
        }
        assert!(find("link-earthquake", Length::Short).is_none());
        assert!(find("wan", Length::Short).is_none());
    }

    #[test]
    fn only_what_goes_dead_may_lose_its_link() {
        let may = |name: &str| {
            let scenario = find(name, Length::Long).unwrap();
            !scenario.expect.link_downs.unwrap().allows(0)
                || scenario.expect.link_downs.unwrap().allows(1)
        };
        let names: Vec<&str> = condition::ALL.map(|it| it.name).to_vec();
        let lost = names
            .into_iter()
            .filter(|name| may(&format!("{PREFIX}{name}")));
        let lost: Vec<&str> = lost.collect();
        assert_eq!(
            lost,
            ["flapping", "deaf-server", "deaf-client", "black-hole"]
        );
    }

    #[test]
    fn transfers_begin_anew_where_links_must_return() {
        for scenario in all(Length::Long) {
            let (again, once): (Vec<_>, Vec<_>) =
                scenario.loads.iter().partition(|load| load.again);
            let is_flapping = scenario.name == "link-flapping";
            assert_eq!(
                again.len(),
                if is_flapping { 2 } else { 0 },
                "{}",
                scenario.name
            );
            assert!(once.len() >= 2);
        }
    }
}
