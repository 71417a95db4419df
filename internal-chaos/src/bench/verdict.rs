//! What the figures must reach, judged by their medians.

use std::fmt;

use serde::Serialize;

use super::figures::{Figure, Figures};
use super::system::{Role, System};

/// Growth of a transit's memory, in KiB per idle connection, below which it counts as none: half
/// a MiB over 2,000 connections, the noise of a resident set.
const NO_GROWTH_KIB: f64 = 0.25;

/// One goal and how the run stands to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub goal: &'static str,
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

/// All goals, in the order in which they were set.
pub fn judge(figures: &Figures) -> Vec<Verdict> {
    let one = System::Warren(1);
    let median = |system, figure| figures.median(system, figure);
    let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let throughput = |system| median(system, Figure::ThroughputOne);
    let loss = |more: u8| {
        let (less, more) = (System::Warren(more - 1), System::Warren(more));
        Some((1.0 - ratio(throughput(more), throughput(less))?) * 100.0)
    };
    vec![
        verdict(
            "one transit: throughput against OpenSSH",
            ratio(throughput(one), throughput(System::OpenSsh)),
            Side::AtLeast,
            2.2,
            "×",
        ),
        verdict(
            "one transit: its CPU against the ingress's",
            ratio(
                median(one, Figure::CpuOne(Role::Transit)),
                median(one, Figure::CpuOne(Role::Ingress)),
            ),
            Side::AtMost,
            0.5,
            "×",
        ),
        verdict(
            "a second transit costs throughput",
            loss(2),
            Side::AtMost,
            12.0,
            "%",
        ),
        verdict(
            "a third transit costs throughput",
            loss(3),
            Side::AtMost,
            12.0,
            "%",
        ),
        verdict(
            "transit memory per idle connection",
            median(one, Figure::MemoryEach(Role::Transit)),
            Side::AtMost,
            NO_GROWTH_KIB,
            "KiB",
        ),
        verdict(
            "ingress memory per idle connection",
            median(one, Figure::MemoryEach(Role::Ingress)),
            Side::AtMost,
            8.0,
            "KiB",
        ),
        verdict(
            "one transit: echo p99 under bulk",
            median(one, Figure::BusyEchoTail),
            Side::AtMost,
            15.0,
            "ms",
        ),
    ]
}

fn verdict(
    goal: &'static str,
    value: Option<f64>,
    side: Side,
    limit: f64,
    unit: &'static str,
) -> Verdict {
    let outcome = match (value, side) {
        (None, _) => Outcome::NotMeasured,
        (Some(value), Side::AtLeast) if value >= limit => Outcome::Met,
        (Some(value), Side::AtMost) if value <= limit => Outcome::Met,
        (Some(_), _) => Outcome::Missed,
    };
    Verdict {
        goal,
        outcome,
        value,
        side,
        limit,
        unit,
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
        if let Some(value) = self.value {
            write!(f, ": {value:.2} {}", self.unit)?;
        }
        let side = match self.side {
            Side::AtLeast => "at least",
            Side::AtMost => "at most",
        };
        write!(f, " (wanted: {side} {} {})", self.limit, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_judged_and_gaps_named() {
        let mut figures = Figures::default();
        figures.record(System::OpenSsh, Figure::ThroughputOne, 2.0);
        figures.record(System::Warren(1), Figure::ThroughputOne, 4.4);
        figures.record(System::Warren(2), Figure::ThroughputOne, 3.3);
        let verdicts = judge(&figures);
        let outcomes: Vec<Outcome> = verdicts.iter().map(|verdict| verdict.outcome).collect();
        assert_eq!(outcomes[0], Outcome::Met);
        assert_eq!(outcomes[1], Outcome::NotMeasured);
        assert_eq!(outcomes[2], Outcome::Missed);
        assert_eq!(outcomes[3], Outcome::NotMeasured);
        assert_eq!(
            verdicts[2].to_string(),
            "MISSED: a second transit costs throughput: 25.00 % (wanted: at most 12 %)"
        );
        assert_eq!(
            verdicts[1].to_string(),
            "not measured: one transit: its CPU against the ingress's (wanted: at most 0.5 ×)"
        );
    }
}
