//! Throughput over time as SVG that reads on light and on dark ground: a frame, its axes, a curve
//! of steps.

use std::fmt::Write as _;

/// Of middling brightness, so that they stand out from white and from black.
pub const INK: &str = "#6e7781";
pub const DATA: &str = "#2f81f7";
pub const FAULT: &str = "#d1484a";

/// Where a curve is drawn, in pixels, and what its axes mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The ends of the time axis, milliseconds.
    pub from_ms: i64,
    pub to_ms: i64,
    /// The top of the vertical axis.
    pub most: f64,
}

/// What stands along the axes.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    pub time: &'static str,
    pub value: &'static str,
    /// Between two marks of the time axis, milliseconds.
    pub every_ms: i64,
    /// What a mark's milliseconds are divided by.
    pub unit_ms: i64,
}

impl Frame {
    pub fn x(&self, ms: f64) -> f64 {
        let part = (ms - self.from_ms as f64) / (self.to_ms - self.from_ms) as f64;
        self.left + part * (self.right - self.left)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.bottom - value / self.most * (self.bottom - self.top)
    }

    /// Bits per second in each piece of time of `bucket_ms`, divided by `unit`. `reads` are
    /// milliseconds and bytes; those outside of the frame do not count.
    pub fn speeds(
        &self,
        reads: impl Iterator<Item = (f64, usize)>,
        bucket_ms: i64,
        unit: f64,
    ) -> Vec<f64> {
        let count = usize::try_from((self.to_ms - self.from_ms) / bucket_ms).unwrap_or(0);
        let mut bytes = vec![0.0; count];
        for (at, read) in reads {
            let bucket = ((at - self.from_ms as f64) / bucket_ms as f64).floor();
            if bucket >= 0.0
                && let Some(sum) = bytes.get_mut(bucket as usize)
            {
                *sum += read as f64;
            }
        }
        let per_bucket = 8.0 / unit / (bucket_ms as f64 / 1e3);
        bytes.into_iter().map(|sum| sum * per_bucket).collect()
    }

    /// The lines of both axes, with marks and labels around the frame.
    pub fn axes(&self, out: &mut String, labels: Labels) {
        let (left, right) = (self.left, self.right);
        let step = self.step();
        let mut value = 0.0;
        while value <= self.most {
            let y = self.y(value);
            let opacity = if value == 0.0 { 1.0 } else { 0.3 };
            let _ = writeln!(
                out,
                "<line x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\" \
                 stroke=\"{INK}\" stroke-opacity=\"{opacity}\"/>\n\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
                left - 8.0,
                y + 4.5
            );
            value += step;
        }
        let every = usize::try_from(labels.every_ms).unwrap_or(1).max(1);
        for ms in (self.from_ms..=self.to_ms).step_by(every) {
            let (x, y) = (self.x(ms as f64), self.bottom);
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{INK}\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 5.0,
                y + 20.0,
                ms / labels.unit_ms
            );
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate({:.0} {:.1}) rotate(-90)\" text-anchor=\"middle\">\
             {}</text>",
            f64::midpoint(left, right),
            self.bottom + 44.0,
            labels.time,
            left - 40.0,
            f64::midpoint(self.top, self.bottom),
            labels.value
        );
    }

    /// Between two lines of the vertical axis: 1, 2 or 5 of a power of ten, so that there are at
    /// most five or so.
    fn step(&self) -> f64 {
        let rough = (self.most / 5.0).max(f64::MIN_POSITIVE);
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0].map(|step| step * power);
        let fit = steps.into_iter().find(|step| *step >= rough * 0.999);
        fit.unwrap_or(10.0 * power)
    }

    /// A step for each piece of time of `bucket_ms`.
    pub fn curve(&self, out: &mut String, values: &[f64], bucket_ms: i64) {
        let mut line = String::new();
        for (&value, number) in values.iter().zip(0_i64..) {
            let from = self.from_ms + number * bucket_ms;
            let y = self.y(value);
            let step = if number == 0 { 'M' } else { 'L' };
            let (x, next) = (self.x(from as f64), self.x((from + bucket_ms) as f64));
            let _ = write!(line, "{step}{x:.1} {y:.1}L{next:.1} {y:.1}");
        }
        let (left, right, floor) = (self.left, self.right, self.bottom);
        let _ = writeln!(
            out,
            "<path d=\"{line}L{right:.1} {floor:.1}L{left:.1} {floor:.1}Z\" fill=\"{DATA}\" \
             fill-opacity=\"0.18\"/>\n\
             <path d=\"{line}\" fill=\"none\" stroke=\"{DATA}\" stroke-width=\"1.8\" \
             stroke-linejoin=\"round\"/>"
        );
    }
}

/// A text as HTML and SVG show it, inside and outside of attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        left: 0.0,
        right: 120.0,
        top: 0.0,
        bottom: 100.0,
        from_ms: -300,
        to_ms: 900,
        most: 4.0,
    };

    #[test]
    fn reads_fall_into_buckets() {
        let reads = [(-300.0, 2_500_000), (-0.5, 1_250_000), (0.0, 5_000_000)];
        let outside = [(-301.0, 1), (900.0, 1)];
        let speeds = FRAME.speeds(reads.into_iter().chain(outside), 20, 1e9);
        assert_eq!(speeds.len(), 60);
        assert_eq!((speeds[0], speeds[14], speeds[15]), (1.0, 0.5, 2.0));
        assert_eq!(speeds.iter().sum::<f64>(), 3.5);
    }

    #[test]
    fn corners_are_where_they_belong() {
        assert_eq!((FRAME.x(-300.0), FRAME.x(900.0)), (0.0, 120.0));
        assert_eq!((FRAME.y(0.0), FRAME.y(4.0)), (100.0, 0.0));
    }

    #[test]
    fn lines_of_the_axis_are_round_and_few() {
        for (most, step) in [(4.0, 1.0), (5.0, 1.0), (6.0, 2.0), (24.0, 5.0), (0.3, 0.1)] {
            let step_of = Frame { most, ..FRAME }.step();
            assert!((step_of - step).abs() < 1e-9, "{most}: {step_of}");
        }
    }
}
