//! Reports as one page that needs nothing else: no script, no file, no network.

use std::fmt::Write as _;

use super::report::{Moment, Report};
use super::timeline;
use crate::plot::escape;

const STYLE: &str = "\
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.45; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #6e778155; }
caption { text-align: left; font-weight: 600; padding: .5rem; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; }
.holds { color: #1a7f37; } .broken { color: #d1484a; } .holds, .broken { font-weight: 600; }
@media (prefers-color-scheme: dark) { .holds { color: #3fb950; } .broken { color: #ff7b72; } }
code { font-size: .9em; overflow-wrap: anywhere; }
td.time { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
details { margin: .75rem 0; } summary { cursor: pointer; }
";

fn verdict(holds: bool) -> &'static str {
    match holds {
        true => "<span class=\"holds\">holds</span>",
        false => "<span class=\"broken\">broken</span>",
    }
}

/// The page of these runs, and of those that could not be made.
pub fn html(reports: &[Report], failures: &[(String, String)]) -> String {
    let title = match reports {
        [one] if failures.is_empty() => format!("Scenario {}", one.scenario),
        _ => format!("{} scenarios", reports.len() + failures.len()),
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n",
        title = escape(&title)
    );
    if reports.len() + failures.len() > 1 {
        contents(&mut out, reports, failures);
    }
    for report in reports {
        section(&mut out, report);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn contents(out: &mut String, reports: &[Report], failures: &[(String, String)]) {
    out.push_str("<nav aria-label=\"Scenarios\">\n<ul>\n");
    for report in reports {
        let name = escape(&report.scenario);
        let _ = writeln!(
            out,
            "<li><a href=\"#{name}\">{name}</a>: {}. {}</li>",
            verdict(report.holds),
            escape(&report.summary)
        );
    }
    for (name, error) in failures {
        let _ = writeln!(
            out,
            "<li>{}: <span class=\"broken\">could not be run</span>. {}</li>",
            escape(name),
            escape(error)
        );
    }
    out.push_str("</ul>\n</nav>\n");
}

fn section(out: &mut String, report: &Report) {
    let name = escape(&report.scenario);
    let _ = write!(
        out,
        "<section id=\"{name}\" aria-labelledby=\"{name}-title\">\n\
         <h2 id=\"{name}-title\">{name}: {}</h2>\n<p>{}</p>\n\
         <figure>\n{}<figcaption>{}. The same in words is in the tables below.</figcaption>\n\
         </figure>\n",
        verdict(report.holds),
        escape(&report.summary),
        timeline::svg(&report.scenario, &report.record),
        escape(&report.sums()),
    );
    findings(out, report);
    moments(out, report);
    let _ = writeln!(
        out,
        "<p>{}, seed {}. Again: <code>{}</code></p>\n</section>",
        escape(&report.version),
        report.seed,
        escape(&report.replay)
    );
}

fn findings(out: &mut String, report: &Report) {
    out.push_str(
        "<table>\n<caption>Invariants</caption>\n<thead><tr><th scope=\"col\">invariant</th>\
         <th scope=\"col\">verdict</th><th scope=\"col\">seen</th>\
         <th scope=\"col\">wanted</th></tr></thead>\n<tbody>\n",
    );
    for finding in &report.findings {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&finding.invariant),
            verdict(finding.holds),
            escape(&finding.seen),
            escape(&finding.wanted)
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn moments(out: &mut String, report: &Report) {
    out.push_str(
        "<details>\n<summary>What happened when</summary>\n<table>\n\
         <caption>Faults, and what agents told</caption>\n<thead><tr><th scope=\"col\">ms</th>\
         <th scope=\"col\">who</th><th scope=\"col\">what</th></tr></thead>\n<tbody>\n",
    );
    for Moment { at_ms, who, what } in report.moments() {
        let _ = writeln!(
            out,
            "<tr><td class=\"time\">{at_ms}</td><td>{}</td><td>{}</td></tr>",
            escape(&who),
            escape(&what)
        );
    }
    out.push_str("</tbody>\n</table>\n</details>\n");
}
