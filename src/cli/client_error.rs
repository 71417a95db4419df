//! Why an agent's API gave no answer to use: what, where, what to do, in one line.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper::StatusCode;

use super::endpoint::Api;

#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "cannot reach the agent's API at {api}: {}; is the agent running, and is http.enabled true?",
        plain(cause)
    )]
    Connect {
        api: Api,
        /// Told by the text above, in the middle of it, and so not as the source again.
        cause: io::Error,
    },
    #[error(
        "{api} does not speak HTTP: something else listens there; give the agent's http.address by --api"
    )]
    NotHttp { api: Api },
    #[error(
        "{api} hung up without a whole answer: something else listens there, or the agent has as \
         many clients as limits.http_connections allows, or it ends; ask again, or look at --api"
    )]
    HungUp { api: Api },
    #[error(
        "{api} did not answer within {} s: the agent stands still, or something else listens there \
         (--api)", .after.as_secs()
    )]
    Silent { api: Api, after: Duration },
    #[error("{api} {refusal}; give the management token by --token or WARREN_TOKEN")]
    NoToken { api: Api, refusal: String },
    #[error("{api} answered {status}: {message}")]
    Refused {
        api: Api,
        status: StatusCode,
        message: String,
    },
    #[error(
        "{api} is not the API of a warren agent of this version: {path}: {reason}; give the agent's \
         http.address by --api"
    )]
    Unexpected {
        api: Api,
        path: String,
        reason: String,
    },
}

impl ClientError {
    /// What hyper said of a connection that gave no answer, or half of one.
    pub(super) fn broken(api: Api, error: &hyper::Error) -> Self {
        // What was under way is cancelled by what the other side said.
        let cause = error.source().and_then(|cause| cause.downcast_ref());
        if let Some(cause) = cause {
            return Self::broken(api, cause);
        }
        let lost = error.is_incomplete_message()
            || error.is_canceled()
            || error.is_closed()
            || error.is_body_write_aborted()
            || is_of_the_kernel(error);
        if lost {
            Self::HungUp { api }
        } else {
            // It answered, or spoke unasked, and that was no HTTP.
            Self::NotHttp { api }
        }
    }
}

/// Whether the connection itself broke.
fn is_of_the_kernel(error: &hyper::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error without its number.
fn plain(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::PermissionDenied => "permission denied, it is for the agent's user and root",
        _ => return error.to_string(),
    };
    known.to_owned()
}
