//! From a file or a text to a [`Config`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::Problem;
use super::reader::Reader;
use super::variables::Env;
use super::yaml::MAX_FILE_BYTES;
use super::{Config, ConfigErrors, Place, sections, yaml};
use crate::identity::open_regular;

impl Config {
    /// Reads the file at `path`, with variables from the process's environment. Files that it
    /// names must exist; relative ones are relative to its folder.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_with_env(path, &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], of a regular file: whatever else is in its place now may never end.
    pub fn load_again(path: &Path) -> Result<Self, ConfigErrors> {
        Self::load_opened(path, open_regular(path), &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], with variables from `env`.
    pub fn load_with_env(path: &Path, env: Env<'_>) -> Result<Self, ConfigErrors> {
        Self::load_opened(path, File::open(path), env)
    }

    fn load_opened(
        path: &Path,
        opened: io::Result<File>,
        env: Env<'_>,
    ) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let base = path.parent().unwrap_or(Path::new(""));
        let bytes =
            read_bounded(opened).map_err(|problem| ConfigErrors::single(&file, None, problem))?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let place = place_after(&bytes[..error.valid_up_to()]);
                let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
                let problem = if is_utf16 {
                    Problem::Utf16
                } else {
                    Problem::NotUtf8
                };
                return Err(ConfigErrors::single(&file, Some(place), problem));
            }
        };
        read(text, Reader::new(&file, base, env).checking_files())
    }

    /// Reads `text`. Errors carry `file_name`; relative paths are joined to `base_dir`; whether
    /// the files it names exist is not checked.
    pub fn parse(
        text: &str,
        file_name: &str,
        base_dir: &Path,
        env: Env<'_>,
    ) -> Result<Self, ConfigErrors> {
        read(text, Reader::new(file_name, base_dir, env))
    }
}

fn read(text: &str, reader: Reader<'_>) -> Result<Config, ConfigErrors> {
    let fatal = |place, problem| ConfigErrors::single(reader.file(), place, problem);
    if text.len() > MAX_FILE_BYTES {
        return Err(fatal(
            None,
            Problem::TooLarge {
                limit: MAX_FILE_BYTES,
            },
        ));
    }
    let root = yaml::document(text).map_err(|error| fatal(error.place, error.problem))?;
    let config = sections::config(&reader, &root);
    reader.finish(config)
}

fn read_bounded(opened: io::Result<File>) -> Result<Vec<u8>, Problem> {
    let file = opened.map_err(Problem::Unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it.
    file.take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(Problem::Unreadable)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Problem::TooLarge {
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

/// The place right behind `bytes`, which are UTF-8.
fn place_after(bytes: &[u8]) -> Place {
    let line_start = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    Place {
        line: 1 + bytes.iter().filter(|byte| **byte == b'\n').count(),
        column: 1 + String::from_utf8_lossy(&bytes[line_start..])
            .chars()
            .count(),
    }
}
