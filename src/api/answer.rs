//! The answer to a drain, and to its end, that was asked for.

use serde::{Deserialize, Serialize};

use super::drain::DrainView;
use super::view::Status;

/// The answer to a change that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// The agent's, as in `/healthz`.
    pub status: Status,
    pub message: String,
    /// `None`: no drain is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<DrainView>,
}
