//! A check's verdict as one line.

use std::fmt;

use super::super::table::clean;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Ok,
    /// The agent starts, but probably does not do what is wanted.
    Warn,
    /// The agent does not start, or does not work.
    Fail,
}

/// `ok    listeners: 0.0.0.0:4433 binds`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckLine {
    pub level: Level,
    /// The section of the file that it is about.
    pub subject: &'static str,
    /// What was found, and what to do about it.
    pub text: String,
}

impl CheckLine {
    /// As it should be.
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, text)
    }

    /// The agent starts, but probably does not do what is wanted.
    pub fn warn(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Warn, subject, text)
    }

    /// The agent does not start, or does not work.
    pub fn fail(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Fail, subject, text)
    }

    fn new(level: Level, subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            subject,
            text: text.into(),
        }
    }
}

impl fmt::Display for CheckLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        // Peers' names are among what is told.
        write!(f, "{level:<5} {}: {}", self.subject, clean(&self.text))
    }
}

/// An error with its causes, as one text.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
