//! What the system's files say, as of each lookup.

use std::fs;
use std::path::Path;

use hickory_proto::op::ResponseCode::ServFail;

use super::*;

/// A folder with a system's files.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as tools do.
    fn put(&self, name: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn resolver(&self) -> Resolver {
        let files = SystemFiles {
            resolv_conf: self.path("resolv.conf"),
            hosts: self.path("hosts"),
            hostname: self.path("hostname"),
        };
        Resolver::of_system(&files, Duration::from_secs(4), true)
    }
}

#[tokio::test]
async fn a_name_of_the_hosts_file_needs_no_server() {
    let files = Files::new();
    let resolver = files.resolver();
    files.put("hosts", "192.0.2.7 app _x.example\n");
    for name in ["app", "APP.", "_x.example"] {
        assert_eq!(ask(&resolver, name).await.unwrap(), ["192.0.2.7"], "{name}");
    }
    files.put("hosts", "192.0.2.8 app\n2001:db8::8 app\n");
    assert_eq!(
        ask(&resolver, "app").await.unwrap(),
        ["192.0.2.8", "2001:db8::8"]
    );
    // A file that names silent servers changes nothing of that.
    files.put("resolv.conf", "nameserver 192.0.2.99\n");
    assert!(ask(&resolver, "app").await.is_ok());
}

/// Whether `names` are what `conf` makes of `name`, asked of a server that knows none.
async fn asks(conf: &str, name: &str, act: fn(&str) -> Act) -> (Vec<String>, Result<(), String>) {
    let server = Scripted::start(move |seen| act(&seen.name)).await;
    let conf = resolv_conf::parse(conf, "", |_| None);
    let asked = lookup::Asked {
        servers: std::sync::Arc::new(servers::Servers::new(
            &[server.address],
            servers::How::within(PATIENCE, 1),
        )),
        cache: None,
        flights: std::sync::Arc::default(),
    };
    let candidates = search::candidates(name, &conf.search);
    let lookup = Lookup::spawn(name.to_owned(), PATIENCE, move |parts| async move {
        lookup::run(candidates, Families::BOTH, &asked, &parts).await
    });
    let outcome = all(lookup).await;
    let outcome = outcome.map(drop).map_err(|error| error.to_string());
    (server.names(), outcome)
}

#[tokio::test]
async fn search_lists_are_walked_as_glibc_does() {
    let list = "search one.test two.test\n";
    let unknown: fn(&str) -> Act = |_| Act::NoName;
    for (name, expected) in [
        ("app", &["app.one.test", "app.two.test", "app"][..]),
        ("a.app", &["a.app", "a.app.one.test", "a.app.two.test"]),
        ("app.", &["app"]),
        ("a.app.", &["a.app"]),
    ] {
        let (names, outcome) = asks(list, name, unknown).await;
        assert_eq!(
            (names, outcome),
            (expected.iter().map(|&n| n.to_owned()).collect(), Ok(()))
        );
    }
    // NODATA and SERVFAIL lead on, and so does a found name end it.
    let mixed: fn(&str) -> Act = |name| match name {
        "app.one.test" => Act::Addresses(Vec::new()),
        "app.two.test" => Act::Code(ServFail),
        "app.three.test" => ips(&["192.0.2.3"]),
        _ => Act::NoName,
    };
    let three = "search one.test two.test three.test four.test\n";
    let (names, _) = asks(three, "app", mixed).await;
    assert_eq!(names, ["app.one.test", "app.two.test", "app.three.test"]);
    // A refusal ends the list; the name as it is follows.
    let refuse: fn(&str) -> Act = |_| Act::Code(hickory_proto::op::ResponseCode::Refused);
    let (names, outcome) = asks(list, "app", refuse).await;
    assert_eq!(names, ["app.one.test", "app"]);
    assert!(outcome.is_err());
}

#[tokio::test]
async fn a_file_that_is_odd_or_missing_is_no_reason_to_fail_at_the_start() {
    let files = Files::new();
    let resolver = files.resolver();
    for text in [
        "",
        "domain (none)\nnameserver ::bad\n",
        "search\noptions\nnameserver fe80::1%nowhere0\n",
        "\u{1}\u{2}",
    ] {
        files.put("resolv.conf", text);
        files.put("hosts", "192.0.2.7 app\n");
        assert_eq!(ask(&resolver, "app").await.unwrap(), ["192.0.2.7"]);
    }
    assert!(
        Path::new(&files.path("hostname"))
            .symlink_metadata()
            .is_err()
    );
}
