//! Names as the system's own resolver finds them: the same odd files and names before glibc's
//! `getaddrinfo` and before warren's resolver, with a name server that writes down what it is asked.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::installed::program;
use crate::support::WARREN;
use crate::support::command::run;

const COMPARE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/glibc/compare.py"
);

/// What the name server knows. It does not know any other name.
fn records() -> Value {
    json!({
        "app": ["192.0.2.10"], "app.one.test": ["192.0.2.11"],
        "app.two.test": ["192.0.2.12", "2001:db8::12"], "a.app": ["192.0.2.20"],
        "www.example": ["192.0.2.30", "2001:db8::30"], "only6.example": ["2001:db8::50"],
        "_srv.example": ["192.0.2.40"], "-odd.example": ["192.0.2.41"], "x-.example": ["192.0.2.42"],
        "multi.example": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "empty.example": [],
        "broken.example": "SERVFAIL", "refused.example": "REFUSED", "confused.example": "FORMERR",
        "broken.one.test": "SERVFAIL", "broken.two.test": ["192.0.2.60"],
        "refused.one.test": "REFUSED", "refused.two.test": ["192.0.2.61"],
        "nodata.one.test": [], "nodata.two.test": ["192.0.2.62"], "nodata": ["192.0.2.63"],
        "localhost": ["192.0.2.44"], "host.invalid": ["192.0.2.46"],
    })
}

const SERVER: &str = "nameserver 127.0.0.1\n";

/// Names under an ordinary file.
const NAMES: [&str; 19] = [
    "app",
    "app.",
    "a.app",
    "a.app.",
    "APP",
    "broken",
    "refused",
    "nodata",
    "nothere",
    "www.example",
    "only6.example",
    "empty.example",
    "broken.example",
    "refused.example",
    "confused.example",
    "_srv.example",
    "x-.example",
    "multi.example",
    "not.here.example",
];

/// Files, each with `app` and `a.app`; `@` is the server's line.
const FILES: [&str; 41] = [
    "@",
    "@domain one.test\n",
    "@domain one.test\nsearch two.test\n",
    "@search two.test\ndomain one.test\n",
    "@search\n",
    "@search .\n",
    "@search one.test. two.test.\n",
    "@search ONE.test\n",
    "@search one.test # two.test\n",
    "@search one.test ; two.test\n",
    "@search bad_domain.test one.test\n",
    "@search -x.test one.test\n",
    "@search  one.test\ttwo.test  \n",
    "@search one.test",
    "@search one.test\n\n\nsearch two.test\n",
    "@search a.test b.test c.test d.test e.test f.test two.test\n",
    "@searchx one.test\n",
    "@SEARCH one.test\n",
    "@domain one.test two.test\n",
    "@options ndots:0\nsearch one.test\n",
    "@options ndots:2\nsearch one.test\n",
    "@options ndots:15 ndots:1\nsearch one.test\n",
    "@options ndots:x\nsearch one.test\n",
    "@options ndots:\nsearch one.test\n",
    "@options ndots:2x\nsearch one.test\n",
    "@options ndots:99\nsearch one.test\n",
    "@options no-tld-query\nsearch one.test\n",
    "@options no-aaaa\nsearch two.test\n",
    "@options timeout:1 attempts:1\noptions ndots:1\nsearch one.test\n",
    "@options frobnicate:3 edns0 trust-ad single-request rotate\nsearch one.test\n",
    "nameserver nonsense\n@search one.test\n",
    "nameserver\n@search one.test\n",
    "nameserver 127.0.0.1 # why\nsearch one.test\n",
    "nameserver\t127.0.0.1\nsearch\tone.test\n",
    " nameserver 127.0.0.1\n search one.test\n",
    "nameserver 127.0.0.1%lo\nsearch one.test\n",
    "nameserver ::ffff:127.0.0.1\nsearch one.test\n",
    "@@@nameserver 192.0.2.99\nsearch one.test\n",
    "",
    "# nothing\n; here\n",
    "@sortlist 10.0.0.0\nfrobnicate\nsearch one.test\n",
];

/// Hosts files, and names that they have or seem to have.
const HOSTS: [(&str, &[&str]); 18] = [
    ("192.0.2.70 app\n", &["app", "APP", "app.one.test"]),
    (
        "192.0.2.70 App.Example app # c\n2001:db8::70 app\n192.0.2.71 app\n",
        &["app", "app.example", "c"],
    ),
    ("192.0.2.70 app\n192.0.2.70 app\n", &["app"]),
    // An address with a scope counts for nobody.
    ("fe80::1%lo app\n192.0.2.70 x\n", &["app"]),
    ("fe80::1%lo app\n192.0.2.72 app\n", &["app"]),
    ("::1%lo app\n", &["app"]),
    ("192.0.2.70\tapp", &["app"]),
    ("  192.0.2.70  app\n", &["app"]),
    ("192.0.2.70 app\r\n", &["app"]),
    ("#192.0.2.70 app\n", &["app"]),
    ("192.0.2.70#app\n", &["app"]),
    ("192.0.2 app\n", &["app"]),
    ("192.0.2.070 app\n", &["app"]),
    ("nonsense app\n192.0.2.73 app\n", &["app"]),
    ("192.0.2.70 _srv -odd a_b\n", &["_srv", "-odd", "a_b"]),
    ("127.0.0.1 app\n::1 app\n", &["app"]),
    ("192.0.2.70 app; x\n", &["app", "x"]),
    ("0.0.0.0 blocked.example\n", &["blocked.example"]),
];

/// Where we mean to be another: (resolv.conf, hosts, name, our addresses, why).
type Exception = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const EXCEPTIONS: [Exception; 8] = [
    (
        "@search one.test\n",
        "",
        "localhost",
        &["127.0.0.1", "::1"],
        "RFC 6761, 6.3: this host, whatever a server says",
    ),
    (
        "@",
        "",
        "host.invalid",
        &[],
        "RFC 6761, 6.4: nobody is asked",
    ),
    (
        "@",
        "",
        "-odd.example",
        &["192.0.2.41"],
        "RFC 2181, 11: a label is a label",
    ),
    (
        "@",
        "192.0.2.70 app\n",
        "app.",
        &["192.0.2.70"],
        "an absolute name is the same name in the hosts file",
    ),
    (
        "@",
        "192.0.2.70 app.\n",
        "app",
        &["192.0.2.70"],
        "and the other way round",
    ),
    (
        "@",
        "\u{feff}192.0.2.70 app\n",
        "app",
        &["192.0.2.70"],
        "a mark of other systems' editors",
    ),
    (
        "nameserver 127.0.0.1\r\nsearch one.test\r\n",
        "",
        "app",
        &["192.0.2.11"],
        "lines of other systems' editors",
    ),
    (
        "@search one..test two.test\n",
        "",
        "app",
        &["192.0.2.12", "2001:db8::12"],
        "a domain that is none is passed over, and the others count",
    ),
];

fn case(resolv_conf: &str, hosts: &str, name: &str) -> Value {
    let resolv_conf = resolv_conf.replace('@', SERVER);
    json!({ "resolv_conf": resolv_conf, "hosts": hosts, "name": name })
}

fn compared(cases: &[Value]) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let put = |name: &str, value: &Value| {
        fs::write(dir.path().join(name), value.to_string()).expect("it is writable");
    };
    put("cases.json", &Value::from(cases));
    put("records.json", &records());
    for (tool, package) in [
        ("ip", "iproute2"),
        ("python3", "python3"),
        ("getent", "libc-bin"),
    ] {
        program(tool, package);
    }
    let mut shell = program("unshare", "util-linux");
    shell
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .args(["--pid", "--fork", "--kill-child", "sh", "-ec"])
        // Both families reach beyond this host, as far as anybody can see.
        .arg(
            "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo\n\
             exec python3 \"$0\" \"$@\"",
        )
        .args([COMPARE, WARREN])
        .arg(dir.path());
    let told = run(&mut shell, "").success();
    serde_json::from_str(&told).expect("a list")
}

fn addresses(told: &Value) -> BTreeSet<&str> {
    let addresses = told["addresses"].as_array().expect("a list").iter();
    addresses.filter_map(Value::as_str).collect()
}

#[test]
fn names_are_found_as_glibc_finds_them() {
    let ordinary = format!("{SERVER}search one.test two.test\n");
    let mut cases = Vec::new();
    cases.extend(NAMES.map(|name| case(&ordinary, "", name)));
    for file in FILES {
        cases.extend(["app", "a.app"].map(|name| case(file, "", name)));
    }
    for (hosts, names) in HOSTS {
        cases.extend(names.iter().map(|name| case(&ordinary, hosts, name)));
    }
    let results = compared(&cases);
    assert_eq!(results.len(), cases.len());
    let mut wrong = Vec::new();
    for (case, result) in cases.iter().zip(&results) {
        let (theirs, ours) = (&result["glibc"], &result["warren"]);
        // Not the order of addresses: RFC 8305 has its own.
        if addresses(theirs) != addresses(ours) || theirs["asked"] != ours["asked"] {
            wrong.push(format!("{case}\n  glibc:  {theirs}\n  warren: {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn where_names_are_found_otherwise_it_is_meant() {
    let cases = EXCEPTIONS.map(|(conf, hosts, name, ..)| case(conf, hosts, name));
    for (result, exception) in compared(&cases).iter().zip(EXCEPTIONS) {
        let (.., expected, why) = exception;
        let ours = addresses(&result["warren"]);
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(ours, expected, "{why}: {result}");
        let is_same = addresses(&result["glibc"]) == ours;
        let asked_alike = result["glibc"]["asked"] == result["warren"]["asked"];
        assert!(
            !(is_same && asked_alike),
            "glibc does so too: {exception:?}"
        );
    }
}
