//! What the figures must reach, judged by their medians.

use super::figures::{Figure, Figures};
use super::system::{Role, System};
use crate::verdict::{Side, Verdict};

/// Growth of a transit's memory, in KiB per idle connection, below which it counts as none: half
/// a MiB over 2,000 connections, the noise of a resident set.
const NO_GROWTH_KIB: f64 = 0.25;

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
        Verdict::new(
            "one transit: throughput against OpenSSH",
            ratio(throughput(one), throughput(System::OpenSsh)),
            Side::AtLeast,
            2.2,
            "×",
        ),
        Verdict::new(
            "one transit: its CPU against the ingress's",
            ratio(
                median(one, Figure::CpuOne(Role::Transit)),
                median(one, Figure::CpuOne(Role::Ingress)),
            ),
            Side::AtMost,
            0.5,
            "×",
        ),
        Verdict::new(
            "a second transit costs throughput",
            loss(2),
            Side::AtMost,
            12.0,
            "%",
        ),
        Verdict::new(
            "a third transit costs throughput",
            loss(3),
            Side::AtMost,
            12.0,
            "%",
        ),
        Verdict::new(
            "transit memory per idle connection",
            median(one, Figure::MemoryEach(Role::Transit)),
            Side::AtMost,
            NO_GROWTH_KIB,
            "KiB",
        ),
        Verdict::new(
            "ingress memory per idle connection",
            median(one, Figure::MemoryEach(Role::Ingress)),
            Side::AtMost,
            8.0,
            "KiB",
        ),
        Verdict::new(
            "one transit: echo p99 under bulk",
            median(one, Figure::BusyEchoTail),
            Side::AtMost,
            15.0,
            "ms",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Outcome;

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
