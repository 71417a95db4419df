//! Reads values one by one and collects everything that is wrong with them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Problem;
use super::variables::{Env, ExpandError, expand};
use super::yaml::{Content, Node};
use super::{ConfigError, ConfigErrors, Place};
use crate::identity::open_regular;

/// Errors that are listed; nobody reads more, and a file full of faults stays cheap.
const MAX_LISTED: usize = 50;

/// What one reading of a file shares: where it is from, and its errors so far.
pub(super) struct Reader<'a> {
    file: &'a str,
    base: &'a Path,
    env: Env<'a>,
    checks_files: bool,
    errors: RefCell<Vec<ConfigError>>,
    unlisted: Cell<usize>,
    secret_files: RefCell<BTreeSet<PathBuf>>,
}

/// A value with the key it stands under.
pub(super) struct Value<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) path: String,
    pub(super) node: &'a Node,
}

/// A scalar after expansion.
struct Text {
    text: String,
    /// Quotes say that it is text, unless they were needed around a variable.
    insists_on_text: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, base: &'a Path, env: Env<'a>) -> Self {
        Self {
            file,
            base,
            env,
            checks_files: false,
            errors: RefCell::default(),
            unlisted: Cell::new(0),
            secret_files: RefCell::default(),
        }
    }

    /// Makes a file that is named but cannot be opened an error.
    pub(super) fn checking_files(mut self) -> Self {
        self.checks_files = true;
        self
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    /// `value`, if nothing was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigErrors> {
        let errors = self.errors.into_inner();
        if errors.is_empty() {
            return Ok(value);
        }
        Err(ConfigErrors::new(errors, self.unlisted.get()))
    }

    /// `path` seen from the file's folder. An absolute path stays as it is.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        // Through components, so that `./certs` does not become `/etc/warren/./certs`.
        self.base.join(path).components().collect()
    }

    /// Whether a file that the configuration names can be read, if that is to be checked.
    pub(super) fn check_file(&self, path: &Path) -> io::Result<()> {
        match self.checks_files {
            true => open_regular(path).map(drop),
            false => Ok(()),
        }
    }

    /// Remembers a file that holds a secret.
    pub(super) fn note_secret(&self, path: &Path) {
        self.secret_files.borrow_mut().insert(path.to_owned());
    }

    /// The files that hold secrets.
    pub(super) fn secret_files(&self) -> BTreeSet<PathBuf> {
        self.secret_files.borrow().clone()
    }

    pub(super) fn report(&self, place: Place, key: &str, problem: Problem) {
        let mut errors = self.errors.borrow_mut();
        if errors.len() >= MAX_LISTED {
            self.unlisted.set(self.unlisted.get() + 1);
            return;
        }
        errors.push(ConfigError {
            file: self.file.to_owned(),
            place: Some(place),
            key: key.to_owned(),
            problem,
        });
    }
}

impl<'a> Value<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, path: String, node: &'a Node) -> Self {
        Self { reader, path, node }
    }

    pub(super) fn report(&self, problem: Problem) {
        self.reader.report(self.node.place, &self.path, problem);
    }

    pub(super) fn invalid(&self, reason: impl Into<String>) {
        self.report(Problem::Invalid(reason.into()));
    }

    /// Reads text and parses it. `expected` is what it should be, with its article.
    pub(super) fn parse<T>(
        &self,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let scalar = self.text(expected)?;
        self.accept(parse(&scalar.text))
    }

    /// As [`Value::parse`], for what is not text, a number or `true`: quotes make it text.
    pub(super) fn parse_bare<T>(
        &self,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let scalar = self.text(expected)?;
        if scalar.insists_on_text {
            let found = "text; remove the quotes";
            self.report(Problem::WrongType { expected, found });
            return None;
        }
        self.accept(parse(&scalar.text))
    }

    /// The items of a list; none if it is something else.
    pub(super) fn items(&self) -> Vec<Value<'a>> {
        let Content::List(items) = &self.node.content else {
            let found = found(self.node);
            let expected = "a list";
            self.report(Problem::WrongType { expected, found });
            return Vec::new();
        };
        let items = items.iter().enumerate().map(|(index, node)| Value {
            reader: self.reader,
            path: format!("{}[{index}]", self.path),
            node,
        });
        items.collect()
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(&self.node.content, Content::List(items) if items.is_empty())
    }

    fn accept<T>(&self, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|reason| self.invalid(reason)).ok()
    }

    fn text(&self, expected: &'static str) -> Option<Text> {
        let Content::Scalar { text, plain } = &self.node.content else {
            let found = found(self.node);
            self.report(Problem::WrongType { expected, found });
            return None;
        };
        if self.node.is_null() {
            let found = found(self.node);
            self.report(Problem::WrongType { expected, found });
            return None;
        }
        match expand(text, self.reader.env) {
            Ok(None) => Some(Text {
                text: text.clone(),
                insists_on_text: !plain,
            }),
            Ok(Some(text)) => Some(Text {
                text,
                insists_on_text: false,
            }),
            Err(ExpandError::Unset(name)) => {
                self.report(Problem::UnsetVariable { name });
                None
            }
            Err(ExpandError::Malformed) => {
                let forms = "${NAME} or ${NAME:-default}, or $${ for a literal ${";
                self.invalid(format!("`${{` does not start a variable; write {forms}"));
                None
            }
        }
    }
}

/// Takes the values out of their places; a repeated one is an error.
pub(super) fn distinct<T: Hash + Eq + Clone + Display>(items: Vec<(Value<'_>, T)>) -> Vec<T> {
    let mut seen = HashSet::new();
    for (item, value) in &items {
        if !seen.insert(value) {
            item.invalid(format!("{value} is listed twice"));
        }
    }
    items.iter().map(|(_, value)| value.clone()).collect()
}

/// What a value is, with its article.
pub(super) fn found(node: &Node) -> &'static str {
    match &node.content {
        Content::Scalar { .. } if node.is_null() => "nothing",
        Content::Scalar { .. } => "a single value",
        Content::List(_) => "a list",
        Content::Map(_) => "a section",
    }
}
