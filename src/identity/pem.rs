//! Where PEM is: in a file of its own, or in the configuration itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::regular;

/// Most bytes of a PEM file: hosts that trust every public CA have a quarter of a megabyte of them.
const MAX_BYTES: u64 = 4 << 20;

/// PEM, by the file that holds it or as text. The text may be a private key, and is never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pem {
    File(PathBuf),
    Text {
        /// The key of the configuration under which it stands, by which errors call it.
        key: &'static str,
        text: String,
    },
}

/// Why PEM yields no key or certificate.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("cannot read {place}")]
    Read { place: String, source: io::Error },
    #[error("{place} holds no PEM {wanted}")]
    NotPem {
        place: String,
        /// `certificate` or `private key (PKCS#8, not encrypted)`.
        wanted: &'static str,
    },
    #[error(
        "{place} is not an Ed25519 private key; agents use Ed25519 only: make one with `warren cert agent` or `warren init`"
    )]
    NotEd25519 { place: String },
}

impl Pem {
    /// Where it is read, if not in the configuration.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Text { .. } => None,
        }
    }

    /// What the configuration itself holds of it.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Text { text, .. } => Some(text),
        }
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, PemError> {
        match self {
            Self::File(path) => regular::read(path, MAX_BYTES).map_err(|source| PemError::Read {
                place: self.to_string(),
                source,
            }),
            Self::Text { text, .. } => Ok(text.clone().into_bytes()),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text { key, .. } => f.write_str(key),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text { .. } => f.write_str("***"),
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for Pem {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&Self> for Pem {
    fn from(pem: &Self) -> Self {
        pem.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_called_by_its_key_and_never_shown() {
        let pem = Pem::Text {
            key: "tls.key_pem",
            text: "secret".into(),
        };
        assert_eq!(format!("{pem} {pem:?}"), "tls.key_pem ***");
        assert_eq!(pem.read().unwrap(), b"secret");
        let file = Pem::from(Path::new("/etc/a.key"));
        assert_eq!(format!("{file} {file:?}"), "/etc/a.key \"/etc/a.key\"");
    }
}
