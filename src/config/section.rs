//! Reads a section key by key.
//!
//! A [`Section`] knows the keys that its code asked for; when it is dropped, what nobody asked for
//! is an unknown key. So a key cannot be accepted and forgotten.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::Place;
use super::error::Problem;
use super::reader::{Reader, Value, found};
use super::scalar;
use super::suggest::nearest;
use super::yaml::{Content, Key, Node};

/// A section (map) being read.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    place: Place,
    entries: Vec<(&'a Key, &'a Node)>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// A section without keys, as an absent one is read.
    pub(super) fn empty(reader: &'a Reader<'a>, path: String, place: Place) -> Self {
        Self {
            reader,
            path,
            place,
            entries: Vec::new(),
            known: Vec::new(),
        }
    }

    /// Takes the entries of a map in. Of a key that stands twice only the first counts.
    pub(super) fn fill(&mut self, entries: &'a [(Key, Node)]) {
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
        (!node.is_null()).then(|| Value::new(reader, path, node))
    }

    pub(super) fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// Reports a fault of the section itself.
    pub(super) fn report(&self, problem: Problem) {
        self.reader.report(self.place, &self.path, problem);
    }

    /// The section under `key`; an empty one if it is absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        match self.value(key) {
            Some(value) => value.section(),
            None => Section::empty(self.reader, self.path_of(key), self.place),
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
            if scalar::is_no_path(text) {
                return Err(
                    "is a hash or PEM itself, where the path of a file is wanted".to_owned(),
                );
            }
            Ok(reader.resolve(text))
        })
    }

    /// A path; `Some(None)`: it is empty, which stands for none.
    pub(super) fn path_or_empty(&mut self, key: &'static str) -> Option<Option<PathBuf>> {
        let reader = self.reader;
        self.parse(key, "a path", |text| {
            Ok((!text.is_empty()).then(|| reader.resolve(text)))
        })
    }

    /// The path of a file that must be there once the agent starts.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key)?;
        if let Err(source) = self.reader.check_file(&path)
            && let Some(value) = self.value(key)
        {
            value.report(Problem::UnreadableFile { path, source });
            return None;
        }
        Some(path)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

impl<'a> Reader<'a> {
    /// The whole document as a section.
    pub(super) fn root(&'a self, node: &'a Node) -> Section<'a> {
        Value::new(self, String::new(), node).section()
    }
}

impl<'a> Value<'a> {
    /// Reads the value as a section; empty if it is something else.
    pub(super) fn section(&self) -> Section<'a> {
        let mut section = Section::empty(self.reader, self.path.clone(), self.node.place);
        if let Content::Map(entries) = &self.node.content {
            section.fill(entries);
        } else {
            let found = found(self.node);
            let expected = "a section (`key: value` lines)";
            section.report(Problem::WrongType { expected, found });
        }
        section
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
