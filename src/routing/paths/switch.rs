//! That a session moved to another path, and why.

use serde::{Deserialize, Serialize};

use super::path::Path;

/// The session moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// `None`: it had no path.
    pub from: Option<Path>,
    /// `None`: it has no path now.
    pub to: Option<Path>,
    pub cause: SwitchCause,
}

/// Why a session moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchCause {
    /// It had no path.
    Found,
    /// The link to the first hop went down.
    LinkDown,
    /// A transit refused the path.
    PathError,
    /// The path's probes went unanswered while those of another were answered.
    Unanswered,
    /// The other end uses another path; only the accepting end of a session follows.
    PeerMoved,
    /// The graph no longer has the path.
    PathGone,
    /// The path leads over an agent that is leaving, and there is another.
    Draining,
    /// Another path was better by a fifth for long enough.
    Better,
}

impl SwitchCause {
    /// Every cause: metrics show each from 0.
    pub const ALL: [Self; 8] = [
        Self::Found,
        Self::LinkDown,
        Self::PathError,
        Self::Unanswered,
        Self::PeerMoved,
        Self::PathGone,
        Self::Draining,
        Self::Better,
    ];

    /// The cause as metrics and logs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::LinkDown => "link_down",
            Self::PathError => "path_error",
            Self::Unanswered => "unanswered",
            Self::PeerMoved => "peer_moved",
            Self::PathGone => "path_gone",
            Self::Draining => "draining",
            Self::Better => "better",
        }
    }
}
