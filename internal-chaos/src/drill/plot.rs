//! The picture: throughput of one download through the death of the transit that carries it, as an
//! SVG that reads on light and on dark ground.

use std::fmt::Write as _;

use anyhow::{Context, ensure};

use super::fault::Fault;
use super::repeat::{Repeat, Settings, signed_millis};
use crate::plot::{FAULT, Frame, INK, Labels};

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
    let speeds = frame(1.0).speeds(reads, BUCKET_MS, 1e9);
    ensure!(
        speeds.iter().any(|&speed| speed > 0.0),
        "nothing arrived around the fault"
    );
    Ok(draw(&speeds, seen.stall_ms))
}

/// Where it is drawn; the vertical axis ends at `most` Gbit/s.
fn frame(most: f64) -> Frame {
    Frame {
        left: LEFT,
        right: WIDTH - RIGHT,
        top: TOP,
        bottom: HEIGHT - BOTTOM,
        from_ms: FROM_MS,
        to_ms: TO_MS,
        most,
    }
}

fn draw(speeds: &[f64], stall_ms: Option<f64>) -> String {
    let highest = speeds.iter().copied().fold(0.0, f64::max);
    let frame = frame(highest.ceil().max(1.0));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{INK}\" role=\"img\">\n\
         <title>Throughput of one download while the transit in use is killed</title>\n"
    );
    let labels = Labels {
        time: "time since the fault, ms",
        value: "Gbit/s",
        every_ms: 100,
        unit_ms: 1,
    };
    frame.axes(&mut out, labels);
    frame.curve(&mut out, speeds, BUCKET_MS);
    mark(&mut out, &frame, stall_ms);
    out.push_str("</svg>\n");
    out
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
