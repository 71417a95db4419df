//! What one direction of a link does to its packets: the figures. [`crate::relay::Pipe`] acts on
//! them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{Probability, Rate};

/// What one direction of a link does to its packets. In a file, whatever is left out is as in
/// [`CLEAR`](Self::CLEAR).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Impairment {
    /// What the link carries. `None`: as much as comes.
    pub rate: Option<Rate>,
    /// Bytes that wait for the link at most; further packets are dropped at its tail. Counts only
    /// with a rate; one packet always fits.
    pub queue: usize,
    /// Propagation, besides what queue and rate add. At most [`LONGEST_DELAY`].
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// Every packet is delayed by up to so much more, evenly distributed. Order is kept: a packet
    /// waits for the one before it. At most [`LONGEST_DELAY`].
    #[serde(with = "humantime_serde")]
    pub jitter: Duration,
    /// Loss of single packets; with [`bursts`](Self::bursts), between them.
    pub loss: Probability,
    pub bursts: Option<Bursts>,
    /// The largest UDP payload that fits, in bytes; larger ones are dropped without a word, as
    /// behind a path MTU black hole (RFC 8899 section 1).
    pub mtu: Option<usize>,
    /// Nothing arrives.
    pub cut: bool,
    pub outages: Option<Outages>,
}

/// Losses that come together: the bad state of a Gilbert–Elliott chain, which moves once per
/// packet (Elliott 1963). Its mean length is 1 / `leave` packets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// From good to bad.
    pub enter: Probability,
    /// From bad to good.
    pub leave: Probability,
    /// Loss in the bad state.
    pub loss: Probability,
}

/// A link that comes and goes, first up. Time counts from the moment at which it was imposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outages {
    #[serde(with = "humantime_serde")]
    pub up: Duration,
    #[serde(with = "humantime_serde")]
    pub down: Duration,
}

/// Longer ones are taken as this: far beyond every time-out of an agent, and no overflow.
pub const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// Room for the burst of a sender that knows no better: the bytes of 100 full packets.
const DEFAULT_QUEUE: usize = 150_000;

impl Impairment {
    /// A link that does nothing.
    pub const CLEAR: Self = Self {
        rate: None,
        queue: DEFAULT_QUEUE,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: Probability::NEVER,
        bursts: None,
        mtu: None,
        cut: false,
        outages: None,
    };

    /// A link that carries nothing.
    pub const CUT: Self = Self {
        cut: true,
        ..Self::CLEAR
    };
}

impl Default for Impairment {
    fn default() -> Self {
        Self::CLEAR
    }
}

/// What differs from a clear link, on one line.
impl fmt::Display for Impairment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.cut {
            parts.push("cut".to_owned());
        }
        if let Some(rate) = self.rate {
            parts.push(format!("{rate}, queue {} B", self.queue));
        }
        if !self.delay.is_zero() || !self.jitter.is_zero() {
            parts.push(format!("{:?} + 0..{:?}", self.delay, self.jitter));
        }
        if self.loss > Probability::NEVER {
            parts.push(format!("loss {:.1} %", self.loss.value() * 100.0));
        }
        if let Some(bursts) = &self.bursts {
            parts.push(format!("bursts {:.1} %", bursts.share() * 100.0));
        }
        if let Some(mtu) = self.mtu {
            parts.push(format!("MTU {mtu} B"));
        }
        if let Some(outages) = &self.outages {
            parts.push(format!("{:?} up, {:?} down", outages.up, outages.down));
        }
        if parts.is_empty() {
            return f.write_str("clear");
        }
        f.write_str(&parts.join(", "))
    }
}

impl Bursts {
    /// The share of all packets that bursts lose, in the long run.
    pub fn share(&self) -> f64 {
        let (enter, leave) = (self.enter.value(), self.leave.value());
        if enter + leave == 0.0 {
            return 0.0;
        }
        enter / (enter + leave) * self.loss.value()
    }
}

impl Outages {
    /// Whether the link is down so long after the beginning.
    pub fn down_after(&self, elapsed: Duration) -> bool {
        let period = (self.up + self.down).as_nanos();
        period > 0 && elapsed.as_nanos() % period >= self.up.as_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_what_differs_from_a_clear_link() {
        let text = r#"{ "rate": "20mbit", "delay": "40ms", "loss": 0.01, "bursts": null,
                       "outages": { "up": "5s", "down": "1s" } }"#;
        let impairment: Impairment = serde_json::from_str(text).unwrap();
        let expected = Impairment {
            rate: Some(Rate::mbit(20)),
            delay: Duration::from_millis(40),
            loss: Probability::permille(10),
            outages: Some(Outages {
                up: Duration::from_secs(5),
                down: Duration::from_secs(1),
            }),
            ..Impairment::CLEAR
        };
        assert_eq!(impairment, expected);
        let again = serde_json::to_string(&impairment).unwrap();
        assert_eq!(
            serde_json::from_str::<Impairment>(&again).unwrap(),
            expected
        );
        for bad in [r#"{"dealy":"1s"}"#, r#"{"loss":1.5}"#, r#"{"delay":5}"#] {
            assert!(serde_json::from_str::<Impairment>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn outages_begin_up_and_repeat() {
        let outages = Outages {
            up: Duration::from_secs(5),
            down: Duration::from_secs(1),
        };
        let down = |millis| outages.down_after(Duration::from_millis(millis));
        assert!(!down(0) && !down(4_999) && down(5_000) && down(5_999) && !down(6_000));
        assert!(down(11_500));
        let never = Outages {
            up: Duration::ZERO,
            down: Duration::ZERO,
        };
        assert!(!never.down_after(Duration::from_secs(1)));
    }

    #[test]
    fn bursts_have_a_share() {
        let bursts = Bursts {
            enter: Probability::permille(10),
            leave: Probability::permille(190),
            loss: Probability::permille(400),
        };
        assert!((bursts.share() - 0.02).abs() < 1e-9);
    }
}
