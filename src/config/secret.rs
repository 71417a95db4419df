//! What may stand in the configuration or in a file of its own: hashes, and PEM. Errors repeat no word of
//! them.

use std::path::Path;

use super::reader::Value;
use super::scalar;
use super::section::Section;
use super::value::PasswordHash;
use super::yaml::Content;
use crate::identity::{Pem, read_small_file};

/// A hash has 120 bytes at most; what is longer is another file.
const HASH_FILE_BYTES: u64 = 4_096;

/// The pair of keys under which PEM may be given, and what tells whether a text is any.
pub(super) struct PemKeys {
    /// Names a file.
    pub(super) file: &'static str,
    /// Holds the text.
    pub(super) text: &'static str,
    /// As errors call the latter later on.
    pub(super) name: &'static str,
    pub(super) check: fn(&Pem) -> Result<(), String>,
}

/// The hash in the file that `file_key` names; `None`: none is named, or it is no good, which has been
/// told. `key` is where it may stand itself instead.
pub(super) fn hash_file(
    section: &mut Section<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<PasswordHash> {
    let inline = section.value(key);
    let value = section.value(file_key)?;
    if inline.is_some() {
        value.invalid(format!("{key} is given, too; keep one of them"));
        return None;
    }
    let path = section.path(file_key)?;
    section.reader().note_secret(&path);
    match read_hash(&path) {
        Ok(hash) => Some(hash),
        Err(reason) => {
            value.invalid(format!("{} {reason}", path.display()));
            None
        }
    }
}

/// PEM by path or as text; `None`: neither is given, or it is no good, which has been told.
pub(super) fn pem(section: &mut Section<'_>, keys: &PemKeys) -> Option<Pem> {
    let file = section.value(keys.file);
    let Some(value) = section.value(keys.text) else {
        return section.file(keys.file).map(Pem::File);
    };
    if file.is_some() {
        value.invalid(format!("{} is given, too; keep one of them", keys.file));
        return None;
    }
    let pem = |text: &str, key| Pem::Text {
        key,
        text: text.to_owned(),
    };
    let parsed = value.parse("PEM", |text| {
        (keys.check)(&pem(text, "this text"))?;
        Ok(pem(text, keys.name))
    });
    if parsed.is_some() && holds_key(&value) {
        let reader = section.reader();
        reader.note_secret(Path::new(reader.file()));
    }
    parsed
}

fn read_hash(path: &Path) -> Result<PasswordHash, String> {
    let text = read_small_file(path, HASH_FILE_BYTES)
        .map_err(|reason| format!("cannot be read: {reason}"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err("is empty; it is to hold what `warren hash` prints".to_owned());
    }
    let hash = scalar::password_hash(text);
    let hash = hash.map_err(|reason| format!("holds no hash: {reason}"))?;
    Ok(PasswordHash {
        file: Some(path.to_owned()),
        ..hash
    })
}

/// Whether a private key stands in the file itself, and does not come from a variable.
fn holds_key(value: &Value<'_>) -> bool {
    matches!(&value.node.content, Content::Scalar { text, .. } if text.contains("PRIVATE KEY"))
}
