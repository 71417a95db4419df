//! The picture: throughput of one download through the death of the transit that carries it, as an
//! SVG that reads on light and on dark ground.

use std::fmt::Write as _;

use anyhow::{Context, ensure};

use super::fault::Fault;
use super::repeat::{Repeat, Settings, signed_millis};

/// Time is cut into pieces of this length.
const BUCKET_MS: i64 = 20;

/// What is drawn, in milliseconds since the fault: a steady time before it, the stall, and the way
/// back to full speed.
const FROM_MS: i64 = -300;
const TO_MS: i64 = 900;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 320.0;
/// Room for the axes.
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 56.0;

/// Of middling brightness, so that they stand out from white and from black.
const INK: &str = "#6e7781";
const DATA: &str = "#2f81f7";
const FAULT: &str = "#d1484a";

/// One download, as fast as it goes, at default settings.
pub fn settings(seed: u64) -> Settings {
    Settings {
        heartbeat: None,
        fault: Fault::TransitKill,
        downloads: 1,
        uploads: 0,
        rate: None,
        seed,
    }
}

/// Draws the first transfer of a repeat.
pub fn svg(repeat: &Repeat) -> anyhow::Result<String> {
    let seen = repeat
        .transfers
        .first()
        .context("nothing was transferred")?;
    let reads = seen
        .arrivals
        .iter()
        .map(|&(when, bytes)| (signed_millis(repeat.struck_at, when), bytes));
    let speeds = speeds(reads);
    ensure!(
        speeds.iter().any(|&speed| speed > 0.0),
        "nothing arrived around the fault"
    );
    Ok(draw(&speeds, seen.stall_ms))
}

/// Gbit/s in each bucket. `reads` are milliseconds since the fault, and bytes.
fn speeds(reads: impl Iterator<Item = (f64, usize)>) -> Vec<f64> {
    let count = usize::try_from((TO_MS - FROM_MS) / BUCKET_MS).unwrap_or(0);
    let mut bytes = vec![0.0; count];
    for (at, read) in reads {
        let bucket = ((at - FROM_MS as f64) / BUCKET_MS as f64).floor();
        if bucket >= 0.0
            && let Some(sum) = bytes.get_mut(bucket as usize)
        {
            *sum += read as f64;
        }
    }
    let per_bucket = 8.0 / 1e9 / (BUCKET_MS as f64 / 1e3);
    bytes.into_iter().map(|sum| sum * per_bucket).collect()
}

/// Coordinates of the drawing.
struct Frame {
    /// The top of the vertical axis, Gbit/s.
    most: f64,
}

impl Frame {
    fn x(&self, ms: f64) -> f64 {
        LEFT + (ms - FROM_MS as f64) / (TO_MS - FROM_MS) as f64 * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, speed: f64) -> f64 {
        let height = HEIGHT - TOP - BOTTOM;
        TOP + height - speed / self.most * height
    }
}

fn draw(speeds: &[f64], stall_ms: Option<f64>) -> String {
    let highest = speeds.iter().copied().fold(0.0, f64::max);
    let frame = Frame {
        most: highest.max(0.1).ceil().max(1.0),
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{INK}\" role=\"img\">\n\
         <title>Throughput of one download while the transit in use is killed</title>\n"
    );
    axes(&mut out, &frame);
    curve(&mut out, &frame, speeds);
    mark(&mut out, &frame, stall_ms);
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String, frame: &Frame) {
    let (left, right) = (frame.x(FROM_MS as f64), frame.x(TO_MS as f64));
    let steps = if frame.most > 5.0 { 2.0 } else { 1.0 };
    let mut speed = 0.0;
    while speed <= frame.most {
        let y = frame.y(speed);
        let opacity = if speed == 0.0 { 1.0 } else { 0.3 };
        let _ = writeln!(
            out,
            "<line x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" \
             stroke=\"{INK}\" stroke-opacity=\"{opacity}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{speed}</text>",
            left - 8.0,
            y + 4.5
        );
        speed += steps;
    }
    for ms in (FROM_MS..=TO_MS).step_by(100) {
        let x = frame.x(ms as f64);
        let y = frame.y(0.0);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{INK}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{ms}</text>",
            y + 5.0,
            y + 20.0
        );
    }
    let middle = f64::midpoint(left, right);
    let _ = writeln!(
        out,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">time since the fault, ms</text>",
        HEIGHT - 12.0
    );
    let middle = f64::midpoint(frame.y(0.0), frame.y(frame.most));
    let _ = writeln!(
        out,
        "<text transform=\"translate(20 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">\
         Gbit/s</text>"
    );
}

/// A step for each bucket.
fn curve(out: &mut String, frame: &Frame, speeds: &[f64]) {
    let mut line = String::new();
    for (&speed, number) in speeds.iter().zip(0_i64..) {
        let from = FROM_MS + number * BUCKET_MS;
        let y = frame.y(speed);
        let step = if number == 0 { 'M' } else { 'L' };
        let (x, next) = (frame.x(from as f64), frame.x((from + BUCKET_MS) as f64));
        let _ = write!(line, "{step}{x:.1} {y:.1}L{next:.1} {y:.1}");
    }
    let (left, right) = (frame.x(FROM_MS as f64), frame.x(TO_MS as f64));
    let floor = frame.y(0.0);
    let _ = writeln!(
        out,
        "<path d=\"{line}L{right:.1} {floor:.1}L{left:.1} {floor:.1}Z\" fill=\"{DATA}\" \
         fill-opacity=\"0.18\"/>\n\
         <path d=\"{line}\" fill=\"none\" stroke=\"{DATA}\" stroke-width=\"1.8\" \
         stroke-linejoin=\"round\"/>"
    );
}

fn mark(out: &mut String, frame: &Frame, stall_ms: Option<f64>) {
    let x = frame.x(0.0);
    let stall = stall_ms.map_or_else(
        || "the connection broke".to_owned(),
        |ms| format!("longest stall {ms:.0} ms, no byte lost"),
    );
    let _ = writeln!(
        out,
        "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{FAULT}\" \
         stroke-width=\"1.8\" stroke-dasharray=\"5 4\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{FAULT}\">SIGKILL of the transit in use: {stall}</text>",
        TOP - 14.0,
        frame.y(0.0),
        x + 8.0,
        TOP - 18.0
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fall_into_buckets_around_the_fault() {
        let reads = [(-300.0, 2_500_000), (-0.5, 1_250_000), (0.0, 5_000_000)];
        let outside = [(-301.0, 1), (900.0, 1)];
        let speeds = speeds(reads.into_iter().chain(outside));
        assert_eq!(speeds.len(), 60);
        assert_eq!((speeds[0], speeds[14], speeds[15]), (1.0, 0.5, 2.0));
        assert_eq!(speeds.iter().sum::<f64>(), 3.5);
    }

    #[test]
    fn the_drawing_names_its_axes_and_the_stall() {
        let svg = draw(&[1.0, 0.0, 2.5], Some(123.4));
        for part in [
            "time since the fault, ms",
            "Gbit/s",
            "SIGKILL of the transit in use: longest stall 123 ms",
            "stroke-dasharray",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
