//! `docs/configuration.md` lists exactly the keys that exist, with their defaults.
//!
//! The keys that exist are what the error about an unknown key names, so neither side is a copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use warren::config::{Config, Effect, Key, Problem};

use crate::support::{env, errors, project};

/// Dotted key (list items as `[]`) to default, of every row of the reference's tables.
fn documented() -> BTreeMap<String, String> {
    let page = std::fs::read_to_string(project("docs/configuration.md")).expect("the reference");
    let cell = |text: &str| text.trim().trim_matches('`').to_owned();
    page.lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            (cells.len() == 4).then(|| (cell(cells[0]), cell(cells[2])))
        })
        .collect()
}

/// The keys known where the section `path` stands, as the error about an unknown key lists them.
fn known_in(path: &str) -> BTreeSet<String> {
    const STRANGER: &str = "qqqqqqqqqqqqqqqqqqqqqqqq";
    let mut document = json!({});
    set(&mut document, &child(path, STRANGER), json!(1));
    let errors = Config::parse(&document.to_string(), "-", Path::new(""), &env)
        .expect_err("the key is unknown");
    let known = errors.iter().find_map(|error| match &error.problem {
        Problem::UnknownKey { known, .. } => Some(known.clone()),
        _ => None,
    });
    let known = known.expect("the error lists what is known");
    known.into_iter().map(|key| child(path, key)).collect()
}

fn child(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    }
}

/// Sets `path` (`a.b[].c`) in a document; a list gets or keeps one item.
fn set(document: &mut Value, path: &str, value: Value) {
    let mut at = document;
    for part in path.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let (key, is_list) = match part.strip_suffix("[]") {
            Some(key) => (key, true),
            None => (part, false),
        };
        at = &mut at[key];
        if is_list {
            if !at.is_array() {
                *at = json!([null]);
            }
            at = &mut at[0];
        }
    }
    *at = value;
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

#[test]
fn the_reference_lists_exactly_the_keys_that_exist() {
    let documented = documented();
    let mut sections: BTreeSet<&str> = BTreeSet::from([""]);
    for key in documented.keys() {
        let mut path = parent(key);
        while !path.is_empty() {
            sections.insert(path);
            path = parent(path);
        }
    }
    assert!(sections.len() > 12, "the tables were found: {sections:?}");
    let mut keys = BTreeSet::new();
    for section in &sections {
        keys.extend(known_in(section));
    }
    // A section or a list of sections has no row of its own: its keys have.
    keys.retain(|key| {
        !sections.contains(key.as_str()) && !sections.contains(format!("{key}[]").as_str())
    });
    let rows: BTreeSet<String> = documented.into_keys().collect();
    assert_eq!(rows, keys);
}

/// A document in which every section is in use, so that each default can be seen.
fn base() -> Value {
    let hash = "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u";
    json!({
        "peers": [{ "id": "00112233445566778899aabbccddeeff", "address": "host:4433" }],
        "listeners": [{ "address": ":4433" }],
        "socks5": { "enabled": true,
                    "auth": { "enabled": true, "users": [{ "username": "u", "password_hash": hash }] } },
        "exit": { "enabled": true, "domain_routes": ["example.com"],
                  "health_checks": [{ "tcp": "host:1" }] },
    })
}

#[test]
fn the_defaults_of_the_reference_are_those_of_the_code() {
    let read = |document: &Value, what: &str| {
        let config = Config::parse(&document.to_string(), "-", Path::new("/etc/warren"), &env);
        format!(
            "{:?}",
            config.unwrap_or_else(|errors| panic!("{what}: {errors}"))
        )
    };
    let plain = read(&base(), "base");
    let mut compared = 0;
    for (key, default) in documented() {
        // Required keys have no default, `enabled` and the routes decide what there is to see.
        let decides = [
            "socks5.enabled",
            "socks5.auth.enabled",
            "exit.enabled",
            "exit.domain_routes",
        ];
        if default == "required" || default.starts_with('(') || decides.contains(&key.as_str()) {
            continue;
        }
        let value = serde_json::from_str(&default).unwrap_or(Value::String(default.clone()));
        let mut document = base();
        set(&mut document, &key, value);
        assert_eq!(read(&document, &key), plain, "{key}: {default}");
        compared += 1;
    }
    assert!(compared > 40, "only {compared} defaults were compared");
}

#[test]
fn what_is_off_by_default_is_documented_as_off() {
    let documented = documented();
    for key in ["socks5.enabled", "socks5.auth.enabled", "exit.enabled"] {
        assert_eq!(documented[key], "false", "{key}");
    }
    let config = Config::parse("{}", "-", Path::new(""), &env).expect("valid");
    assert!(config.socks5.is_none() && config.exit.is_none());
}

#[test]
fn the_errors_shown_in_the_reference_are_real() {
    let page = std::fs::read_to_string(project("docs/configuration.md")).expect("the reference");
    let block = |start: &str| {
        let (_, rest) = page.split_once(start).expect("the example is there");
        rest.split_once("```").expect("the block ends").0.to_owned()
    };
    let example = block("```yaml\n# agent.yaml with faults\n");
    let shown = block("```text\n");
    assert_eq!(
        errors(&format!("# agent.yaml with faults\n{example}")),
        shown.trim_end()
    );
}

#[test]
fn the_examples_of_the_reference_load() {
    let page = std::fs::read_to_string(project("docs/configuration.md")).expect("the reference");
    let mut count = 0;
    for block in page.split("```yaml\n").skip(1) {
        let (example, _) = block.split_once("```").expect("the block ends");
        if !example.contains("with faults") {
            crate::support::parse(example);
            count += 1;
        }
    }
    assert!(count >= 3);
}

/// Rows of the section on reloads: what a key's change takes, and the keys that it covers.
fn documented_effects() -> Vec<(Effect, String)> {
    let page = std::fs::read_to_string(project("docs/configuration.md")).expect("the reference");
    let (_, section) = page.split_once("\n## Reload\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("its end");
    let row = |begin: &str| {
        let row = section.lines().find(|line| line.starts_with(begin));
        let row = row.unwrap_or_else(|| panic!("no row {begin}"));
        let keys = row.split('`').skip(1).step_by(2).map(str::to_owned);
        keys.collect::<Vec<_>>()
    };
    let live = row("| live |").into_iter().map(|key| (Effect::Live, key));
    let moved = row("| its listener moves |").into_iter();
    live.chain(moved.map(|key| (Effect::Listener, key)))
        .collect()
}

#[test]
fn the_reference_says_what_a_reload_does_with_every_key() {
    let rows = documented_effects();
    assert!(rows.len() > 15, "{rows:?}");
    let mut covered = BTreeSet::new();
    for documented in documented().into_keys() {
        let key = Key::from(documented.as_str());
        let row = rows.iter().find(|(_, above)| key.is_of(above));
        let told = row.map_or(Effect::Restart, |(effect, _)| *effect);
        assert_eq!(key.effect(), told, "{documented}");
        covered.extend(row.map(|(_, above)| above.clone()));
    }
    let listed: BTreeSet<String> = rows.into_iter().map(|(_, above)| above).collect();
    assert_eq!(covered, listed, "every row covers a key");
}
