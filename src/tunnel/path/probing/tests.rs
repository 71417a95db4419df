use super::*;

const MS: Duration = Duration::from_millis(1);
const HURRY: Option<Duration> = Some(Duration::from_millis(20));

/// A session's probes, which its test says are answered.
struct Probed {
    probing: Probing,
    doubted: bool,
}

impl std::ops::Deref for Probed {
    type Target = Probing;

    fn deref(&self) -> &Probing {
        &self.probing
    }
}

impl std::ops::DerefMut for Probed {
    fn deref_mut(&mut self) -> &mut Probing {
        &mut self.probing
    }
}

fn probing(now: Instant) -> Probed {
    Probed {
        probing: Probing::new(now, 1_400, Timing::new(100 * MS)),
        doubted: false,
    }
}

/// Ticks; what was sent.
fn tick(probed: &mut Probed, now: Instant, doubt: Option<Duration>) -> Vec<Sent> {
    let last = probed.sequence;
    let way = |hop| Way {
        hops: vec![ShortId(hop), ShortId(4)],
        width: 0,
    };
    if doubt.is_some() && !std::mem::replace(&mut probed.doubted, doubt.is_some()) {
        probed.handle_doubt(now);
    }
    probed.doubted = doubt.is_some();
    let turn = Turn {
        active: Some(&way(2)),
        backup: Some(&way(3)),
        narrow: false,
        activity: Some(now),
        doubt,
    };
    probed.handle_tick(now, turn, &mut VecDeque::new());
    let new = probed.outstanding.iter().filter(|it| it.sequence > last);
    new.copied().collect()
}

/// A session whose first probes were answered.
fn settled(start: Instant) -> Probed {
    let mut probing = probing(start);
    for sent in tick(&mut probing, start, None).into_iter().rev() {
        assert!(sent.full);
        probing.handle_reply(sent.sequence);
    }
    probing
}

#[test]
fn a_busy_path_is_probed_in_full_every_200_ms() {
    let start = Instant::now();
    let mut probing = settled(start);
    for round in 0..4 {
        let due = start + (20 + round * 200) * MS;
        assert_eq!(probing.due(), due);
        let sent = tick(&mut probing, due, None);
        assert!(sent.iter().all(|sent| sent.full && sent.aim == Aim::Active));
        assert_eq!(sent.len(), 1);
    }
}

#[test]
fn an_unanswered_backup_is_shown_again_once_the_exit_answers() {
    let start = Instant::now();
    let mut probing = probing(start);
    let first = tick(&mut probing, start, None);
    assert_eq!((first.len(), first[0].aim), (2, Aim::Active));
    probing.handle_reply(first[0].sequence);
    let again = tick(&mut probing, start + 5 * MS, None);
    assert_eq!((again.len(), again[0].aim), (1, Aim::Backup));
    assert!(tick(&mut probing, start + 6 * MS, None).is_empty());
}

#[test]
fn a_doubt_is_told_along_both_ways_at_once_and_every_fifth_probe_is_full() {
    let start = Instant::now();
    let mut probing = settled(start);
    let mut full = Vec::new();
    for round in 0..11 {
        let sent = tick(&mut probing, start + (50 + round * 20) * MS, HURRY);
        assert_eq!(sent.len(), 2, "round {round}");
        assert_eq!(sent[0].full, sent[1].full);
        full.extend(sent[0].full.then_some(round));
    }
    assert_eq!(full, [0, 5, 10]);
    // The next doubt begins anew.
    tick(&mut probing, start + 500 * MS, None);
    let sent = tick(&mut probing, start + 510 * MS, HURRY);
    assert!(sent.iter().all(|sent| sent.full) && sent.len() == 2);
}

#[test]
fn once_a_short_probe_is_answered_all_are_full() {
    let start = Instant::now();
    let mut probing = settled(start);
    let at = |round: u32| start + (50 + 20 * round) * MS;
    assert!(tick(&mut probing, at(0), HURRY).iter().all(|it| it.full));
    let short = tick(&mut probing, at(1), HURRY)[0];
    assert!(!short.full && short.aim == Aim::Active);
    probing.handle_reply(short.sequence);
    for round in 2..5 {
        let full = tick(&mut probing, at(round), HURRY);
        let full = full.iter().map(|it| (it.aim, it.full));
        assert!(full.eq([(Aim::Active, true), (Aim::Backup, false)]));
    }
    // The next doubt begins anew.
    tick(&mut probing, at(5), None);
    tick(&mut probing, at(6), HURRY);
    let sent = tick(&mut probing, at(7), HURRY);
    assert!(sent.len() == 2 && sent.iter().all(|it| !it.full));
}

/// Full-size probes that may be answered before the verdict, the first of which was lost, on a path
/// of that round trip, ms.
fn full_before_verdict(heartbeat: u32, rtt: u32) -> usize {
    let (start, rtt) = (Instant::now(), rtt * MS);
    let timing = Timing::new(heartbeat * MS);
    let mut probing = settled(start);
    let begun = start + 50 * MS;
    let verdict = begun + timing.verdict.max(2 * rtt + 50 * MS);
    let (mut now, mut full, mut short) = (begun, 0, Vec::new());
    while now + rtt <= verdict {
        short.retain(|sent: &Sent| {
            let answered = now >= sent.at + rtt;
            if answered {
                probing.handle_reply(sent.sequence);
            }
            !answered
        });
        let hurry = Some(pace(now - begun));
        let sent = tick(&mut probing, now, hurry);
        for sent in sent.into_iter().filter(|sent| sent.aim == Aim::Active) {
            full += usize::from(sent.full);
            short.extend((!sent.full).then_some(sent));
        }
        now += MS;
    }
    full
}

#[test]
fn three_full_probes_at_least_decide_a_verdict() {
    for heartbeat in [10, 50, 100] {
        for rtt in [0, 1, 5, 20, 50, 100, 140, 160, 200, 300, 500, 1_000] {
            let full = full_before_verdict(heartbeat, rtt);
            assert!(full >= 3, "{full} at heartbeat {heartbeat}, rtt {rtt} ms");
        }
    }
    assert!(full_before_verdict(50, 5) >= 8);
    assert!(full_before_verdict(100, 5) >= 10);
}

#[test]
fn a_short_answer_does_not_stand_for_a_full_one() {
    let start = Instant::now();
    let mut probing = settled(start);
    let full = tick(&mut probing, start + 50 * MS, HURRY)[0];
    let short = tick(&mut probing, start + 70 * MS, HURRY)[0];
    assert_eq!(probing.handle_reply(short.sequence), Some(short));
    let waits = probing.missed_at(Duration::ZERO);
    assert_eq!(
        waits,
        Some(full.at + 150 * MS),
        "the full one is waited for"
    );
    let later = tick(&mut probing, start + 90 * MS, HURRY)[0];
    assert_eq!(probing.handle_reply(full.sequence), Some(full));
    assert_eq!(probing.missed_at(Duration::ZERO), Some(later.at + 150 * MS));
    assert_eq!(probing.missed(), 0);
}

#[test]
fn a_full_answer_stands_for_all_before_it() {
    let start = Instant::now();
    let mut probing = settled(start);
    for round in 0..5 {
        tick(&mut probing, start + (50 + 20 * round) * MS, HURRY);
    }
    let full = tick(&mut probing, start + 150 * MS, HURRY)[0];
    probing.handle_reply(full.sequence);
    assert_eq!(probing.missed_at(Duration::ZERO), None);
    assert_eq!(probing.missed(), 5);
}

#[test]
fn a_new_path_is_probed_until_it_is_confirmed() {
    let start = Instant::now();
    let mut probing = settled(start);
    probing.handle_moved(start + 100 * MS);
    let mut full = Vec::new();
    for round in 0..6 {
        let sent = tick(&mut probing, start + (100 + 20 * round) * MS, None);
        let active = sent.iter().find(|sent| sent.aim == Aim::Active).unwrap();
        full.extend(active.full.then_some(round));
    }
    assert_eq!(full, [0, 5]);
    let last = probing.sequence;
    probing.handle_reply(last);
    let due = tick(&mut probing, start + 220 * MS, None)[0];
    assert!(due.full);
    assert_eq!(probing.due(), start + 420 * MS);
}

/// Milliseconds until a doubted path counts as too narrow whose short probes are answered if `short`, and
/// of whose full ones the first `lost` are not; `None`: it does not within a second.
fn narrow_after(short: bool, lost: usize) -> Option<u32> {
    let start = Instant::now();
    let mut probing = settled(start);
    let mut full = 0;
    (1..50).map(|step| 20 * step).find(|ms| {
        let now = start + (50 + ms) * MS;
        for sent in tick(&mut probing, now, HURRY) {
            let answered = match (sent.aim, sent.full) {
                (Aim::Backup, _) => true,
                (_, false) => short,
                (_, true) => {
                    full += 1;
                    full > lost
                }
            };
            if answered {
                probing.handle_reply(sent.sequence);
            }
        }
        probing.is_too_narrow(now, 10 * MS)
    })
}

#[test]
fn a_path_that_passes_short_probes_and_loses_two_full_ones_is_too_narrow() {
    let after = narrow_after(true, usize::MAX);
    assert!(after.is_some_and(|ms| ms <= 200), "{after:?}");
    assert_eq!(narrow_after(true, 1), None, "one may be lost by chance");
    assert_eq!(
        narrow_after(false, usize::MAX),
        None,
        "a silent path is dead"
    );
    assert_eq!(narrow_after(true, 0), None);
}
