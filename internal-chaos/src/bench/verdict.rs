//! What the figures must reach, judged by their medians.

use super::figures::{Figure, Figures, Held, Load, Payer};
use super::system::{Role, System};
use crate::verdict::{Side, Verdict};

/// Growth of a transit's memory, in KiB per idle connection, below which it counts as none: half
/// a MiB over 2,000 connections, the noise of a resident set.
const NO_GROWTH_KIB: f64 = 0.25;

/// All goals, in the order in which they were set.
pub fn judge(figures: &Figures) -> Vec<Verdict> {
    let one = System::Warren(1);
    let median = |figure| figures.median(one, figure);
    let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let throughput = |system| figures.median(system, Figure::Throughput(Load::One));
    let loss = |more: u8| {
        let (less, more) = (System::Warren(more - 1), System::Warren(more));
        Some((1.0 - ratio(throughput(more), throughput(less))?) * 100.0)
    };
    let cpu = |role| median(Figure::Cpu(Load::One, Payer::Role(role)));
    let each = |role| median(Figure::Memory(role, Held::Each));
    let at_most = |goal: &str, value, limit, unit| Verdict::at_most(goal, value, limit, unit);
    vec![
        Verdict::new(
            "one transit: throughput against OpenSSH",
            ratio(throughput(one), throughput(System::OpenSsh)),
            Side::AtLeast,
            2.2,
            "×",
        ),
        at_most(
            "one transit: its CPU against the ingress's",
            ratio(cpu(Role::Transit), cpu(Role::Ingress)),
            0.5,
            "×",
        ),
        at_most("a second transit costs throughput", loss(2), 12.0, "%"),
        at_most("a third transit costs throughput", loss(3), 12.0, "%"),
        at_most(
            "transit memory per idle connection",
            each(Role::Transit),
            NO_GROWTH_KIB,
            "KiB",
        ),
        at_most(
            "ingress memory per idle connection",
            each(Role::Ingress),
            8.0,
            "KiB",
        ),
        at_most(
            "one transit: echo p99 under bulk",
            median(Figure::BusyEchoTail),
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
        figures.record(System::OpenSsh, Figure::Throughput(Load::One), 2.0);
        figures.record(System::Warren(1), Figure::Throughput(Load::One), 4.4);
        figures.record(System::Warren(2), Figure::Throughput(Load::One), 3.3);
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
