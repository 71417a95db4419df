//! Reads sections key by key and collects everything that is wrong with them.
//!
//! A [`Section`] knows the keys that its code asked for; when it is dropped, what nobody asked for
//! is an unknown key. So a key cannot be accepted and forgotten.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::error::Problem;
use super::load::Env;
use super::scalar;
use super::suggest::nearest;
use super::variables::{ExpandError, expand};
use super::yaml::{Content, Key, Node};
use super::{ConfigError, ConfigErrors, Place};

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
}

/// A section (map) being read.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    place: Place,
    entries: Vec<(&'a Key, &'a Node)>,
    known: Vec<&'static str>,
}

/// A value with the key it stands under.
pub(super) struct Value<'a> {
    reader: &'a Reader<'a>,
    path: String,
    node: &'a Node,
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

    /// The whole document as a section.
    pub(super) fn root(&'a self, node: &'a Node) -> Section<'a> {
        Value {
            reader: self,
            path: String::new(),
            node,
        }
        .section()
    }

    /// `path` seen from the file's folder. An absolute path stays as it is.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        // Through components, so that `./certs` does not become `/etc/warren/./certs`.
        self.base.join(path).components().collect()
    }

    fn report(&self, place: Place, key: &str, problem: Problem) {
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

    /// Reads the value as a section; empty if it is something else.
    pub(super) fn section(&self) -> Section<'a> {
        let mut section = Section {
            reader: self.reader,
            place: self.node.place,
            path: self.path.clone(),
            entries: Vec::new(),
            known: Vec::new(),
        };
        if let Content::Map(entries) = &self.node.content {
            section.fill(entries);
        } else {
            let found = found(self.node);
            let expected = "a section (`key: value` lines)";
            section.report(Problem::WrongType { expected, found });
        }
        section
    }

    /// The items of a list; none if it is something else.
    fn items(&self) -> Vec<Value<'a>> {
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

    fn is_empty_list(&self) -> bool {
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
            Err(ExpandError::Malformed(reason)) => {
                self.invalid(reason);
                None
            }
        }
    }
}

impl<'a> Section<'a> {
    /// Whether `key` is absent, left empty, or an empty list.
    pub(super) fn lacks(&mut self, key: &'static str) -> bool {
        self.value(key).is_none_or(|value| value.is_empty_list())
    }

    /// The value under `key`; `None` if it is absent or left empty.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (_, node) = self.entries.iter().find(|(found, _)| found.text == key)?;
        let path = self.path_of(key);
        let reader = self.reader;
        (!node.is_null()).then_some(Value { reader, path, node })
    }

    /// Reports a fault of the section itself.
    pub(super) fn report(&self, problem: Problem) {
        self.reader.report(self.place, &self.path, problem);
    }

    /// Refuses a key that a later release will know. It does not count as known.
    pub(super) fn refuse(&mut self, key: &str, reason: &str) {
        let Some(index) = self.entries.iter().position(|(found, _)| found.text == key) else {
            return;
        };
        let (found, _) = self.entries.remove(index);
        let problem = Problem::Invalid(reason.to_owned());
        self.reader.report(found.place, &self.path_of(key), problem);
    }

    /// The section under `key`; an empty one if it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        match self.value(key) {
            Some(value) => value.section(),
            None => Section {
                reader: self.reader,
                path: self.path_of(key),
                place: self.place,
                entries: Vec::new(),
                known: Vec::new(),
            },
        }
    }

    /// The items of the list under `key`; `None` if it is absent.
    pub(super) fn items(&mut self, key: &'static str) -> Option<Vec<Value<'a>>> {
        Some(self.value(key)?.items())
    }

    /// The items of the list under `key`, each parsed; without the faulty ones.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<(Value<'a>, T)> {
        let items = self.items(key).unwrap_or_default().into_iter();
        items
            .filter_map(|item| {
                let parsed = item.parse(expected, &parse)?;
                Some((item, parsed))
            })
            .collect()
    }

    pub(super) fn parse<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.value(key)?.parse(expected, parse)
    }

    /// As [`Section::parse`], for a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key);
        if value.is_none() {
            let path = self.path_of(key);
            self.reader
                .report(self.place, &path, Problem::Missing { expected });
        }
        value?.parse(expected, parse)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.value(key)?.parse_bare("true or false", scalar::flag)
    }

    pub(super) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        self.value(key)?
            .parse_bare("a number", |text| scalar::number(text, &range))
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.parse(key, "a duration such as 30s", |text| {
            scalar::in_range(scalar::duration(text)?, &range, scalar::show_duration)
        })
    }

    /// A number of bytes.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        range: RangeInclusive<usize>,
    ) -> Option<usize> {
        self.parse(key, "a size such as 64KiB", |text| {
            scalar::in_range(scalar::size(text)?, &range, scalar::show_size)
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        self.parse(key, "a word", |text| scalar::choice(text, choices))
    }

    /// A path, seen from the file's folder.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let reader = self.reader;
        self.parse(key, "a path", |text| {
            if text.is_empty() {
                return Err("the path is empty; give one or remove the key".to_owned());
            }
            Ok(reader.resolve(text))
        })
    }

    /// The path of a file that must be there once the agent starts.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key)?;
        if self.reader.checks_files
            && let Err(source) = open_file(&path)
            && let Some(value) = self.value(key)
        {
            value.report(Problem::UnreadableFile { path, source });
            return None;
        }
        Some(path)
    }

    fn fill(&mut self, entries: &'a [(Key, Node)]) {
        let mut first_lines = HashMap::new();
        for (key, node) in entries {
            if let Some(first_line) = first_lines.insert(key.text.as_str(), key.place.line) {
                let path = self.path_of(&scalar::shown(&key.text));
                let problem = Problem::DuplicateKey { first_line };
                self.reader.report(key.place, &path, problem);
            } else {
                self.entries.push((key, node));
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (key, _) in &self.entries {
            if self.known.contains(&key.text.as_str()) {
                continue;
            }
            let problem = Problem::UnknownKey {
                nearest: nearest(&key.text, &self.known),
                known: self.known.clone(),
            };
            let path = self.path_of(&scalar::shown(&key.text));
            self.reader.report(key.place, &path, problem);
        }
    }
}

fn found(node: &Node) -> &'static str {
    match &node.content {
        Content::Scalar { .. } if node.is_null() => "nothing",
        Content::Scalar { .. } => "a single value",
        Content::List(_) => "a list",
        Content::Map(_) => "a section",
    }
}

fn open_file(path: &Path) -> std::io::Result<()> {
    if File::open(path)?.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}
