//! What is told of the routes of an exit, and how they are changed while it runs.

use serde::{Deserialize, Serialize};

use crate::config::Route;

/// Routes that an exit is to advertise, or not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteChange {
    pub what: RouteVerb,
    pub routes: Vec<Route>,
    /// For the next start, too.
    pub save: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteVerb {
    Add,
    Remove,
}

/// The answer to `/api/routes/advertise`, whatever its method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertiseAnswer {
    pub status: AdvertiseStatus,
    /// One sentence.
    pub message: String,
    /// All routes of the exit, prefixes first.
    pub routes: Vec<String>,
    /// Those that it was given while it runs, or in an earlier life.
    pub added: Vec<String>,
    /// Those that it will have after its next start beside those of its file.
    pub saved: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdvertiseStatus {
    /// The routes are as was asked for.
    Ok,
    /// Nothing was changed.
    Refused,
}
