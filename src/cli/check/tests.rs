use std::io;

use super::*;
use crate::cli::tests::Shared;

fn checked(config: &Config, connect: Option<Connect>) -> (Result<(), Failure>, Vec<String>) {
    let out = Shared::default();
    let mut console = Console {
        input: Box::new(io::empty()),
        out: Box::new(out.clone()),
        err: Box::new(io::sink()),
        screen: crate::cli::Screen::WIDE,
    };
    let result = check(config, connect, &mut console);
    (result, out.text().lines().map(ToOwned::to_owned).collect())
}

#[test]
fn warnings_do_not_fail_the_command() {
    let mut config = fixture::exit();
    config.exit.as_mut().unwrap().routes.clear();
    config.exit.as_mut().unwrap().dns.servers.clear();
    let (result, lines) = checked(&config, None);
    let dns_is_usable = !lines.iter().any(|line| line.starts_with("fail  exit.dns"));
    assert_eq!(result.is_ok(), dns_is_usable, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("warn  exit: ")));
}

#[test]
fn one_failure_fails_the_command_after_every_check_was_made() {
    let config = fixture::ingress();
    let refused: Connect = |_, _| Box::pin(async { Err("refused".into()) });
    let (result, lines) = checked(&config, Some(refused));
    assert!(matches!(result, Err(Failure::Told)), "{lines:?}");
    assert!(lines.last().unwrap().ends_with("192.0.2.1:4433: refused"));

    let (result, lines) = checked(&config, None);
    assert!(result.is_ok(), "{lines:?}");
    for subject in ["tls", "trust", "listeners", "socks5", "http"] {
        let start = format!("ok    {subject}: ");
        assert!(
            lines.iter().any(|line| line.starts_with(&start)),
            "{lines:?}"
        );
    }
}
