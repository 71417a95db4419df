//! Whether the agent has a key and certificate that others will accept, and whom it accepts.

use std::collections::BTreeSet;

use crate::clock::format_date;
use crate::config::{Config, Exit};
use crate::identity::{AgentId, Authority, Identity, Revocations, Roles, Trust, read_revoke_file};

use super::CheckLine;
use super::report::chain;

const SUBJECT: &str = "tls";

const DAY: u64 = 86_400;

/// The horizon at which a running agent calls itself degraded.
const SOON: u64 = 30 * DAY;

/// Reads keys and certificates as a start would, and writes nothing. `now` is Unix time in seconds.
pub(super) fn check(config: &Config, now: u64) -> Vec<CheckLine> {
    let mut lines = match &config.tls.cert_and_key {
        Some((certificate, key)) => match Identity::from_pem(certificate, key) {
            Ok(loaded) => with_identity(config, &loaded.value, loaded.warning, now),
            Err(error) => vec![CheckLine::fail(SUBJECT, chain(&error))],
        },
        None => match Identity::load(&config.agent.data_dir) {
            Ok(Some(loaded)) => with_identity(config, &loaded.value, loaded.warning, now),
            Ok(None) => vec![without_identity(config)],
            Err(error) => vec![CheckLine::fail(SUBJECT, chain(&error))],
        },
    };
    let secrets = config.warnings().into_iter();
    lines.extend(secrets.map(|warning| CheckLine::warn("secrets", warning.to_string())));
    lines.extend(trust(config));
    lines
}

fn without_identity(config: &Config) -> CheckLine {
    let dir = config.agent.data_dir.display();
    match config.agent.id {
        Some(id) => CheckLine::fail(
            SUBJECT,
            format!("{dir} holds no identity, and agent.id wants {id}; copy its key there"),
        ),
        None => CheckLine::ok(
            SUBJECT,
            format!(
                "{dir} holds no identity yet; the first start creates one, as `warren init` does"
            ),
        ),
    }
}

fn with_identity(
    config: &Config,
    identity: &Identity,
    warning: Option<impl ToString>,
    now: u64,
) -> Vec<CheckLine> {
    let id = identity.id();
    let mut lines = vec![match config.agent.id {
        Some(wanted) if wanted != id => CheckLine::fail(
            "agent",
            format!(
                "the key's id is {id}, and agent.id wants {wanted}; give the right key, or `auto`"
            ),
        ),
        _ => CheckLine::ok("agent", format!("id {id}")),
    }];
    lines.push(expiry(config, identity.not_after(), now));
    lines.extend(warning.map(|warning| CheckLine::warn(SUBJECT, warning.to_string())));
    let warnings = identity.parsed().warnings(parts(config));
    lines.extend(
        warnings
            .into_iter()
            .map(|text| CheckLine::warn(SUBJECT, text)),
    );
    lines.extend(ca_key(config));
    lines.extend(accepted_by_own_ca(config, identity, now));
    lines.extend(config.exit.iter().flat_map(|exit| grants(exit, identity)));
    lines
}

/// The CA's own key, where it lies beside its certificate and others can read it.
fn ca_key(config: &Config) -> Option<CheckLine> {
    let warning = Authority::warning(config.tls.ca.as_ref()?.file()?.parent()?)?;
    let text = format!("{warning}; it makes members of the mesh, and no agent needs it");
    Some(CheckLine::warn(SUBJECT, text))
}

/// What the file makes of the agent, as far as it takes a grant to be that.
fn parts(config: &Config) -> Roles {
    Roles {
        ingress: config.socks5.is_some(),
        // Every agent may be; one that must not be is what its certificate says.
        transit: false,
        exit: config.exit.is_some(),
    }
}

fn expiry(config: &Config, not_after: u64, now: u64) -> CheckLine {
    let end = format_date(not_after);
    let left = not_after.saturating_sub(now);
    if left >= SOON {
        CheckLine::ok(SUBJECT, format!("certificate valid until {end}"))
    } else if config.tls.cert_and_key.is_none() {
        CheckLine::ok(
            SUBJECT,
            format!("certificate valid until {end}; the next start renews it"),
        )
    } else {
        CheckLine::warn(
            SUBJECT,
            format!(
                "certificate expires in {} days, {end}; renew it with `warren cert agent --renew`",
                left / DAY
            ),
        )
    }
}

/// With a mesh CA, others most likely accept by that CA, too.
fn accepted_by_own_ca(config: &Config, identity: &Identity, now: u64) -> Option<CheckLine> {
    let ca = config.tls.ca.as_ref()?;
    // What is wrong with the file itself is said by `trust`.
    let mesh = Trust::new([ca], BTreeSet::new()).ok()?;
    let refused = mesh.verify(&identity.chain(), now).err()?;
    let text = format!(
        "the CA in {ca} did not issue this agent's certificate ({refused}); peers accept it only \
         where its id is pinned"
    );
    Some(CheckLine::warn(SUBJECT, text))
}

fn grants(exit: &Exit, identity: &Identity) -> Vec<CheckLine> {
    let Some(grants) = identity.parsed().grants else {
        return Vec::new();
    };
    let prefixes = exit.routes.iter().filter(|p| !grants.allows_prefix(p));
    let domains = exit
        .domain_routes
        .iter()
        .filter(|d| !grants.allows_domain(d));
    let mute = grants.resolves.is_empty() && !grants.unrestricted;
    let mute = (mute && !exit.dns.servers.is_empty()).then(|| {
        let text = "exit.dns.servers: the certificate grants no --resolve, so others ask this exit \
                    for names under its domain routes only";
        CheckLine::warn("exit", text)
    });
    prefixes
        .map(ToString::to_string)
        .chain(domains.map(ToString::to_string))
        .map(|route| {
            let text = format!(
                "the certificate does not grant {route}, so nobody believes it; issue one with it"
            );
            CheckLine::fail("exit", text)
        })
        .chain(mute)
        .collect()
}

fn trust(config: &Config) -> Vec<CheckLine> {
    let peer_cas = config.peers.iter().filter_map(|peer| peer.ca.as_ref());
    let pinned = config.pinned();
    let pins = pinned.len();
    // The mesh's trust does not read these if `tls.ca` is given, but dialling does.
    let broken = peer_cas.clone().filter_map(|ca| {
        let error = Trust::new([ca], BTreeSet::new()).err()?;
        Some(CheckLine::fail("peers", chain(&error)))
    });
    let mut lines: Vec<_> = broken.collect();
    lines.dedup();
    let has_ca = config.has_ca();
    lines.extend(only_named(config));
    lines.extend(revocations(config));
    lines.push(
        match Trust::mesh(config.tls.ca.as_ref(), peer_cas, pinned) {
            Err(error) => CheckLine::fail("trust", chain(&error)),
            Ok(_) if has_ca => CheckLine::ok(
                "trust",
                format!("agents of the mesh CA, and pinned ids: {pins}"),
            ),
            Ok(_) if pins > 0 => CheckLine::ok("trust", format!("pinned ids alone: {pins}")),
            Ok(_) => CheckLine::warn(
                "trust",
                "neither tls.ca, nor peers, nor trust.allow: every link is refused",
            ),
        },
    );
    lines
}

/// Whether the list of revocations can be read, as a start would read it.
fn revocations(config: &Config) -> Option<CheckLine> {
    let path = config.revoke_file.as_ref()?;
    let shown = path.display();
    Some(match read_revoke_file(path) {
        Err(error) => CheckLine::fail("trust", format!("trust.revoke_file: {shown}: {error}")),
        Ok(text) => match Revocations::parse(&text) {
            (revocations, errors) if errors.is_empty() => {
                let count = revocations.count();
                CheckLine::ok("trust", format!("{shown} revokes {count}"))
            }
            (_, errors) => CheckLine::fail(
                "trust",
                format!("trust.revoke_file: {shown}: {}", errors[0]),
            ),
        },
    })
}

/// Peers that must answer by a certificate of the mesh CA, which an earlier version took without.
fn only_named(config: &Config) -> Option<CheckLine> {
    let mut named = config.peers.iter().map(|peer| peer.id);
    let is_only_named = |id: &AgentId| !config.allow.contains(id);
    let count = named.by_ref().filter(is_only_named).count();
    (config.has_ca() && count > 0).then(|| {
        let text = format!(
            "{count} need a certificate of the mesh CA: `peers[].id` says who must answer, and is \
             no trust beside a CA; one with a self-signed certificate goes under `trust.allow`"
        );
        CheckLine::ok("peers", text)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Level, fixture};
    use super::*;
    use crate::clock::unix_now;
    use crate::identity::{CA_CERTIFICATE, CA_KEY, Grants, Validity};

    /// A CA and an agent's certificate for `days` with a grant for `10.0.0.0/8`.
    fn mesh(dir: &Path, days: u32) -> Config {
        let now = unix_now();
        let (authority, issued) = Authority::create("mesh", Validity::days(now, 100)).unwrap();
        let ca = dir.join(CA_CERTIFICATE);
        issued.store(&ca, &dir.join(CA_KEY)).unwrap();
        let grants = Grants {
            prefixes: vec!["10.0.0.0/8".parse().unwrap()],
            domains: vec!["*.example".parse().unwrap()],
            ..Grants::default()
        };
        let validity = Validity::days(now, days);
        let issued = authority.issue("agent", Some(&grants), validity).unwrap();
        let (certificate, key) = (dir.join("agent.crt"), dir.join("agent.key"));
        issued.store(&certificate, &key).unwrap();
        let mut config = fixture::exit();
        config.tls.ca = Some(ca.into());
        config.tls.cert_and_key = Some((certificate.into(), key.into()));
        config
    }

    fn shown(config: &Config) -> Vec<String> {
        let lines = check(config, unix_now()).into_iter();
        lines.map(|line| line.to_string()).collect()
    }

    #[test]
    fn a_sound_identity_passes() {
        let dir = tempfile::tempdir().unwrap();
        let lines = check(&mesh(dir.path(), 90), unix_now());
        assert!(lines.iter().all(|l| l.level == Level::Ok), "{lines:?}");
        let subjects: Vec<_> = lines.iter().map(|l| l.subject).collect();
        assert_eq!(subjects, ["agent", "tls", "trust"]);
    }

    #[test]
    fn a_ca_key_on_an_agent_that_others_can_read_is_warned_of() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let config = mesh(dir.path(), 90);
        let key = dir.path().join(CA_KEY);
        std::fs::set_permissions(key, PermissionsExt::from_mode(0o640)).unwrap();
        let lines = shown(&config);
        let warned =
            |line: &String| line.starts_with("warn  tls: private key") && line.contains("ca.key");
        assert!(lines.iter().any(warned), "{lines:?}");
    }

    #[test]
    fn what_others_will_refuse_is_found_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = mesh(dir.path(), 10);
        let exit = config.exit.as_mut().unwrap();
        exit.routes.push("192.0.2.0/24".parse().unwrap());
        config.agent.id = Some(AgentId([1; 16]));
        let lines = shown(&config);
        assert!(
            lines[0].starts_with("fail  agent: the key's id is"),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with("warn  tls: certificate expires in"),
            "{lines:?}"
        );
        let grant = "fail  exit: the certificate does not grant 192.0.2.0/24";
        assert!(lines[2].starts_with(grant), "{lines:?}");
    }

    #[test]
    fn a_certificate_of_another_ca_is_warned_of() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut config = mesh(one.path(), 90);
        config.tls.ca = mesh(two.path(), 90).tls.ca;
        let lines = shown(&config);
        assert!(
            lines.iter().any(|l| l.starts_with("warn  tls: the CA in")),
            "{lines:?}"
        );
    }

    #[test]
    fn missing_files_fail_by_name_and_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = mesh(dir.path(), 90);
        std::fs::remove_file(dir.path().join("agent.key")).unwrap();
        config.tls.ca = Some(dir.path().join("other.crt").into());
        let lines = shown(&config);
        assert!(lines[0].contains("agent.key"), "{lines:?}");
        assert!(lines[1].starts_with("fail  trust: "), "{lines:?}");
        assert!(lines[1].contains("other.crt"), "{lines:?}");

        config.tls.cert_and_key = None;
        config.agent.data_dir = dir.path().join("data");
        assert!(shown(&config)[0].contains("the first start creates one"));
        assert!(!config.agent.data_dir.exists());
        config.agent.id = Some(AgentId([1; 16]));
        assert!(shown(&config)[0].starts_with("fail  tls: "));
    }

    #[test]
    fn a_peer_is_no_pin_beside_a_ca() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = mesh(dir.path(), 90);
        let (peer, pinned) = (AgentId([7; 16]), AgentId([8; 16]));
        config.peers = [peer, pinned].map(fixture::peer).into();
        config.allow = [pinned].into();
        let lines = shown(&config);
        let told = |text: &str| lines.iter().any(|line| line.contains(text));
        assert!(told("1 need a certificate of the mesh CA"), "{lines:?}");
        assert!(
            told("agents of the mesh CA, and pinned ids: 1"),
            "{lines:?}"
        );
        assert_eq!(config.pinned(), [pinned].into());
        config.tls.ca = None;
        assert_eq!(config.pinned(), [peer, pinned].into());
        config.peers[0].ca = Some(dir.path().join("ca.crt").into());
        assert_eq!(
            config.pinned(),
            [pinned].into(),
            "a CA of any peer is the mesh's"
        );
    }

    #[test]
    fn an_agent_that_trusts_nobody_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = fixture::exit();
        config.agent.data_dir = dir.path().to_owned();
        Identity::load_or_create(dir.path()).unwrap();
        assert_eq!(shown(&config)[2], "ok    trust: pinned ids alone: 1");
        config.allow.clear();
        assert!(shown(&config)[2].starts_with("warn  trust: neither"));
    }
}
