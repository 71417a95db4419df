//! Single values that are more than text.

use std::fmt;
use std::path::PathBuf;

/// A host (name or address) and a port, resolved when dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// An argon2 or bcrypt hash. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    pub text: String,
    /// The file that it is from; `None`: the configuration itself.
    pub file: Option<PathBuf>,
}

impl PasswordHash {
    /// One that stands in the configuration itself.
    pub fn inline(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            file: None,
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
