//! The timeline of a run as SVG: throughput above, and below a lane for faults, failovers, stalls,
//! new connections and paths.

use std::fmt::Write as _;
use std::time::Duration;

use super::record::{Outcome, Record, in_millis};
use crate::plot::{DATA, FAULT, Frame, INK, Labels, escape};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
/// The height of the curve.
const CURVE: f64 = 180.0;
/// From the curve to the first lane: the axis and its name.
const GAP: f64 = 62.0;
const LANE: f64 = 24.0;
const BAR: f64 = 14.0;

/// Pieces of time of the curve: about three pixels wide.
const BUCKETS: u128 = 270;

/// The shortest piece: senders send every 5 ms, so that shorter ones are empty by chance.
const SHORTEST_BUCKET_MS: i64 = 20;

/// Silences and waits from which on they are drawn: twice what an idle mesh on a busy machine has.
const NOTABLE: Duration = Duration::from_millis(60);

/// Lanes of faults: further ones are only in the table.
const MOST_FAULTS: usize = 12;

/// What stands in a lane.
struct Bar {
    from: Duration,
    to: Duration,
    text: String,
}

/// A named row of bars.
struct Lane {
    name: String,
    color: &'static str,
    bars: Vec<Bar>,
    /// Whether there is room to write into the bars.
    is_labelled: bool,
}

/// Draws it. `title` names the run.
pub(super) fn svg(title: &str, record: &Record) -> String {
    let lanes = lanes(record);
    let bottom = TOP + CURVE;
    let height = bottom + GAP + lanes.len() as f64 * LANE + 8.0;
    let length = i64::try_from(record.length.as_millis()).unwrap_or(i64::MAX);
    let bucket = i64::try_from(record.length.as_millis() / BUCKETS).unwrap_or(i64::MAX);
    let bucket = (bucket - bucket % 5).max(SHORTEST_BUCKET_MS);
    let mut frame = Frame {
        left: LEFT,
        right: WIDTH - RIGHT,
        top: TOP,
        bottom,
        from_ms: 0,
        to_ms: length,
        most: 1.0,
    };
    let reads = record.flows.iter().flat_map(|flow| &flow.arrivals);
    let reads = reads.map(|(at, bytes)| (in_millis(*at), *bytes));
    let speeds = frame.speeds(reads, bucket, 1e6);
    frame.most = speeds.iter().copied().fold(0.0, f64::max).ceil().max(1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{INK}\" role=\"img\">\n\
         <title>Timeline of {}</title>\n<desc>{}</desc>\n",
        escape(title),
        escape(&description(record))
    );
    let labels = Labels {
        time: "seconds since the load began",
        value: "Mbit/s",
        every_ms: if length > 12_000 { 2_000 } else { 1_000 },
        unit_ms: 1_000,
    };
    frame.axes(&mut out, labels);
    frame.curve(&mut out, &speeds, bucket);
    strikes(&mut out, &frame, record, height);
    for (number, lane) in lanes.iter().enumerate() {
        lane.draw(&mut out, &frame, bottom + GAP + number as f64 * LANE);
    }
    out.push_str("</svg>\n");
    out
}

/// The picture in words, for those who do not see it.
fn description(record: &Record) -> String {
    let mut text = format!(
        "Throughput of {} transfers over {} seconds.",
        record.flows.len(),
        record.length.as_secs_f64()
    );
    for fault in &record.faults {
        let _ = write!(text, " At {} ms: {}.", fault.at.as_millis(), fault.fault);
    }
    let stall = record.flows.iter().map(|flow| flow.stall()).max();
    if let Some(stall) = stall {
        let _ = write!(text, " Longest stall: {} ms.", stall.as_millis());
    }
    let _ = write!(
        text,
        " {} failovers, {} new connections failed, {} open ones broke.",
        record.failovers().count(),
        record.failed(),
        record.broken()
    );
    text
}

fn lanes(record: &Record) -> Vec<Lane> {
    let lane = |name: &str, color, bars, is_labelled| Lane {
        name: name.to_owned(),
        color,
        bars,
        is_labelled,
    };
    let mut lanes = Vec::new();
    for (number, fault) in record.faults.iter().take(MOST_FAULTS).enumerate() {
        let bar = Bar {
            from: fault.at,
            to: fault.until.unwrap_or(fault.at),
            text: fault.fault.clone(),
        };
        let name = if number == 0 { "faults" } else { "" };
        lanes.push(lane(name, FAULT, vec![bar], true));
    }
    let moves = record.failovers().map(|event| Bar {
        from: event.at,
        to: event.at,
        text: format!("{}: {}", event.agent, event.text),
    });
    lanes.push(lane("failovers", INK, moves.collect(), false));
    let stalls = record.flows.iter().flat_map(|flow| {
        let stalls = flow.stalls(NOTABLE).into_iter();
        stalls.map(|(from, to)| Bar {
            from,
            to,
            text: format!("{}: {} ms", flow.name, (to - from).as_millis()),
        })
    });
    lanes.push(lane("stalls", FAULT, stalls.collect(), false));
    let waits = record
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome == Outcome::Echoed && attempt.wait() >= NOTABLE);
    let waits = waits.map(|attempt| Bar {
        from: attempt.begun,
        to: attempt.ended,
        text: format!("{} ms", attempt.wait().as_millis()),
    });
    lanes.push(lane("slow connects", DATA, waits.collect(), false));
    let failed = record.attempts.iter().filter_map(|attempt| {
        Some(Bar {
            from: attempt.begun,
            to: attempt.ended,
            text: attempt.outcome.error()?.to_owned(),
        })
    });
    lanes.push(lane("failed connects", FAULT, failed.collect(), false));
    let ends = record.paths.iter().skip(1).map(|seen| seen.at);
    let paths = record.paths.iter().zip(ends.chain([record.length]));
    let paths = paths.map(|(seen, to)| Bar {
        from: seen.at,
        to,
        text: seen.path.join(" > "),
    });
    lanes.push(lane("path", DATA, paths.collect(), true));
    lanes
}

/// A dashed line through everything where each fault begins.
fn strikes(out: &mut String, frame: &Frame, record: &Record, height: f64) {
    for fault in &record.faults {
        let x = frame.x(in_millis(fault.at));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{FAULT}\" \
             stroke-dasharray=\"5 4\" stroke-opacity=\"0.6\"/>",
            height - 8.0
        );
    }
}

impl Lane {
    fn draw(&self, out: &mut String, frame: &Frame, top: f64) {
        let (left, right) = (frame.left, frame.right);
        let middle = top + LANE / 2.0;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
             <line x1=\"{left:.1}\" y1=\"{middle:.1}\" x2=\"{right:.1}\" y2=\"{middle:.1}\" \
             stroke=\"{INK}\" stroke-opacity=\"0.2\"/>",
            left - 8.0,
            middle + 4.0,
            self.name
        );
        for bar in &self.bars {
            let from = frame.x(in_millis(bar.from)).clamp(left, right);
            let to = frame.x(in_millis(bar.to)).clamp(left, right);
            let text = escape(&bar.text);
            let _ = writeln!(
                out,
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{}\" \
                 fill-opacity=\"{}\"><title>{text}</title></rect>",
                middle - BAR / 2.0,
                // What takes no time is seen all the same, and neighbours are told apart.
                (to - from - 1.0).max(3.0),
                self.color,
                // What is written on a bar must stand out from it.
                if self.is_labelled { 0.22 } else { 0.6 },
            );
            if self.is_labelled {
                let (x, anchor) = if from > f64::midpoint(left, right) {
                    (from - 4.0, "end")
                } else {
                    (from + 4.0, "start")
                };
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>",
                    middle + 4.0
                );
            }
        }
    }
}
