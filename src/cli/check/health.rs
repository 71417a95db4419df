//! The health checks of the exit, as they will run. They are tried by the agent alone: a target that
//! is down for a moment is no fault of the file or the host.

use super::CheckLine;
use crate::config::{Config, Guards, HealthCheck};

pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    let exit = config.exit.iter();
    exit.flat_map(|exit| &exit.health_checks)
        .map(line)
        .collect()
}

fn line(check: &HealthCheck) -> CheckLine {
    let HealthCheck {
        name,
        target,
        interval,
        timeout,
        fall,
        rise,
        guards,
    } = check;
    let guarded = match guards {
        Guards::All => "every route".to_owned(),
        Guards::These(routes) => {
            let routes = routes.iter().map(ToString::to_string);
            routes.collect::<Vec<_>>().join(", ")
        }
    };
    CheckLine::ok(
        "exit.health_checks",
        format!(
            "{name} ({target}) runs every {interval:?} within {timeout:?}, falls after {fall}, \
             rises after {rise}, guards {guarded}; tried by the running agent, not here"
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture;
    use super::*;
    use crate::config::{HealthTarget, HostPort, Route};

    #[test]
    fn every_check_is_named_with_what_it_guards() {
        let mut config = fixture::exit();
        assert_eq!(check(&config), []);
        let host = HostPort {
            host: "10.0.0.7".to_owned(),
            port: 5432,
        };
        let of = |name: &str, guards| HealthCheck {
            name: name.to_owned(),
            target: HealthTarget::Tcp(host.clone()),
            interval: Duration::from_secs(10),
            timeout: Duration::from_millis(500),
            fall: 3,
            rise: 2,
            guards,
        };
        let route = Route::Prefix("10.0.0.0/8".parse().unwrap());
        let checks = vec![of("db", Guards::All), of("net", Guards::These(vec![route]))];
        config.exit.as_mut().unwrap().health_checks = checks;
        let shown: Vec<String> = check(&config).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown[0],
            "ok    exit.health_checks: db (tcp 10.0.0.7:5432) runs every 10s within 500ms, falls \
             after 3, rises after 2, guards every route; tried by the running agent, not here"
        );
        assert!(shown[1].contains("guards 10.0.0.0/8;"), "{}", shown[1]);
        config.exit = None;
        assert_eq!(check(&config), []);
    }
}
