//! The picture: how time and messages of one link death grow with the mesh. Logarithmic both ways,
//! so that a power of N is a straight line; reads on light and on dark ground.

use std::fmt::Write as _;

use internal_chaos::plot::{DATA, FAULT, INK};

use crate::figures::{Event, Figures};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const PANEL: f64 = 290.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const LEFT: f64 = 70.0;

const LINES: [(&str, &str); 2] = [("link death", DATA), ("transit death", FAULT)];

/// One pair of logarithmic axes.
struct Panel {
    left: f64,
    /// Powers of ten.
    x: (f64, f64),
    y: (f64, f64),
}

/// Draws the picture.
pub(crate) fn svg(figures: &Figures) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"{INK}\" role=\"img\">\n\
         <title>Convergence time and messages of one death against the number of agents</title>\n"
    );
    let time = |event: &Event| event.p99_ms;
    let messages = |event: &Event| event.messages as f64;
    let (left, right) = (LEFT, LEFT + PANEL + 90.0);
    panel(
        &mut out,
        figures,
        left,
        "p99 until right, ms",
        (1.0, 3.0),
        &time,
    );
    panel(
        &mut out,
        figures,
        right,
        "messages in the mesh",
        (2.0, 6.0),
        &messages,
    );
    for ((name, color), number) in LINES.iter().zip(0_u8..) {
        let x = LEFT + 12.0 + 130.0 * f64::from(number);
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"18\" r=\"4\" fill=\"{color}\"/>\
             <text x=\"{:.1}\" y=\"22\">{name}</text>",
            x + 10.0
        );
    }
    out.push_str("</svg>\n");
    out
}

fn panel(
    out: &mut String,
    figures: &Figures,
    left: f64,
    title: &str,
    y: (f64, f64),
    value: &dyn Fn(&Event) -> f64,
) {
    let panel = Panel {
        left,
        x: (2.0, 4.0),
        y,
    };
    panel.axes(out, title);
    for (name, color) in LINES {
        let of_kind = figures.events.iter().filter(|event| event.what == name);
        // Where both forms were run, the whole one counts.
        let mut points: Vec<(usize, f64)> = Vec::new();
        for event in of_kind {
            if points.iter().all(|(agents, _)| *agents != event.agents) {
                points.push((event.agents, value(event)));
            }
        }
        points.sort_by_key(|(agents, _)| *agents);
        panel.line(out, &points, color);
    }
}

impl Panel {
    fn at(&self, agents: f64, value: f64) -> (f64, f64) {
        let part = |value: f64, (low, high): (f64, f64)| (value.log10() - low) / (high - low);
        let height = HEIGHT - TOP - BOTTOM;
        (
            self.left + part(agents, self.x) * PANEL,
            TOP + height - part(value.max(1.0), self.y) * height,
        )
    }

    fn axes(&self, out: &mut String, title: &str) {
        let (floor, roof) = (HEIGHT - BOTTOM, TOP);
        for power in self.x.0 as i32..=self.x.1 as i32 {
            let (x, _) = self.at(10_f64.powi(power), 1.0);
            let label = 10_u64.pow(power.unsigned_abs());
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{roof}\" x2=\"{x:.1}\" y2=\"{floor}\" stroke=\"{INK}\" \
                 stroke-opacity=\"0.3\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{label}</text>",
                floor + 18.0
            );
        }
        for power in self.y.0 as i32..=self.y.1 as i32 {
            let (_, y) = self.at(100.0, 10_f64.powi(power));
            let label = 10_u64.pow(power.unsigned_abs());
            let _ = writeln!(
                out,
                "<line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"{INK}\" \
                 stroke-opacity=\"0.3\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{label}</text>",
                self.left,
                self.left + PANEL,
                self.left - 6.0,
                y + 4.5
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{title}, by agents</text>",
            self.left + PANEL / 2.0,
            HEIGHT - 10.0
        );
    }

    fn line(&self, out: &mut String, points: &[(usize, f64)], color: &str) {
        let mut path = String::new();
        for (agents, value) in points {
            let (x, y) = self.at(*agents as f64, *value);
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            let _ = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>"
            );
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\"/>"
        );
    }
}
