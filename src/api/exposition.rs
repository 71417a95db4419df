//! The two text formats of metrics, and which of them a client wants.
//!
//! The registry writes OpenMetrics 1.0; the classic format (0.0.4 of Prometheus's exposition
//! formats) is made from it: counters are named as their samples, infos are gauges, and units,
//! exemplars and the end mark are left out.

/// Content type of what the registry writes.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Content type of [`classic`] text.
pub(super) const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether an `Accept` header asks for OpenMetrics by name, and for nothing that is at least as
/// dear to it as classic text (RFC 9110 section 12.5.1).
pub(super) fn wants_open_metrics(accept: &str) -> bool {
    let mut open = 0;
    // The most specific range that covers classic text counts.
    let (mut classic, mut specific) = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.filter_map(quality).next_back().unwrap_or(1_000);
        let rank = match name.as_str() {
            "application/openmetrics-text" => {
                open = open.max(quality);
                continue;
            }
            "text/plain" => 3,
            "text/*" => 2,
            "*/*" => 1,
            _ => continue,
        };
        if rank > specific {
            (classic, specific) = (quality, rank);
        } else if rank == specific {
            classic = classic.max(quality);
        }
    }
    open > 0 && open >= classic
}

/// Thousandths; `None`: another parameter. What is no number counts as 0, so that it is not chosen.
fn quality(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    let value = value.trim().parse::<f64>().unwrap_or(0.0);
    let named = name.trim().eq_ignore_ascii_case("q");
    named.then_some((value.clamp(0.0, 1.0) * 1_000.0) as u32)
}

/// OpenMetrics text as classic text.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // Told before the type, which decides its name.
    let mut help = None;
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name)) => {
                help = Some((name, words.next().unwrap_or_default()));
            }
            (Some("#"), Some("TYPE"), Some(name)) => {
                let (suffix, kind) = kind(words.next().unwrap_or_default());
                if let Some((_, words)) = help.take_if(|(of, _)| *of == name) {
                    // Quotes are escaped in the newer format alone.
                    let words = words.replace("\\\"", "\"");
                    text.push_str(&format!("# HELP {name}{suffix} {words}\n"));
                }
                text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                text.push_str(without_exemplar(line));
                text.push('\n');
            }
        }
    }
    text
}

/// What a family's name gets in classic text, and its type there.
fn kind(open_metrics: &str) -> (&'static str, &str) {
    match open_metrics {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "gauge" | "histogram" | "summary" => ("", open_metrics),
        _ => ("", "untyped"),
    }
}

fn without_exemplar(sample: &str) -> &str {
    let values = sample
        .find('{')
        .map_or(0, |start| end_of_labels(sample, start));
    let exemplar = sample[values..].find(" # ");
    exemplar.map_or(sample, |at| &sample[..values + at])
}

/// The first byte after the labels that start at `start`.
fn end_of_labels(sample: &str, start: usize) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in sample.char_indices().skip_while(|(at, _)| *at < start) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return at + 1,
            _ => {}
        }
    }
    sample.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_family_becomes_classic() {
        let open = "# HELP w_bytes Bytes that \\\"moved\\\".\n# TYPE w_bytes counter\n\
            # UNIT w_bytes bytes\nw_bytes_total{d=\"up\"} 7 # {id=\"a\"} 1.0\n\
            # HELP w_build Build.\n# TYPE w_build info\nw_build_info{version=\"1 # }\"} 1\n\
            # TYPE w_links gauge\nw_links{peer=\"a\\\"} # {\"} 1\n\
            # TYPE w_odd unknown\nw_odd 2\n\
            # HELP w_wait Wait.\n# TYPE w_wait histogram\nw_wait_sum 0.5\nw_wait_count 1\n\
            w_wait_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let expected = "# HELP w_bytes_total Bytes that \"moved\".\n# TYPE w_bytes_total counter\n\
            w_bytes_total{d=\"up\"} 7\n\
            # HELP w_build_info Build.\n# TYPE w_build_info gauge\nw_build_info{version=\"1 # }\"} 1\n\
            # TYPE w_links gauge\nw_links{peer=\"a\\\"} # {\"} 1\n\
            # TYPE w_odd untyped\nw_odd 2\n\
            # HELP w_wait Wait.\n# TYPE w_wait histogram\nw_wait_sum 0.5\nw_wait_count 1\n\
            w_wait_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(classic(open), expected);
    }

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, wanted) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/json", false),
            ("application/*", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; version=1.0.0", true),
            ("application/openmetrics-text;q=0", false),
            (
                "application/openmetrics-text; Q=0.5, text/plain;q=0.6",
                false,
            ),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.5", true),
            ("text/plain;q=0, application/openmetrics-text;q=0.1", true),
            ("application/openmetrics-text;q=0.5,*/*;q=0.8", false),
            (
                "application/openmetrics-text;q=0.5,text/plain;q=0.2,*/*;q=0.8",
                true,
            ),
            ("application/openmetrics-text;q=nonsense", false),
            (prometheus, true),
        ] {
            assert_eq!(wants_open_metrics(accept), wanted, "{accept}");
        }
    }
}
