//! Probabilities and bit rates: parsed once, so that nothing behind them meets an impossible one.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Probability(f64);

/// Bits per second of UDP payload, never 0: what carries nothing is cut. Written as in `tc`:
/// `20mbit`, `750kbit`, `1gbit`, `9600bit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(NonZeroU64);

/// A text or number that is no probability or rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("`{0}` is no probability: a number from 0 to 1")]
    Probability(String),
    #[error("`{0}` is no rate: a whole number above 0 and bit, kbit, mbit or gbit")]
    Rate(String),
}

/// Larger ones first: every one of them ends in `bit`.
const RATE_UNITS: [(&str, u64); 4] = [
    ("gbit", 1_000_000_000),
    ("mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

impl Probability {
    pub const NEVER: Self = Self(0.0);
    pub const ALWAYS: Self = Self(1.0);

    /// So many out of a thousand.
    ///
    /// # Panics
    /// Above 1,000; in a constant, when it is compiled.
    pub const fn permille(count: u16) -> Self {
        assert!(count <= 1_000, "at most 1,000 out of 1,000");
        Self(count as f64 / 1_000.0)
    }

    /// From 0 to 1.
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl Rate {
    /// # Panics
    /// At 0; in a constant, when it is compiled.
    pub const fn bits(per_second: u64) -> Self {
        match NonZeroU64::new(per_second) {
            Some(rate) => Self(rate),
            None => panic!("a rate is above 0"),
        }
    }

    /// # Panics
    /// At 0; in a constant, when it is compiled.
    pub const fn kbit(per_second: u64) -> Self {
        Self::bits(per_second * 1_000)
    }

    /// # Panics
    /// At 0; in a constant, when it is compiled.
    pub const fn mbit(per_second: u64) -> Self {
        Self::bits(per_second * 1_000_000)
    }

    /// Bits per second.
    pub const fn per_second(self) -> u64 {
        self.0.get()
    }

    /// How long so many bytes take. Rounded up, so that no rounding exceeds the rate.
    pub fn time(self, bytes: usize) -> Duration {
        let nanos = (bytes as u128 * 8 * 1_000_000_000).div_ceil(u128::from(self.0.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl TryFrom<f64> for Probability {
    type Error = UnitError;

    fn try_from(value: f64) -> Result<Self, UnitError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(UnitError::Probability(value.to_string()))
        }
    }
}

impl From<Probability> for f64 {
    fn from(probability: Probability) -> Self {
        probability.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Rate(text.to_owned());
        let parts = RATE_UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
        let (digits, factor) = parts.ok_or_else(bad)?;
        let number: u64 = digits.parse().map_err(|_| bad())?;
        let rate = number.checked_mul(*factor).and_then(NonZeroU64::new);
        rate.map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Rate {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.0.get();
        let whole = |(_, factor): &&(&str, u64)| rate.is_multiple_of(*factor);
        let (unit, factor) = RATE_UNITS.iter().find(whole).unwrap_or(&("bit", 1));
        write!(f, "{}{unit}", rate / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_as_they_are_read() {
        for text in ["1bit", "1500bit", "750kbit", "20mbit", "1gbit", "1200mbit"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "0bit",
            "mbit",
            "20",
            "-1bit",
            "1.5mbit",
            "99999999999gbit",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_take_at_least_their_time() {
        assert_eq!(Rate::mbit(8).time(1_000), Duration::from_millis(1));
        assert_eq!(Rate::bits(3).time(1), Duration::from_nanos(2_666_666_667));
        assert_eq!(Rate::bits(1).time(0), Duration::ZERO);
    }

    #[test]
    fn probabilities_are_from_0_to_1() {
        assert_eq!(Probability::try_from(0.25), Ok(Probability::permille(250)));
        for bad in [-0.1, 1.01, f64::NAN, f64::INFINITY] {
            assert!(Probability::try_from(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Probability>("2").is_err());
    }
}
