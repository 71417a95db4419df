//! Reads a scenario from a file or a text.

use std::fmt;
use std::fs;
use std::path::Path;

use super::check::{self, Problem};
use super::model::Scenario;
use super::raw::RawScenario;

/// Everything that is wrong with a scenario: one line each, `file:line:column: what`.
#[derive(Debug)]
pub struct BadScenario {
    file: String,
    problems: Vec<Problem>,
}

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            let Problem {
                line,
                column,
                message,
            } = problem;
            match line {
                0 => write!(f, "{}: {message}", self.file)?,
                line => write!(f, "{}:{line}:{column}: {message}", self.file)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for BadScenario {}

/// The scenario in a file; its name is the file's without its end.
pub fn read(path: &Path) -> Result<Scenario, BadScenario> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| BadScenario {
        file: file.clone(),
        problems: vec![Problem::whole(format!("cannot read it: {error}"))],
    })?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy());
    parse(&name.unwrap_or_default(), &file, &text)
}

/// The scenario in a text; `file` is for messages.
pub fn parse(name: &str, file: &str, text: &str) -> Result<Scenario, BadScenario> {
    let bad = |problems| BadScenario {
        file: file.to_owned(),
        problems,
    };
    let raw: RawScenario =
        serde_yaml::from_str(text).map_err(|error| bad(vec![unreadable(&error)]))?;
    check::scenario(name, raw).map_err(bad)
}

fn unreadable(error: &serde_yaml::Error) -> Problem {
    let place = error.location();
    let text = error.without_snippet().to_string();
    // The place stands before the message.
    let message = text.split(" at line ").next().unwrap_or_default();
    Problem {
        line: place.map_or(0, |place| place.line()),
        column: place.map_or(0, |place| place.column()),
        message: message.to_owned(),
    }
}
