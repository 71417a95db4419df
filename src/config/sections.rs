//! The document, and the sections `agent`, `tls` and `trust`.

use std::collections::BTreeSet;

use tracing_subscriber::EnvFilter;

use super::error::Problem;
use super::reader::Reader;
use super::scalar::{self, quote};
use super::secret::{self, PemKeys};
use super::section::Section;
use super::yaml::Node;
use super::{Agent, Config, Limits, LogFormat, Tls, mesh, services};
use crate::identity::{AgentId, Pem, check_ca_pem, check_certificate_pem, check_key_pem};
use crate::text::{NAME_BYTES, is_steering};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads the whole document. With errors reported the result is not to be used.
pub(super) fn config(reader: &Reader<'_>, root: &Node) -> Config {
    let mut document = reader.root(root);
    let agent = agent(document.section("agent"), reader);
    let tls = tls(document.section("tls"));
    let mut trust = document.section("trust");
    let allow = allow(&mut trust);
    let revoke = trust.list("revoke", "an agent id or serial", scalar::revocation);
    let revoke = revoke.into_iter().map(|(_, revocation)| revocation);
    let revoke = revoke.collect();
    let revoke_file = trust.file("revoke_file");
    drop(trust);
    let (listeners, peers) = mesh::listeners_and_peers(&mut document);
    let limits = Limits::read(document.section("limits"));
    let socks5 = services::socks5(document.section("socks5"));
    let exit = services::exit(document.section("exit"), &limits);
    let routing = mesh::routing(document.section("routing"));
    let connections = mesh::connections(document.section("connections"));
    let http = services::http(document.section("http"));
    let drain = mesh::drain(document.section("drain"));
    let config = Config {
        agent,
        tls,
        allow,
        revoke,
        revoke_file,
        listeners,
        peers,
        socks5,
        exit,
        routing,
        connections,
        http,
        drain,
        limits,
        secret_files: reader.secret_files(),
    };
    services::check_distinct(&mut document, &config);
    config
}

fn agent(mut section: Section<'_>, reader: &Reader<'_>) -> Agent {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let id = section.parse("id", "an agent id", |text| match text {
        "auto" => Ok(None),
        _ => scalar::agent_id(text)
            .map(Some)
            .map_err(|reason| format!("{reason}, or auto")),
    });
    Agent {
        id: id.flatten(),
        display_name: section
            .parse("display_name", "a name", display_name)
            .flatten(),
        data_dir: section
            .path("data_dir")
            .unwrap_or_else(|| reader.resolve("data")),
        log_level: section
            .parse("log_level", "a level", log_level)
            .unwrap_or_else(|| "info".to_owned()),
        log_format: section
            .choice("log_format", &formats)
            .unwrap_or(LogFormat::Text),
        watch: section.flag("watch").unwrap_or(false),
    }
}

/// `None` for the empty name, which stands for the default.
fn display_name(text: &str) -> Result<Option<String>, String> {
    if text.len() > NAME_BYTES {
        return Err(format!("longer than {NAME_BYTES} bytes"));
    }
    if text.chars().any(is_steering) {
        return Err(format!("{} holds control characters", quote(text)));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A level, or a filter. A single word that is no level would be a filter too, one for the module
/// of that name, and silence everything: it is a misspelt level.
fn log_level(text: &str) -> Result<String, String> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let level = text.to_ascii_lowercase();
        return scalar::choice(&level, &LEVELS.map(|level| (level, level))).map(str::to_owned);
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{} is not a tracing filter: {error}", quote(text))),
    }
}

const CA: PemKeys = PemKeys {
    file: "ca",
    text: "ca_pem",
    name: "tls.ca_pem",
    check: check_ca_pem,
};
const CERTIFICATE: PemKeys = PemKeys {
    file: "cert",
    text: "cert_pem",
    name: "tls.cert_pem",
    check: check_certificate_pem,
};
const KEY: PemKeys = PemKeys {
    file: "key",
    text: "key_pem",
    name: "tls.key_pem",
    check: check_key_pem,
};

fn tls(mut section: Section<'_>) -> Tls {
    let ca = secret::pem(&mut section, &CA);
    let mut given = |keys: &PemKeys| {
        section
            .value(keys.file)
            .or_else(|| section.value(keys.text))
    };
    match (given(&CERTIFICATE), given(&KEY)) {
        (Some(cert), None) => cert.invalid("tls.key is missing; a certificate needs its key"),
        (None, Some(key)) => key.invalid("tls.cert is missing; a key needs its certificate"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    Tls {
        ca,
        cert_and_key: pair(
            secret::pem(&mut section, &CERTIFICATE),
            secret::pem(&mut section, &KEY),
        ),
    }
}

fn pair(cert: Option<Pem>, key: Option<Pem>) -> Option<(Pem, Pem)> {
    Some((cert?, key?))
}

fn allow(section: &mut Section<'_>) -> BTreeSet<AgentId> {
    let mut allow = BTreeSet::new();
    for (item, id) in section.list("allow", "an agent id", scalar::agent_id) {
        if !allow.insert(id) {
            item.report(Problem::Invalid(format!("{id} is listed twice")));
        }
    }
    allow
}
