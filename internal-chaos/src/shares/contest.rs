//! Who shares a line, and what came of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

/// Ingresses that there is room for.
pub const MOST_SESSIONS: usize = 2;

/// Senders of one contest at most.
const MOST: usize = 8;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// An ingress with `connections.congestion: bbr`.
    Bbr,
    /// An ingress with `connections.congestion: cubic`.
    Cubic,
    /// A connection of the kernel's, with its CUBIC.
    Tcp,
}

/// Senders of one line, in the order in which they begin: `bbr+tcp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest(Vec<Sender>);

/// What one sender got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrivals(pub Vec<(Duration, usize)>);

/// What came of a contest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Mbit/s of each.
    pub mbit: Vec<f64>,
    /// Mbit/s of each in each second, from the beginning.
    pub by_second: Vec<Vec<f64>>,
}

impl Sender {
    const ALL: [Self; 3] = [Self::Bbr, Self::Cubic, Self::Tcp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bbr => "bbr",
            Self::Cubic => "cubic",
            Self::Tcp => "tcp",
        }
    }

    pub fn is_session(self) -> bool {
        self != Self::Tcp
    }
}

impl Contest {
    pub fn senders(&self) -> &[Sender] {
        &self.0
    }

    /// What each would have if all had the same, percent.
    pub fn fair(&self) -> f64 {
        100.0 / self.0.len() as f64
    }
}

impl FromStr for Contest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sender = |name: &str| {
            let found = Sender::ALL.into_iter().find(|sender| sender.name() == name);
            found.ok_or_else(|| format!("`{name}` is none of bbr, cubic, tcp"))
        };
        let senders: Vec<Sender> = text.split('+').map(sender).collect::<Result<_, _>>()?;
        let sessions = senders.iter().filter(|sender| sender.is_session()).count();
        if !(2..=MOST).contains(&senders.len()) {
            return Err(format!(
                "two to {MOST} senders share a line, as in `bbr+tcp`"
            ));
        }
        if sessions > MOST_SESSIONS {
            return Err(format!(
                "`{text}`: at most {MOST_SESSIONS} of them are sessions"
            ));
        }
        Ok(Self(senders))
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|sender| sender.name()).collect();
        f.write_str(&names.join("+"))
    }
}

impl Outcome {
    /// Of what arrived at each between `from` and `until`.
    pub fn of(arrivals: &[Arrivals], from: Duration, until: Duration) -> Self {
        let between = |it: &Arrivals| {
            let counted = it.0.iter().filter(|(at, _)| (from..until).contains(at));
            counted.map(|(_, bytes)| *bytes as f64).sum::<f64>()
        };
        let length = (until - from).as_secs_f64();
        Self {
            mbit: arrivals
                .iter()
                .map(|it| between(it) * 8e-6 / length)
                .collect(),
            by_second: arrivals.iter().map(|it| it.by_second(until)).collect(),
        }
    }

    /// Percent of all that arrived, of each.
    pub fn shares(&self) -> Vec<f64> {
        let all: f64 = self.mbit.iter().sum();
        let share = |mbit: &f64| 100.0 * mbit / all.max(f64::EPSILON);
        self.mbit.iter().map(share).collect()
    }

    /// The smallest share, percent.
    pub fn least(&self) -> f64 {
        self.shares().into_iter().fold(100.0, f64::min)
    }
}

impl Arrivals {
    fn by_second(&self, until: Duration) -> Vec<f64> {
        let mut seconds = vec![0.0; until.as_secs() as usize];
        for (at, bytes) in &self.0 {
            if let Some(second) = seconds.get_mut(at.as_secs() as usize) {
                *second += *bytes as f64 * 8e-6;
            }
        }
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn contests_are_known_by_their_senders() {
        for text in ["bbr+bbr", "cubic+tcp", "bbr+cubic+tcp", "tcp+tcp"] {
            assert_eq!(text.parse::<Contest>().unwrap().to_string(), text);
        }
        for wrong in ["bbr", "", "bbr+reno", "bbr+bbr+cubic", "bbr,tcp"] {
            assert!(wrong.parse::<Contest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_of_what_arrived_while_it_was_counted() {
        let one = Arrivals(vec![(SECOND / 2, 9_000_000), (SECOND, 1_000_000)]);
        let other = Arrivals(vec![(2 * SECOND, 3_000_000), (3 * SECOND, 9_000_000)]);
        let outcome = Outcome::of(&[one, other], SECOND, 3 * SECOND);
        assert_eq!(outcome.mbit, [4.0, 12.0]);
        assert_eq!(outcome.shares(), [25.0, 75.0]);
        assert_eq!(outcome.least(), 25.0);
        assert_eq!(outcome.by_second, [[72.0, 8.0, 0.0], [0.0, 0.0, 24.0]]);
    }

    #[test]
    fn who_got_nothing_has_no_share() {
        let nothing = [Arrivals::default(), Arrivals::default()];
        assert_eq!(Outcome::of(&nothing, Duration::ZERO, SECOND).least(), 0.0);
    }
}
