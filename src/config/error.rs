//! What can be wrong with a configuration file: where, which key, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Everything that is wrong with one file, in the order of its lines. Never empty.
///
/// Displays as one line per error.
#[derive(Debug)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    /// Errors found past the most that are kept.
    unlisted: usize,
}

/// One fault: `agent.yaml:12:3: routing.route_tll: unknown key; did you mean route_ttl?`.
#[derive(Debug)]
pub struct ConfigError {
    /// The file as the caller named it.
    pub file: String,
    /// `None` if the fault is the whole file's.
    pub place: Option<Place>,
    /// The dotted key, `peers[0].id`; empty for the whole file.
    pub key: String,
    pub problem: Problem,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot read the file: {0}{hint}", hint = unreadable(.0))]
    Unreadable(#[source] io::Error),
    #[error("the file is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the file is not UTF-8 text; give the agent's YAML file, saved as UTF-8")]
    NotUtf8,
    #[error("the file is UTF-16 text; save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)")]
    Utf16,
    #[error("not valid YAML: {0}")]
    Syntax(String),
    #[error("unknown key; {}", hint(*.nearest, .known))]
    UnknownKey {
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// Every key that is known in its place.
        known: Vec<&'static str>,
    },
    #[error("given twice, the first time on line {first_line}; remove one")]
    DuplicateKey { first_line: usize },
    #[error("expected {expected}, found {found}")]
    WrongType {
        expected: &'static str,
        found: &'static str,
    },
    #[error("the variable {name} is not set; set it, or give a default: ${{{name}:-value}}")]
    UnsetVariable { name: String },
    #[error("is missing; give {expected}")]
    Missing { expected: &'static str },
    #[error("{} cannot be read: {source}", .path.display())]
    UnreadableFile { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Invalid(String),
}

impl ConfigErrors {
    /// Sorts by place. `unlisted` counts what was found beyond `errors`.
    pub(super) fn new(mut errors: Vec<ConfigError>, unlisted: usize) -> Self {
        errors.sort_by_key(|error| error.place);
        Self { errors, unlisted }
    }

    /// A fault of the whole file or one that ends the reading.
    pub(super) fn single(file: &str, place: Option<Place>, problem: Problem) -> Self {
        let error = ConfigError {
            file: file.to_owned(),
            place,
            key: String::new(),
            problem,
        };
        Self::new(vec![error], 0)
    }

    /// The errors in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(error, f)?;
        }
        match self.unlisted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more errors"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

fn unreadable(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; give the agent's YAML file",
        io::ErrorKind::IsADirectory => "; give the agent's YAML file in it",
        io::ErrorKind::PermissionDenied => "; run as a user who may read it",
        _ => "",
    }
}

fn hint(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(key) => format!("did you mean {key}?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
