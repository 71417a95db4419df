//! How links end: the codes with which their connections are closed, and what a closed one means.

use quinn::{Connection, ConnectionError, VarInt};

use super::event::DownReason;
use super::text::printable;

/// QUIC application error codes with which links close.
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
    judge(connection.close_reason(), error)
}

fn judge(reason: Option<ConnectionError>, error: String) -> Closed {
    let is = |closed: &quinn::ApplicationClose, code| closed.error_code == VarInt::from_u32(code);
    Closed::Down(match reason {
        Some(ConnectionError::ApplicationClosed(closed)) if is(&closed, code::DUPLICATE) => {
            return Closed::Superseded;
        }
        Some(ConnectionError::ApplicationClosed(closed)) if is(&closed, code::GOODBYE) => {
            DownReason::Goodbye(printable(&String::from_utf8_lossy(&closed.reason)))
        }
        Some(ConnectionError::ApplicationClosed(closed)) if is(&closed, code::SILENT) => {
            DownReason::Unheard
        }
        // The connection's own idle limit, where heartbeats are slower than that.
        Some(ConnectionError::TimedOut) => DownReason::Silent,
        Some(reason) => DownReason::Closed(printable(&reason.to_string())),
        None => DownReason::Violation(error),
    })
}

/// The code that tells the neighbour of `reason`.
pub(super) fn code_of(reason: &DownReason) -> u32 {
    match reason {
        DownReason::Stopping | DownReason::Goodbye(_) | DownReason::Closed(_) => code::GOODBYE,
        DownReason::Replaced => code::DUPLICATE,
        DownReason::Silent | DownReason::Unheard => code::SILENT,
        DownReason::Violation(_) | DownReason::Behind | DownReason::Distrusted(_) => {
            code::VIOLATION
        }
    }
}

/// Closes a connection with a code and a reason for people.
pub(super) fn close(connection: &Connection, code: u32, why: &str) {
    connection.close(VarInt::from_u32(code), why.as_bytes());
}

#[cfg(test)]
mod tests {
    use quinn::ApplicationClose;

    use super::*;

    fn application(code: u32, reason: &str) -> Option<ConnectionError> {
        Some(ConnectionError::ApplicationClosed(ApplicationClose {
            error_code: VarInt::from_u32(code),
            reason: reason.to_owned().into(),
        }))
    }

    #[test]
    fn a_closed_connection_means_what_its_code_says() {
        let down = |reason| judge(reason, "an error".to_owned());
        assert_eq!(down(application(code::DUPLICATE, "")), Closed::Superseded);
        let goodbye = DownReason::Goodbye("see you\\n".to_owned());
        assert_eq!(
            down(application(code::GOODBYE, "see you\n")),
            Closed::Down(goodbye)
        );
        for reason in [
            application(code::VIOLATION, ""),
            application(code::FULL, ""),
            Some(ConnectionError::Reset),
        ] {
            let told = DownReason::Closed(reason.clone().unwrap().to_string());
            assert_eq!(down(reason), Closed::Down(told));
        }
        let silent = application(code::SILENT, "no heartbeat");
        assert_eq!(down(silent), Closed::Down(DownReason::Unheard));
        let idle = Some(ConnectionError::TimedOut);
        assert_eq!(down(idle), Closed::Down(DownReason::Silent));
        let violation = DownReason::Violation("an error".to_owned());
        assert_eq!(down(None), Closed::Down(violation));
    }
}
