//! That leaks are found, and only leaks.

use std::time::Duration;

use super::*;

const NOTHING: Size = Size {
    memory_bytes: 30 * 1024 * 1024,
    descriptors: 20,
    tasks: Some(40),
    streams: Some(0),
};

/// A life of so many cycles, sampled three times in each quiet state and once under load.
fn life(pid: u32, cycles: usize, size: impl Fn(usize) -> Size) -> Vec<Sample> {
    let sample = |cycle, phase, size| Sample {
        at: Duration::from_secs(20 * cycle as u64),
        cycle,
        phase,
        agent: "ingress".to_owned(),
        pid,
        size,
    };
    let busy = Size {
        memory_bytes: u64::MAX,
        descriptors: 60_000,
        tasks: None,
        streams: Some(9_000),
    };
    (1..=cycles)
        .flat_map(|cycle| {
            let quiet = sample(cycle, Phase::Quiet, size(cycle));
            [
                sample(cycle, Phase::Load, busy),
                quiet.clone(),
                quiet.clone(),
                quiet,
            ]
        })
        .collect()
}

/// What grows, and from what to what.
fn grown(samples: &[Sample]) -> Vec<(Measure, f64, f64)> {
    let grown = trends(samples).into_iter().filter(|trend| trend.grows);
    grown
        .map(|trend| (trend.measure, trend.first, trend.last))
        .collect()
}

#[test]
fn what_stays_as_it_is_does_not_grow() {
    let samples = life(7, 30, |_| NOTHING);
    assert_eq!(grown(&samples), []);
    assert_eq!(trends(&samples).len(), Measure::ALL.len());
}

#[test]
fn each_measure_can_grow() {
    let leak = |cycle: usize| cycle as u64;
    let memory = |cycle| Size {
        memory_bytes: NOTHING.memory_bytes + leak(cycle) * 1024 * 1024,
        ..NOTHING
    };
    let found = grown(&life(7, 30, memory));
    let mib = |count: f64| count * MIB;
    assert_eq!(found, [(Measure::Memory, mib(37.0), mib(56.0))]);
    let descriptors = |cycle| Size {
        descriptors: NOTHING.descriptors + leak(cycle),
        ..NOTHING
    };
    let found = grown(&life(7, 30, descriptors));
    assert_eq!(found, [(Measure::Descriptors, 27.0, 46.0)]);
    let tasks = |cycle| Size {
        tasks: Some(40 + leak(cycle)),
        ..NOTHING
    };
    let found = grown(&life(7, 30, tasks));
    assert_eq!(found, [(Measure::Tasks, 47.0, 66.0)]);
    let streams = |cycle| Size {
        streams: Some(leak(cycle) / 10),
        ..NOTHING
    };
    let found = grown(&life(7, 30, streams));
    assert_eq!(found, [(Measure::Streams, 0.0, 2.0)]);
}

#[test]
fn a_step_and_a_spike_are_no_growth() {
    let step = |cycle| Size {
        memory_bytes: if cycle < 10 { 30 << 20 } else { 60 << 20 },
        ..NOTHING
    };
    assert_eq!(grown(&life(7, 30, step)), []);
    let spike = |cycle| Size {
        descriptors: if cycle == 28 { 500 } else { 20 },
        ..NOTHING
    };
    assert_eq!(grown(&life(7, 30, spike)), []);
}

#[test]
fn a_restart_begins_anew() {
    let grows = |pid: usize| {
        move |cycle| Size {
            tasks: Some((40 + 100 * pid + cycle) as u64),
            ..NOTHING
        }
    };
    let mut samples = life(1, 12, grows(1));
    samples.extend(life(2, 12, grows(2)));
    assert_eq!(grown(&samples), []);
    assert_eq!(trends(&samples).len(), 2 * Measure::ALL.len());
}

#[test]
fn short_lives_are_not_judged() {
    let least = WARM_UP + LEAST_STATES;
    assert_eq!(trends(&life(7, least - 1, |_| NOTHING)), []);
    assert_eq!(trends(&life(7, least, |_| NOTHING)).len(), 4);
}

#[test]
fn an_agent_that_does_not_answer_is_judged_by_the_rest() {
    let mute = Size {
        tasks: None,
        streams: None,
        ..NOTHING
    };
    let judged = trends(&life(7, 30, |_| mute));
    let measures: Vec<Measure> = judged.iter().map(|trend| trend.measure).collect();
    assert_eq!(measures, [Measure::Memory, Measure::Descriptors]);
}
