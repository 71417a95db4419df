//! How links end: the codes with which their connections are closed, and what a closed one means.

use super::event::DownReason;
use super::transport::{Connection, End};
use crate::text;

/// Codes with which links close; QUIC's application error codes.
pub(super) mod code {
    /// The link ends in order.
    pub(crate) const GOODBYE: u32 = 0;
    /// Another link with the same neighbour is kept.
    pub(crate) const DUPLICATE: u32 = 1;
    /// Nothing was heard.
    pub(crate) const SILENT: u32 = 2;
    /// The other side broke the protocol.
    pub(crate) const VIOLATION: u32 = 3;
    /// Out of room.
    pub(crate) const FULL: u32 = 4;
}

/// What the end of a link's connection means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The neighbour keeps another link with us, which is about to take this one's place: nothing
    /// went down.
    Superseded,
    Down(DownReason),
}

/// Judges a connection on which `error` was met.
pub(super) fn closed(connection: &Connection, error: String) -> Closed {
    judge(connection.end(), error)
}

fn judge(end: Option<End>, error: String) -> Closed {
    Closed::Down(match end {
        Some(End::Closed { code, reason }) => match u32::try_from(code) {
            Ok(code::DUPLICATE) => return Closed::Superseded,
            Ok(code::GOODBYE) => DownReason::Goodbye(text::reason(&reason)),
            Ok(code::SILENT) => DownReason::Unheard,
            _ => DownReason::Closed(End::Closed { code, reason }.describe()),
        },
        // The connection's own idle limit, where heartbeats are slower than that.
        Some(End::TimedOut) => DownReason::Silent,
        Some(end @ (End::Refused(_) | End::Broken(_))) => DownReason::Closed(end.describe()),
        None => DownReason::Violation(error),
    })
}

/// The code that tells the neighbour of `reason`.
pub(super) fn code_of(reason: &DownReason) -> u32 {
    match reason {
        DownReason::Stopping
        | DownReason::Removed
        | DownReason::Goodbye(_)
        | DownReason::Closed(_) => code::GOODBYE,
        DownReason::Replaced => code::DUPLICATE,
        DownReason::Silent | DownReason::Unheard => code::SILENT,
        DownReason::Violation(_) | DownReason::Behind | DownReason::Distrusted(_) => {
            code::VIOLATION
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed_with(code: u32, reason: &str) -> Option<End> {
        let (code, reason) = (code.into(), reason.to_owned());
        Some(End::Closed { code, reason })
    }

    #[test]
    fn a_closed_connection_means_what_its_code_says() {
        let down = |reason| judge(reason, "an error".to_owned());
        assert_eq!(down(closed_with(code::DUPLICATE, "")), Closed::Superseded);
        let goodbye = DownReason::Goodbye("see you\\n".to_owned());
        assert_eq!(
            down(closed_with(code::GOODBYE, "see you\n")),
            Closed::Down(goodbye)
        );
        for reason in [
            closed_with(code::VIOLATION, ""),
            closed_with(code::FULL, ""),
            Some(End::Broken("reset by peer".to_owned())),
        ] {
            let told = DownReason::Closed(reason.clone().unwrap().to_string());
            assert_eq!(down(reason), Closed::Down(told));
        }
        let silent = closed_with(code::SILENT, "no heartbeat");
        assert_eq!(down(silent), Closed::Down(DownReason::Unheard));
        let idle = Some(End::TimedOut);
        assert_eq!(down(idle), Closed::Down(DownReason::Silent));
        let violation = DownReason::Violation("an error".to_owned());
        assert_eq!(down(None), Closed::Down(violation));
    }
}
