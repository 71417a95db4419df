//! `warren cert info`: what a certificate says, for people and for programs.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::clock::format_date;
use crate::identity::{Certificate, Grants, ValidityAt, read_certificate};

const DAY: i64 = 86_400;

/// The JSON form. Field names and units are stable; dates are RFC 3339 in UTC.
#[derive(Debug, Serialize)]
struct Info {
    /// 32 hex digits. A CA has one too, but no agent uses it.
    id: String,
    /// Hex, as `trust.revoke` takes it.
    serial: String,
    common_name: Option<String>,
    issuer: String,
    self_signed: bool,
    ca: bool,
    not_before: String,
    not_after: String,
    /// Whole days until the end; negative after it.
    days_left: i64,
    /// `valid`, `expired` or `not_yet_valid`.
    status: &'static str,
    /// The agent may originate and resolve anything.
    unrestricted: bool,
    /// It may because the certificate says nothing of it.
    silent: bool,
    routes: Vec<String>,
    domains: Vec<String>,
    /// Names that it may resolve for others.
    resolve: Vec<String>,
    /// `ingress`, `transit`, `exit`.
    roles: Vec<&'static str>,
    /// What it belongs to, for rules of exits.
    groups: Vec<String>,
}

/// Writes what the first certificate of `file` says, as of `now` (Unix seconds).
pub(super) fn run(file: &Path, json: bool, now: u64, out: &mut dyn Write) -> anyhow::Result<()> {
    let certificate = read_certificate(file)?;
    let info = Info::new(&certificate, now);
    if json {
        serde_json::to_writer_pretty(&mut *out, &info).context("cannot write")?;
        writeln!(out)?;
        return Ok(());
    }
    print(&info, out).context("cannot write")
}

fn print(info: &Info, out: &mut dyn Write) -> std::io::Result<()> {
    // Names are whatever the issuer wrote; escapes keep them from steering the terminal.
    let name = info.common_name.as_deref().unwrap_or("(none)");
    writeln!(out, "id:      {}", info.id)?;
    writeln!(out, "name:    {}", name.escape_debug())?;
    writeln!(out, "serial:  {}", info.serial)?;
    match (info.ca, info.self_signed) {
        (true, _) => writeln!(out, "kind:    CA certificate")?,
        (false, true) => writeln!(out, "kind:    agent certificate, self-signed")?,
        (false, false) => writeln!(
            out,
            "kind:    agent certificate, issued by {}",
            info.issuer.escape_debug()
        )?,
    }
    let state = match info.status {
        "expired" => format!("EXPIRED {} days ago", -info.days_left),
        "not_yet_valid" => "NOT YET VALID".to_owned(),
        _ => format!("{} days left", info.days_left),
    };
    writeln!(
        out,
        "valid:   {} to {} ({state})",
        info.not_before, info.not_after
    )?;
    if info.ca {
        return Ok(());
    }
    writeln!(out, "roles:   {}", info.roles.join(", "))?;
    if !info.groups.is_empty() {
        writeln!(out, "groups:  {}", info.groups.join(", "))?;
    }
    if info.silent {
        return writeln!(out, "grants:  none, so it may originate any route");
    }
    if info.unrestricted {
        return writeln!(out, "grants:  unrestricted: it may originate any route");
    }
    let routes = info.routes.iter().map(|route| format!("route {route}"));
    let domains = info.domains.iter().map(|domain| format!("domain {domain}"));
    let resolve = info.resolve.iter().map(|names| format!("resolve {names}"));
    let mut grants: Vec<String> = routes.chain(domains).chain(resolve).collect();
    if grants.is_empty() {
        grants.push("nothing: it may originate no route".to_owned());
    }
    for (at, grant) in grants.iter().enumerate() {
        let title = if at == 0 { "grants:" } else { "" };
        writeln!(out, "{title:8} {grant}")?;
    }
    Ok(())
}

impl Info {
    fn new(certificate: &Certificate, now: u64) -> Self {
        let roles = certificate.roles();
        let silent = certificate.grants.is_none();
        let grants = certificate.grants.clone();
        let grants = grants.unwrap_or_else(Grants::unrestricted);
        Self {
            id: certificate.id.to_string(),
            serial: certificate.serial.to_string(),
            common_name: certificate.common_name.clone(),
            issuer: certificate.issuer.clone(),
            self_signed: certificate.self_issued,
            ca: certificate.is_ca,
            not_before: format_date(certificate.not_before),
            not_after: format_date(certificate.not_after),
            days_left: seconds_between(now, certificate.not_after).div_euclid(DAY),
            status: match certificate.validity_at(now) {
                ValidityAt::Valid => "valid",
                ValidityAt::Expired => "expired",
                ValidityAt::NotYet => "not_yet_valid",
            },
            unrestricted: grants.unrestricted,
            silent,
            routes: grants.prefixes.iter().map(ToString::to_string).collect(),
            domains: grants.domains.iter().map(ToString::to_string).collect(),
            resolve: grants.resolves.iter().map(ToString::to_string).collect(),
            roles: roles.names().collect(),
            groups: grants.groups.iter().map(ToString::to_string).collect(),
        }
    }
}

fn seconds_between(from: u64, to: u64) -> i64 {
    let signed = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    signed(to).saturating_sub(signed(from))
}
