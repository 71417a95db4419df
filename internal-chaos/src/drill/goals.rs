//! What the drill must show. Each goal is held against the worst cell.

use super::cells::{Cell, Spread};
use super::fault::Class;
use super::quiet::Quiet;
use crate::verdict::Verdict;

/// The shortest time without a fault from which "never" may be concluded.
const QUIET_SECONDS: u64 = 600;

/// All goals, in the order in which they were set.
pub fn judge(cells: &[Cell], quiet: &[Quiet]) -> Vec<Verdict> {
    let mut verdicts = never(cells);
    verdicts.extend(default_settings(cells));
    verdicts.extend(fast_heartbeat(cells));
    verdicts.extend(false_alarms(quiet));
    verdicts
}

/// Whatever the settings.
fn never(cells: &[Cell]) -> Vec<Verdict> {
    let lives_on = |cell: &&Cell| cell.fault.class() != Class::Exit;
    let worst = |value: fn(&Cell) -> usize, cells: &mut dyn Iterator<Item = &Cell>| {
        cells.map(|cell| value(cell) as f64).reduce(f64::max)
    };
    let none = |goal, value| Verdict::at_most(goal, value, 0.0, "");
    vec![
        none(
            "transfers with lost or wrong bytes",
            worst(|cell| cell.damaged, &mut cells.iter()),
        ),
        none(
            "open connections broken by a fault of a path or transit",
            worst(|cell| cell.broken, &mut cells.iter().filter(lives_on)),
        ),
        none(
            "packets past the mesh",
            worst(|cell| cell.leaks as usize, &mut cells.iter()),
        ),
        none(
            "new connections that failed",
            worst(|cell| cell.failed_connects, &mut cells.iter()),
        ),
    ]
}

fn default_settings(cells: &[Cell]) -> Vec<Verdict> {
    let goal = |goal: &str, class, figure, limit| {
        let goal = format!("default settings: {goal}");
        timed(cells, &goal, ("default", class), figure, limit)
    };
    let waits = |fault: &str| format!("longest wait of a new connection, {fault}");
    vec![
        goal(
            "stall at a silent fault, median",
            Class::Silent,
            |cell| cell.stall_ms.map(|stall| stall.p50),
            200.0,
        ),
        goal(
            "stall at a silent fault, p99",
            Class::Silent,
            |cell| cell.stall_ms.map(|stall| stall.p99),
            400.0,
        ),
        goal(
            "stall at SIGTERM, longest",
            Class::Announced,
            |cell| cell.stall_ms.map(|stall| stall.max),
            100.0,
        ),
        goal(&waits("silent fault"), Class::Silent, longest_wait, 500.0),
        goal(&waits("SIGTERM"), Class::Announced, longest_wait, 500.0),
        goal(&waits("exit killed"), Class::Exit, longest_wait, 500.0),
    ]
}

fn fast_heartbeat(cells: &[Cell]) -> Vec<Verdict> {
    let goal = |goal: &str, figure, limit| {
        let goal = format!("heartbeat 50 ms: stall at a silent fault, {goal}");
        timed(cells, &goal, ("50ms", Class::Silent), figure, limit)
    };
    vec![
        goal("median", |cell| cell.stall_ms.map(|stall| stall.p50), 100.0),
        goal("p99", |cell| cell.stall_ms.map(|stall| stall.p99), 200.0),
    ]
}

/// Goals for the default settings.
fn false_alarms(quiet: &[Quiet]) -> Vec<Verdict> {
    let quiet = quiet.iter().find(|quiet| quiet.heartbeat == "default");
    let long_enough = quiet.filter(|quiet| quiet.seconds >= QUIET_SECONDS);
    vec![
        Verdict::at_most(
            "full load without a fault: false suspicions of one link",
            quiet.map(Quiet::worst_suspicions_per_minute),
            1.0,
            "a minute",
        ),
        Verdict::at_most(
            "full load without a fault: false downs in 10 minutes",
            long_enough.map(|quiet| quiet.downs() as f64),
            0.0,
            "",
        ),
    ]
}

type Figure = fn(&Cell) -> Option<f64>;

fn longest_wait(cell: &Cell) -> Option<f64> {
    cell.longest_wait_ms.map(|Spread { max, .. }| max)
}

/// Holds the worst cell of a heartbeat and a class against a limit in milliseconds, and names it. A
/// cell in which no connection lived on to have a stall counts as endless.
fn timed(
    cells: &[Cell],
    goal: &str,
    (heartbeat, class): (&str, Class),
    figure: Figure,
    limit: f64,
) -> Verdict {
    let value = |cell: &Cell| figure(cell).unwrap_or(f64::INFINITY);
    let worst = cells
        .iter()
        .filter(|cell| cell.heartbeat == heartbeat && cell.fault.class() == class)
        .max_by(|one, other| value(one).total_cmp(&value(other)));
    let goal = worst.map_or_else(
        || goal.to_owned(),
        |cell| {
            let Cell {
                fault,
                downloads,
                uploads,
                ..
            } = cell;
            format!("{goal} (worst: {fault}, {downloads}+{uploads})")
        },
    );
    Verdict::at_most(goal, worst.map(value), limit, "ms")
}

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::*;
    use crate::verdict::Outcome;

    fn cell(heartbeat: &str, fault: Fault, stall: f64) -> Cell {
        let spread = |value| {
            Some(Spread {
                p50: value,
                p99: value,
                max: value,
            })
        };
        Cell {
            heartbeat: heartbeat.to_owned(),
            downloads: 1,
            uploads: 1,
            fault,
            repeats: 1,
            damaged: 0,
            broken: 0,
            stall_ms: spread(stall),
            connects: 10,
            failed_connects: 0,
            longest_wait_ms: spread(stall),
            longest_without_ms: spread(stall),
            ended_after_ms: None,
            leaks: 0,
            pause_ms: spread(2.0),
            waited_percent: spread(5.0),
        }
    }

    fn outcomes(cells: &[Cell]) -> Vec<Outcome> {
        let verdicts = judge(cells, &[]);
        verdicts.iter().map(|verdict| verdict.outcome).collect()
    }

    #[test]
    fn the_worst_cell_counts() {
        use Outcome::{Met, Missed, NotMeasured};
        let cells = [
            cell("default", Fault::TransitKill, 150.0),
            cell("default", Fault::LinkCut, 250.0),
            cell("default", Fault::TransitTerm, 20.0),
            cell("50ms", Fault::TransitKill, 90.0),
        ];
        let expected = [
            [Met, Met, Met, Met].as_slice(),
            &[Missed, Met, Met, Met, Met, NotMeasured],
            &[Met, Met],
            &[NotMeasured, NotMeasured],
        ];
        assert_eq!(outcomes(&cells), expected.concat());
        assert_eq!(
            judge(&cells, &[])[4].to_string(),
            "MISSED: default settings: stall at a silent fault, median (worst: link-cut, 1+1): \
             250.00 ms (wanted: at most 200 ms)"
        );
    }

    #[test]
    fn a_dead_exit_may_break_what_ended_in_it() {
        let mut exit = cell("default", Fault::ExitKill, 100.0);
        exit.broken = 2;
        assert_eq!(outcomes(&[exit.clone()])[1], Outcome::NotMeasured);
        assert!(!exit.is_wrong());
        let mut path = cell("default", Fault::LinkCut, 100.0);
        path.broken = 1;
        assert_eq!(outcomes(&[exit, path.clone()])[1], Outcome::Missed);
        assert!(path.is_wrong());
    }

    #[test]
    fn a_stall_without_end_is_missed() {
        let mut broken = cell("default", Fault::GreyTransit, 0.0);
        broken.stall_ms = None;
        assert_eq!(outcomes(&[broken])[4], Outcome::Missed);
    }
}
