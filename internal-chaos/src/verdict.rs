//! Goals, and how a run stands to them.

use std::fmt;

use serde::Serialize;

/// One goal and how the run stands to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub goal: String,
    pub outcome: Outcome,
    /// What was measured; absent if a system was not.
    pub value: Option<f64>,
    pub side: Side,
    pub limit: f64,
    pub unit: &'static str,
}

/// How a goal fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Met,
    Missed,
    NotMeasured,
}

/// On which side of the limit the value must be; the limit itself is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    AtLeast,
    AtMost,
}

impl Verdict {
    /// Judges what must not exceed a limit.
    pub fn at_most(
        goal: impl Into<String>,
        value: Option<f64>,
        limit: f64,
        unit: &'static str,
    ) -> Self {
        Self::new(goal, value, Side::AtMost, limit, unit)
    }

    /// Judges what was measured, if it was.
    pub fn new(
        goal: impl Into<String>,
        value: Option<f64>,
        side: Side,
        limit: f64,
        unit: &'static str,
    ) -> Self {
        let outcome = match (value, side) {
            (None, _) => Outcome::NotMeasured,
            (Some(value), Side::AtLeast) if value >= limit => Outcome::Met,
            (Some(value), Side::AtMost) if value <= limit => Outcome::Met,
            (Some(_), _) => Outcome::Missed,
        };
        Self {
            goal: goal.into(),
            outcome,
            value,
            side,
            limit,
            unit,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Met => "met",
            Outcome::Missed => "MISSED",
            Outcome::NotMeasured => "not measured",
        };
        write!(f, "{outcome}: {}", self.goal)?;
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", self.unit)
        };
        // What has no unit is a number of things.
        match self.value {
            Some(value) if unit.is_empty() => write!(f, ": {value}")?,
            Some(value) => write!(f, ": {value:.2}{unit}")?,
            None => {}
        }
        let side = match self.side {
            Side::AtLeast => "at least",
            Side::AtMost => "at most",
        };
        write!(f, " (wanted: {side} {}{unit})", self.limit)
    }
}
