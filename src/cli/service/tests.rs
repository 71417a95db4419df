use super::unit::{Unit, Wanted, checked_name, name_of};
use crate::cli::check::fixture;
use crate::config::Config;

fn wanted(file: &str) -> Wanted {
    Wanted {
        name: "warren".into(),
        file: file.into(),
        program: "/usr/bin/warren".into(),
        user: "warren".into(),
    }
}

fn exit(data_dir: &str) -> Config {
    let mut config = fixture::exit();
    config.agent.data_dir = data_dir.into();
    config
}

fn text(wanted: &Wanted, config: &Config) -> String {
    Unit::new(wanted, config).unwrap().text().to_owned()
}

#[test]
fn a_unit_runs_its_file_as_its_user_and_lets_it_drain() {
    let mut config = exit("/var/lib/warren/exit");
    config.drain.notice = std::time::Duration::from_secs(5);
    let text = text(&wanted("/etc/warren/exit.yaml"), &config);
    for line in [
        "ExecStart=/usr/bin/warren run -c /etc/warren/exit.yaml",
        "User=warren",
        "StateDirectory=warren/exit",
        "TimeoutStopSec=50s",
        "Type=notify",
        "ProtectHome=yes",
        "CapabilityBoundingSet=",
        "PrivateUsers=yes",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn folders_elsewhere_and_low_ports_take_other_lines() {
    let mut config = exit("/srv/my data");
    let http = config.http.as_mut().unwrap();
    http.address = "0.0.0.0:80".parse().unwrap();
    let text = text(&wanted("/home/ann/a$b %i.yaml"), &config);
    for line in [
        "ExecStart=/usr/bin/warren run -c \"/home/ann/a$$b %%i.yaml\"",
        "ReadWritePaths=-\"/srv/my data\"",
        "ProtectHome=read-only",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "PrivateUsers=no",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains("StateDirectory"), "{text}");
}

#[test]
fn what_a_unit_cannot_have_is_refused() {
    let why = |wanted: &Wanted, data_dir: &str| Unit::new(wanted, &exit(data_dir)).unwrap_err();
    let good = wanted("/etc/warren/agent.yaml");
    assert!(why(&good, "/tmp/data").contains("has a /tmp of its own"));
    assert!(why(&wanted("/etc/a\nb.yaml"), "/var/lib/w").contains("rename it"));
    for user in ["", "a b", "root\nExecStart=/bin/sh"] {
        let stranger = Wanted {
            user: user.into(),
            ..wanted("/etc/warren/agent.yaml")
        };
        assert!(why(&stranger, "/var/lib/w").contains("no name of a user"));
    }
    for name in ["", "a/b", "a b", "warren@x", "ü"] {
        assert!(checked_name(name.into()).is_err(), "{name}");
    }
}

#[test]
fn a_unit_is_called_after_its_file() {
    let name = |file: &str| name_of(file.as_ref()).unwrap();
    assert_eq!(name("/etc/warren/agent.yaml"), "warren");
    assert_eq!(name("exit-a.yaml"), "warren-exit-a");
    assert!(name_of("/".as_ref()).is_err());
}
