//! What is told of a reload.

use serde::{Deserialize, Serialize};

/// The answer to `POST /api/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    pub status: ReloadStatus,
    /// One sentence.
    pub message: String,
    /// The keys that differed, and count as the file has them now.
    pub changed: Vec<String>,
    /// The keys for which nothing was applied.
    pub refused: Vec<Refusal>,
    /// What is wrong with the file or what it names, a line each; for these nothing was applied.
    pub errors: Vec<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReloadStatus {
    Reloaded,
    /// Nothing was applied: a key cannot be changed while the agent runs.
    Refused,
    /// Nothing was applied: the file is bad.
    Failed,
}

/// A key that cannot be changed while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub key: String,
    pub why: String,
}

impl ReloadAnswer {
    pub fn reloaded(changed: Vec<String>) -> Self {
        let message = match changed.as_slice() {
            [] => "nothing has changed".to_owned(),
            keys => format!("changed: {}", keys.join(", ")),
        };
        Self {
            status: ReloadStatus::Reloaded,
            message,
            changed,
            refused: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub fn refused(refused: Vec<Refusal>) -> Self {
        Self {
            status: ReloadStatus::Refused,
            message: "nothing was changed: some keys cannot be while the agent runs".to_owned(),
            changed: Vec::new(),
            refused,
            errors: Vec::new(),
        }
    }

    pub fn failed(errors: Vec<String>) -> Self {
        Self {
            status: ReloadStatus::Failed,
            message: "nothing was changed: the configuration is bad".to_owned(),
            changed: Vec::new(),
            refused: Vec::new(),
            errors,
        }
    }
}
