//! Whether what was seen is what was expected: pure.

use std::time::Duration;

use super::finding::{Finding, counted, finding, ms, quote};
use super::model::{Expect, Scenario};
use super::record::{Attempt, End, Flow, Growth, Outcome, Record};
use super::standstill::Standstills;

/// Judges all invariants: those that hold always, then those of the scenario.
pub fn judge(scenario: &Scenario, record: &Record) -> Vec<Finding> {
    let standstills = Standstills::of(scenario, record);
    let mut findings = vec![
        exact(record),
        no_leak(record),
        no_death(record),
        all_struck(scenario, record),
        standstills.broken(scenario.expect.broken, record),
        standstills.failed(scenario.expect.failed, record),
    ];
    findings.extend(linked(&scenario.expect, record));
    let downs = scenario.expect.link_downs;
    findings.extend(downs.map(|bound| standstills.downs(bound, record)));
    findings.extend(timed(&scenario.expect, record));
    findings.extend(told(&scenario.expect, record));
    findings.extend(at_the_end(&scenario.expect, record));
    findings.extend(growth(&scenario.expect, record));
    findings
}

/// Every byte that arrived is the one that was sent, and streams that ended had all of them.
fn exact(record: &Record) -> Finding {
    let damaged = record.flows.iter().filter_map(|flow| match &flow.end {
        End::Damaged(damage) => Some(damage.as_str()),
        End::Complete | End::Broken(_) => None,
    });
    let tallied = record.tallies.iter().flat_map(|tally| &tally.damaged);
    let wrong: Vec<&str> = damaged.chain(tallied.map(String::as_str)).collect();
    let carries = !(record.flows.is_empty() && record.tallies.is_empty());
    let seen = match wrong.is_empty() {
        true => format!("{} bytes checked", record.bytes()),
        false => quote(wrong.iter().copied()),
    };
    let holds = wrong.is_empty() && (record.bytes() > 0 || !carries);
    finding("bytes exact", holds, "every byte, in order, once", seen)
}

fn no_leak(record: &Record) -> Finding {
    let origins = &record.origins;
    let reached = record.bytes() > 0
        || record
            .attempts
            .iter()
            .any(|attempt| attempt.outcome == Outcome::Echoed);
    let holds = origins.leaks.is_empty() && (origins.exits > 0 || !reached);
    let mut seen = format!("{} connections from exits", origins.exits);
    if origins.unknown > 0 {
        seen.push_str(&format!(
            ", {} gone before they were looked at",
            origins.unknown
        ));
    }
    if !origins.leaks.is_empty() {
        let leaks = origins.leaks.iter().map(String::as_str);
        seen = format!("{seen}; others: {}", quote(leaks));
    }
    finding(
        "nothing past the mesh",
        holds,
        "connections from exits only",
        seen,
    )
}

fn no_death(record: &Record) -> Finding {
    let seen = match record.deaths.is_empty() {
        true => "none did".to_owned(),
        false => quote(record.deaths.iter().map(String::as_str)),
    };
    let holds = record.deaths.is_empty();
    finding("no agent ended by itself", holds, "none", seen)
}

/// A fault that did nothing would prove nothing.
fn all_struck(scenario: &Scenario, record: &Record) -> Finding {
    let idle = |fault: &super::model::Fault| {
        let rules = matches!(fault.what, super::model::What::Rule(..));
        let mut struck = record.faults.iter();
        let struck = struck.find(|struck| struck.fault == fault.text);
        struck.is_none_or(|struck| rules && struck.decided == 0)
    };
    let idle: Vec<&str> = scenario
        .faults
        .iter()
        .filter(|fault| idle(fault))
        .map(|fault| fault.text.as_str())
        .collect();
    let seen = match idle.is_empty() {
        true => format!("{} done", record.faults.len()),
        false => format!("without effect: {}", quote(idle.iter().copied())),
    };
    let wanted = format!("all {}", scenario.faults.len());
    finding("faults struck", idle.is_empty(), wanted, seen)
}

/// The mesh came about.
fn linked(expect: &Expect, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(limit) = expect.forms_within {
        findings.push(finding(
            "the mesh had formed after",
            record.formed <= limit,
            format!("at most {}", ms(limit)),
            ms(record.formed),
        ));
    }
    if let Some(bound) = expect.failed_dials {
        let count = record.failed_dials;
        let holds = bound.allows(count);
        findings.push(finding(
            "dials failed",
            holds,
            bound.to_string(),
            count.to_string(),
        ));
    }
    findings
}

fn timed(expect: &Expect, record: &Record) -> Vec<Finding> {
    let at_most = |invariant: &str, limit: Duration, seen: Option<(Duration, String)>| {
        let holds = seen.as_ref().is_some_and(|(time, _)| *time <= limit);
        let seen = seen.map_or_else(
            || "nothing to measure".to_owned(),
            |(time, what)| format!("{}{what}", ms(time)),
        );
        finding(invariant, holds, format!("at most {}", ms(limit)), seen)
    };
    let mut findings = Vec::new();
    if let Some(limit) = expect.stall {
        findings.push(at_most("longest stall", limit, longest_stall(record)));
    }
    if let Some(limit) = expect.wait {
        let connected = |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Echoed);
        let waits = record.attempts.iter().filter(connected);
        let longest = waits.max_by_key(|attempt| attempt.wait());
        let longest = longest.map(|attempt| {
            let begun = format!(", begun at {}", ms(attempt.begun));
            (attempt.wait(), begun)
        });
        findings.push(at_most("longest wait of a new connection", limit, longest));
    }
    if let Some(limit) = expect.ended_within {
        findings.push(at_most(
            "broken ones ended after",
            limit,
            ended_after(record),
        ));
    }
    if let Some(limit) = expect.recovers_within {
        let after = recovered_after(record);
        let after = after.map(|time| (time, String::new()));
        findings.push(at_most("new connections work again after", limit, after));
    }
    findings
}

/// Of the transfers that lived on.
fn longest_stall(record: &Record) -> Option<(Duration, String)> {
    let lived = record.flows.iter().filter(|flow| !flow.is_broken());
    let flows = lived.map(|flow| (flow.stall(), format!(" of {}", flow.name)));
    let tallied = record.tallies.iter().filter(|tally| tally.bytes > 0);
    let tallied = tallied.map(|tally| {
        let stall = Duration::from_secs_f64(tally.longest_stall_ms / 1e3);
        (stall, format!(" of {}", tally.name))
    });
    flows.chain(tallied).max_by_key(|(stall, _)| *stall)
}

/// From the last fault before each end.
fn ended_after(record: &Record) -> Option<(Duration, String)> {
    let after = |flow: &Flow| {
        let before = record.faults.iter().map(|fault| fault.at);
        let fault = before.filter(|at| *at <= flow.ended).max()?;
        Some((flow.ended - fault, format!(", {}", flow.name)))
    };
    let broken = record.flows.iter().filter(|flow| flow.is_broken());
    broken.filter_map(after).max_by_key(|(time, _)| *time)
}

/// From the end of the last fault until the first connection after which all work; `None` if none
/// ever does.
fn recovered_after(record: &Record) -> Option<Duration> {
    let quiet = record.quiet_from();
    let works = |attempt: &Attempt| attempt.outcome == Outcome::Echoed;
    let mut attempts: Vec<&Attempt> = record.attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt.begun);
    let last_bad = attempts.iter().rposition(|attempt| !works(attempt));
    let first_good = attempts.get(last_bad.map_or(0, |at| at + 1)..)?;
    let good = first_good.iter().find(|attempt| attempt.ended >= quiet)?;
    Some(good.begun.saturating_sub(quiet))
}

/// What agents and proxies said.
fn told(expect: &Expect, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(allowed) = &expect.replies {
        let replies = record.attempts.iter().filter_map(|it| match &it.outcome {
            Outcome::Failed { reply, error } => Some((reply, error.as_str())),
            Outcome::Echoed | Outcome::Broken(_) => None,
        });
        let (good, bad): (Vec<_>, Vec<_>) =
            replies.partition(|(reply, _)| reply.is_some_and(|reply| allowed.contains(&reply)));
        let seen = match bad.is_empty() {
            true => format!("{} of {}", good.len(), good.len()),
            false => quote(bad.iter().map(|(_, error)| *error)),
        };
        let codes: Vec<String> = allowed.iter().map(|code| format!("{code:#04x}")).collect();
        let wanted = format!("{}, if any", codes.join(" or "));
        findings.push(finding(
            "replies of failed ones",
            bad.is_empty(),
            wanted,
            seen,
        ));
    }
    if let Some(bound) = expect.failovers {
        let texts = record.failovers().map(|event| event.text.as_str());
        let count = record.failovers().count();
        findings.push(counted("failovers", bound, count, texts));
    }
    if let Some(wanted) = &expect.reason {
        let given = record.reasons.iter().map(|reason| reason.reason.as_str());
        let holds = given.clone().any(|reason| reason.contains(wanted.as_str()));
        let seen = match record.reasons.is_empty() {
            true => "no reason was ever given".to_owned(),
            false => quote(given),
        };
        findings.push(finding("a reason in /healthz", holds, wanted, seen));
    }
    findings
}

fn at_the_end(expect: &Expect, record: &Record) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(path) = &expect.path {
        findings.push(returned(&path.value, expect.returns_within, record));
    }
    for (name, allowed) in &expect.health {
        let allowed = &allowed.value.0;
        let status = record.health.get(name).cloned().flatten();
        let holds = status
            .as_ref()
            .is_some_and(|status| allowed.contains(status));
        let seen = status.unwrap_or_else(|| "no answer".to_owned());
        let invariant = format!("/healthz of {name} at the end");
        findings.push(finding(&invariant, holds, allowed.join(" or "), seen));
    }
    findings
}

/// Whether the path in use became this one in time, and stayed.
fn returned(path: &[String], within: Option<Duration>, record: &Record) -> Finding {
    let show = |path: &[String]| path.join(" > ");
    let last = record.paths.last();
    let is_it = last.is_some_and(|last| last.path == path);
    let took = last.map(|last| last.at.saturating_sub(record.quiet_from()));
    let in_time = within.is_none_or(|within| took.is_some_and(|took| took <= within));
    let mut wanted = show(path);
    if let Some(within) = within {
        wanted.push_str(&format!(" within {}", ms(within)));
    }
    let seen = last.map_or_else(
        || "no path".to_owned(),
        |last| format!("{} since {}", show(&last.path), ms(last.at)),
    );
    finding("path at the end", is_it && in_time, wanted, seen)
}

fn growth(expect: &Expect, record: &Record) -> Vec<Finding> {
    let grew = |invariant: &str, limit: i64, unit: &str, of: fn(&Growth) -> i64| {
        let most = record.growth.iter().max_by_key(|growth| of(growth));
        let seen = most.map_or_else(
            || "nothing to measure".to_owned(),
            |most| format!("{}{unit} of {}", of(most), most.agent),
        );
        let holds = most.is_some_and(|most| of(most) <= limit);
        finding(invariant, holds, format!("at most {limit}{unit}"), seen)
    };
    let memory = expect.memory_growth_mib.map(|limit| {
        let kib = |growth: &Growth| growth.memory_bytes / 1024;
        grew("memory grew by", limit as i64 * 1024, " KiB", kib)
    });
    let descriptors = expect.descriptor_growth.map(|limit| {
        let open = |growth: &Growth| growth.descriptors;
        grew("descriptors grew by", limit as i64, "", open)
    });
    memory.into_iter().chain(descriptors).collect()
}
