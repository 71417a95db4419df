use std::fs;

use clap::Parser;
use clap::error::ErrorKind;

use super::*;
use crate::identity::{AgentId, Identity, Trust};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    cert: CertArgs,
}

/// The exit code and stdout of `warren cert` with these arguments; errors as `(code, text)`.
fn cert(args: &[&str]) -> Result<String, (i32, String)> {
    let cli = Cli::try_parse_from(std::iter::once(&"warren").chain(args))
        .map_err(|error| (error.exit_code(), error.to_string()))?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    run(cli.cert, &mut out, &mut err).map_err(|error| (1, format!("{error:#}")))?;
    assert_eq!(String::from_utf8(err).unwrap(), "", "warnings");
    Ok(String::from_utf8(out).unwrap())
}

fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).to_str().unwrap().to_owned()
}

#[cfg(unix)]
fn mode(path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_ca_and_an_agent_made_with_the_commands_work_together() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "mesh");
    assert_eq!(cert(&["ca", "-n", "My Mesh", "-o", &ca]).unwrap(), "");
    let out = cert(&[
        "agent",
        "-n",
        "exit-1",
        "--ca",
        &ca,
        "-o",
        &ca,
        "--route",
        "10.0.0.0/8",
        "--route",
        "2001:db8::/32",
        "--domain",
        "*.corp.example",
        "--days",
        "90",
    ])
    .unwrap();
    let id: AgentId = out.strip_suffix('\n').unwrap().parse().unwrap();

    let file = |name: &str| dir.path().join("mesh").join(name);
    let identity = Identity::from_pem(file("exit-1.crt"), file("exit-1.key")).unwrap();
    assert_eq!(identity.warning, None);
    assert_eq!(identity.value.id(), id);
    let trust = Trust::new([file("ca.crt")], [].into()).unwrap();
    let verified = trust.verify(&identity.value.chain(), unix_now()).unwrap();
    assert_eq!(verified.common_name.as_deref(), Some("exit-1"));
    let uris: Vec<_> = verified.grants.unwrap().uris().collect();
    let expected = [
        "warren:route:10.0.0.0/8",
        "warren:route:2001:db8::/32",
        "warren:domain:*.corp.example",
    ];
    assert_eq!(uris, expected);
    #[cfg(unix)]
    for key in ["mesh/ca.key", "mesh/exit-1.key"] {
        assert_eq!(mode(&path(&dir, key)), 0o600, "{key}");
    }
}

#[test]
fn a_ca_key_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let key = path(&dir, "ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let args = ["warren", "agent", "-n", "a", "--ca", &ca, "-o", &ca];
    let cli = Cli::try_parse_from(args).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    run(cli.cert, &mut out, &mut err).unwrap();
    let err = String::from_utf8(err).unwrap();
    assert!(err.contains(&key) && err.contains("chmod 600"), "{err}");
    assert!(
        String::from_utf8(out)
            .unwrap()
            .trim()
            .parse::<AgentId>()
            .is_ok()
    );
}

#[test]
fn nothing_is_ever_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    cert(&["agent", "-n", "a", "--ca", &ca, "-o", &ca]).unwrap();
    for (args, left, other) in [
        (&["ca", "-n", "mesh", "-o", &ca][..], "ca.key", "ca.crt"),
        (&["ca", "-n", "mesh", "-o", &ca], "ca.crt", "ca.key"),
        (
            &["agent", "-n", "a", "--ca", &ca, "-o", &ca],
            "a.key",
            "a.crt",
        ),
        (
            &["agent", "-n", "a", "--ca", &ca, "-o", &ca],
            "a.crt",
            "a.key",
        ),
    ] {
        let kept = fs::read(path(&dir, left)).unwrap();
        let aside = fs::read(path(&dir, other)).unwrap();
        // Only one of the two is in the way.
        fs::remove_file(path(&dir, other)).unwrap();
        let (code, text) = cert(args).unwrap_err();
        assert_eq!(code, 1);
        assert!(text.contains("never overwritten"), "{text}");
        assert_eq!(fs::read(path(&dir, left)).unwrap(), kept);
        assert!(!dir.path().join(other).exists());
        fs::write(path(&dir, other), aside).unwrap();
    }
}

#[test]
fn renewing_keeps_key_id_and_grants_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let agent = ["agent", "-n", "a", "--ca", &ca, "-o", &ca];
    let with = |more: &[&str]| cert(&[&agent[..], more].concat());
    let text = with(&["--renew"]).unwrap_err().1;
    assert!(text.contains("a.crt"), "{text}");

    let id = with(&["--route", "10.0.0.0/8", "--days", "5"]).unwrap();
    let key = fs::read(path(&dir, "a.key")).unwrap();
    let grants = || {
        let certificate = read_certificate(&dir.path().join("a.crt")).unwrap();
        assert!(certificate.not_after > unix_now() + 300 * 86_400);
        certificate.grants.unwrap().uris().collect::<Vec<_>>()
    };
    assert_eq!(with(&["--renew"]).unwrap(), id);
    assert_eq!(grants(), ["warren:route:10.0.0.0/8"]);
    assert_eq!(with(&["--renew", "--domain", "a.example"]).unwrap(), id);
    assert_eq!(grants(), ["warren:domain:a.example"]);
    assert_eq!(with(&["--renew", "--unrestricted"]).unwrap(), id);
    assert_eq!(with(&["--renew"]).unwrap(), id);
    assert_eq!(grants(), ["warren:unrestricted"]);
    assert_eq!(fs::read(path(&dir, "a.key")).unwrap(), key);

    cert(&["agent", "-n", "b", "--ca", &ca, "-o", &ca]).unwrap();
    fs::copy(path(&dir, "b.key"), path(&dir, "a.key")).unwrap();
    let text = with(&["--renew"]).unwrap_err().1;
    assert!(text.contains("nothing was renewed"), "{text}");
}

/// Makes an agent's certificate with these arguments and returns its grants.
fn granted(more: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let agent = ["agent", "-n", "a", "--ca", &ca, "-o", &ca];
    cert(&[&agent[..], more].concat()).unwrap();
    let read = read_certificate(&dir.path().join("a.crt")).unwrap();
    read.grants.unwrap().uris().collect()
}

#[test]
fn what_is_not_granted_is_not_allowed() {
    for (more, expected) in [
        (&[][..], &["warren:none"][..]),
        (&["--unrestricted"], &["warren:unrestricted"]),
        (&["--ingress"], &["warren:role:ingress"]),
        (
            &["--ingress", "--transit"],
            &["warren:role:ingress", "warren:role:transit"],
        ),
        (&["--exit"], &["warren:role:exit"]),
        (&["--resolve", "*"], &["warren:resolve:*"]),
        (
            &["--transit", "--resolve", "*.corp.example"],
            &[
                "warren:resolve:*.corp.example",
                "warren:role:transit",
                "warren:role:exit",
            ],
        ),
        (&["--route", "::/0"], &["warren:route:::/0"]),
        (
            &["--group", "Ops", "--group", "db.eu"],
            &["warren:group:db.eu", "warren:group:ops"],
        ),
        (
            &["--unrestricted", "--group", "ops"],
            &["warren:group:ops", "warren:unrestricted"],
        ),
    ] {
        assert_eq!(granted(more), expected, "{more:?}");
    }
}

#[test]
fn a_renewed_certificate_says_aloud_what_it_was_silent_about() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let authority = Authority::load(dir.path()).unwrap();
    let silent = authority.issue("a", None, Validity::days(unix_now(), 5));
    let (file, key) = (dir.path().join("a.crt"), dir.path().join("a.key"));
    silent.unwrap().store(&file, &key).unwrap();
    assert!(read_certificate(&file).unwrap().is_silent());
    cert(&["agent", "-n", "a", "--ca", &ca, "-o", &ca, "--renew"]).unwrap();
    let renewed = read_certificate(&file).unwrap();
    assert_eq!(renewed.grants, Some(Grants::unrestricted()));
}

#[test]
fn bad_usage_is_exit_code_2_and_says_what_to_write() {
    for (args, expected) in [
        (&["--route", "10.1.2.3/8"][..], "did you mean 10.0.0.0/8?"),
        (&["--route", "ten"], "not a prefix"),
        (&["--domain", "a.*.b"], "may only stand alone"),
        (&["--resolve", "*.*"], "may only stand alone"),
        (
            &["--unrestricted", "--route", "::/0"],
            "cannot be used with",
        ),
        (&["--transit", "--unrestricted"], "cannot be used with"),
        (&["--group", ""], "1 to 64"),
        (&["--group", "a b"], "found ' '"),
        (&["--group=-x"], "begins with"),
        (&["--group", "a,b"], "found ','"),
        (&["--days", "0"], "1..=36500"),
        (&["-n", "../evil"], "letters, digits"),
        (&["-n", ""], "1 to 64"),
    ] {
        let mut all = vec!["agent", "--ca", "."];
        if args[0] != "-n" {
            all.extend(["-n", "a"]);
        }
        all.extend(args);
        let (code, text) = cert(&all).unwrap_err();
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(expected), "{text}");
    }
    let error = Cli::try_parse_from(["warren", "agent", "-n", "a"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
}

#[test]
fn an_agent_needs_a_usable_ca_that_outlives_it() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    let (code, text) = cert(&["agent", "-n", "a", "--ca", &ca, "-o", &ca]).unwrap_err();
    assert_eq!(code, 1);
    assert!(text.contains("ca.crt"), "{text}");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let args = ["agent", "-n", "a", "--ca", &ca, "-o", &ca, "--days", "9999"];
    let (code, text) = cert(&args).unwrap_err();
    assert_eq!(code, 1);
    assert!(text.contains("fewer days"), "{text}");
    assert!(!dir.path().join("a.key").exists());
}

#[test]
fn info_tells_people_and_programs_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    let args = [
        "agent",
        "-n",
        "a",
        "--ca",
        &ca,
        "-o",
        &ca,
        "--route",
        "10.0.0.0/8",
        "--group",
        "ops",
        "--days",
        "30",
    ];
    let id = cert(&args).unwrap();
    let file = path(&dir, "a.crt");

    let text = cert(&["info", &file]).unwrap();
    for part in [
        id.trim_end(),
        "issued by mesh",
        " days left",
        "route 10.0.0.0/8",
        "groups:  ops",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = cert(&["info", &file, "--json"]).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["id"], id.trim_end());
    assert_eq!(json["common_name"], "a");
    assert_eq!(json["issuer"], "mesh");
    assert_eq!(json["ca"], false);
    assert_eq!(json["status"], "valid");
    assert_eq!(json["unrestricted"], false);
    assert_eq!(json["routes"], serde_json::json!(["10.0.0.0/8"]));
    assert_eq!(json["groups"], serde_json::json!(["ops"]));

    let text = cert(&["info", &path(&dir, "ca.crt")]).unwrap();
    assert!(text.contains("CA certificate"), "{text}");
}

#[test]
fn info_says_when_a_certificate_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let ca = path(&dir, "");
    cert(&["ca", "-n", "mesh", "-o", &ca]).unwrap();
    cert(&["agent", "-n", "a", "--ca", &ca, "-o", &ca, "--days", "1"]).unwrap();
    let shown = |now, json| {
        let mut out = Vec::new();
        cert_info::run(&dir.path().join("a.crt"), json, now, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = shown(unix_now() + 10 * 86_400, false);
    assert!(text.contains("EXPIRED 9 days ago"), "{text}");
    assert!(
        text.contains("nothing: it may originate no route"),
        "{text}"
    );
    assert!(shown(0, false).contains("NOT YET VALID"));
    let json: serde_json::Value = serde_json::from_str(&shown(u64::MAX, true)).unwrap();
    assert_eq!(json["status"], "expired");
    assert_eq!(json["unrestricted"], false);
    assert_eq!(
        json["roles"],
        serde_json::json!(["ingress", "transit", "exit"])
    );
}

#[test]
fn info_on_something_else_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = path(&dir, "note.txt");
    fs::write(&file, "hello").unwrap();
    for missing in [file, path(&dir, "gone.crt")] {
        let (code, text) = cert(&["info", &missing]).unwrap_err();
        assert_eq!(code, 1);
        assert!(text.contains(&missing), "{text}");
    }
}
