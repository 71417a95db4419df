//! What files become, and what is wrong with them.

use super::*;
use crate::packet::Ways;
use crate::scenario::library;
use crate::scenario::model::{What, Work};

/// The problems of a text, each with its place.
fn problems(text: &str) -> String {
    parse("example", "example.yaml", text)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_file_becomes_a_scenario() {
    let scenario = parse("example", "example.yaml", GOOD).unwrap();
    let names: Vec<&str> = scenario.agents.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["exit", "ingress", "transit"]);
    let What::Figures(sections, _) = &scenario.faults[0].what else {
        panic!("a cut changes figures");
    };
    // The link is written as transit to exit.
    assert_eq!((sections[0].link, sections[0].ways), (1, Ways::ToClient));
    assert!(matches!(
        scenario.loads[0].work,
        Work::Download {
            count: 2,
            rate: Some(_)
        }
    ));
    assert_eq!(scenario.loads[1].lasts, ms(10_000));
}

#[test]
fn problems_have_places_and_say_what_to_do() {
    for (from, to, problem) in [
        (
            "duration: 10s",
            "duration: soon",
            "example.yaml:2:1: invalid value: string \"soon\", expected a duration",
        ),
        ("summary: An", "sumary: An", "example.yaml:1:1: "),
        (
            "[ingress, transit] }",
            "[ingress, transit-b] }",
            "example.yaml:8:5: no agent is called `transit-b`; known are exit, ingress, transit",
        ),
        (
            "[transit, exit] }\nf",
            "[transit, transit] }\nf",
            "example.yaml:9:5: an agent has no link to itself",
        ),
        (
            "at: 2s, do: cut",
            "at: 9500ms, do: cut",
            "example.yaml:11:5: it must begin and end",
        ),
        ("do: cut", "do: explode", "example.yaml:11:"),
        (
            "exit -> transit",
            "exit -> ingress",
            "example.yaml:11:5: these two have no link",
        ),
        (
            "for: 1s }",
            "for: 1s, spare: 3 }",
            "example.yaml:11:5: `spare` means nothing to this fault",
        ),
        (
            "do: connect }",
            "do: connect, rate: 1mbit }",
            "example.yaml:14:5: `rate` means nothing to this load",
        ),
        (
            "do: connect }",
            "do: connect, again: true }",
            "example.yaml:14:5: `again` means nothing to this load",
        ),
        (
            "count: 2",
            "count: 0",
            "example.yaml:13:5: `count: 0` is not 1 to 1000",
        ),
        (
            "transit: {}",
            "transit: { prefixes: [\"10.0.0.0/8\"] }",
            "example.yaml:5:12: prefixes, checks and resolvers are an exit's",
        ),
        (
            "{ roles: [ingress] }",
            "{}",
            "no agent has the role `ingress`",
        ),
        ("{ ingress: [", "{ nobody: [", "no agent is called `nobody`"),
        ("  - { do: connect }\n", "", "add a load `do: connect`"),
        ("at least 1", "some", "`some` is no bound"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let found = problems(&GOOD.replacen(from, to, 1));
        assert!(found.contains(problem), "{to}: {found}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_their_order() {
    let text = GOOD.replace("duration: 10s", "duration: 0s");
    let text = text.replace("[transit, exit] }\nf", "[transit, moon] }\nf");
    let found = problems(&text);
    let lines: Vec<&str> = found
        .lines()
        .filter_map(|line| line.split(':').nth(1))
        .collect();
    assert_eq!(lines, ["2", "9", "11", "13", "14"], "{found}");
}

#[test]
fn the_library_is_sound() {
    let mut names = std::collections::BTreeSet::new();
    for (name, text) in library::ALL {
        let scenario = parse(name, &format!("{name}.yaml"), text);
        let scenario = scenario.unwrap_or_else(|problem| panic!("{problem}"));
        assert!(scenario.duration <= Duration::from_secs(90), "{name}");
        assert!(names.insert(*name), "{name} stands twice");
        assert!(!scenario.summary.ends_with('.'), "{name}: a line of a list");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(names.contains(name), "{name} is not in the library");
    }
}

#[test]
fn every_row_of_the_failure_table_has_a_scenario() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/high-availability.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| what fails |").unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = rows.filter_map(|line| line.split(" | ").next()).collect();
    assert!(rows.len() > 10, "{rows:?}");
    let library = library::ALL.iter().flat_map(|(name, text)| {
        let scenario = parse(name, name, text).unwrap();
        scenario.covers.into_iter().map(move |row| (*name, row))
    });
    let covers: Vec<(&str, String)> = library.collect();
    for row in &rows {
        let is_covered = covers.iter().any(|(_, text)| row.contains(text.as_str()));
        assert!(is_covered, "no scenario covers: {row}");
    }
    for (name, text) in &covers {
        let is_row = rows.iter().any(|row| row.contains(text.as_str()));
        assert!(is_row, "{name} covers what is no row: {text}");
    }
}
