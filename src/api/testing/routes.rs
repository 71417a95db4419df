//! The routes of the fake agent's exit.

use super::{AdvertiseAnswer, AdvertiseStatus, Status};

/// One of each origin; one that does not run is no exit.
pub(super) fn answer(status: Status) -> AdvertiseAnswer {
    let texts = |routes: &[&str]| routes.iter().map(ToString::to_string).collect();
    let is_exit = status != Status::Unavailable;
    AdvertiseAnswer {
        status: match is_exit {
            true => AdvertiseStatus::Ok,
            false => AdvertiseStatus::Refused,
        },
        message: match is_exit {
            true => "routes of this exit: 3".to_owned(),
            false => "this agent is no exit".to_owned(),
        },
        routes: texts(&["10.0.0.0/8", "11.1.0.0/16", "11.2.0.0/16"]),
        added: texts(&["11.1.0.0/16", "11.2.0.0/16"]),
        saved: texts(&["11.2.0.0/16", "11.3.0.0/16"]),
    }
}
