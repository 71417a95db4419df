//! Why a client did not get as far as a request.

use std::io;

use fast_socks5::ReplyError;

use super::stranger::Stranger;

/// Why a client did not get as far as a request.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("client left or its connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("client speaks {0}; only SOCKS5 is spoken here")]
    Stranger(Stranger),
    #[error("client makes a request of SOCKS version {0} after a greeting of version 5")]
    Version(u8),
    #[error("client offers no authentication method that is accepted here")]
    NoMethod,
    #[error("client does not speak RFC 1929")]
    BadPasswordMessage,
    #[error("wrong username or password")]
    Refused,
    /// Nor was the client told more than that it is refused.
    #[error("the password was not looked at: too many failed or wait")]
    TooOften,
    /// The client was sent this reply.
    #[error("request refused: {0}")]
    Request(ReplyError),
}

impl HandshakeError {
    /// Its metrics label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::Stranger(_) | Self::Version(_) => "version",
            Self::NoMethod => "no_method",
            Self::BadPasswordMessage => "malformed",
            Self::Refused => "auth",
            Self::TooOften => "auth_too_often",
            Self::Request(_) => "request",
        }
    }
}
