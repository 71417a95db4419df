//! What links and sessions ask of QUIC alike: TLS configurations wrapped for it, whom a connection is
//! with, and whether a refused certificate ended it.

use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{Connection, ConnectionError};
use rustls_pki_types::CertificateDer;

use crate::identity::{Certificate, Refusal, RefusedBy, TrustError};

/// For dialling. The configurations of [`identity`](crate::identity) have the cipher suite that QUIC
/// begins with.
pub(crate) fn client(
    tls: Arc<rustls::ClientConfig>,
) -> Result<Arc<QuicClientConfig>, NoInitialCipherSuite> {
    QuicClientConfig::try_from(tls).map(Arc::new)
}

/// For accepting; as [`client`].
pub(crate) fn server(
    tls: Arc<rustls::ServerConfig>,
) -> Result<Arc<QuicServerConfig>, NoInitialCipherSuite> {
    QuicServerConfig::try_from(tls).map(Arc::new)
}

/// What the peer's certificate says. The handshake has verified it before a connection exists.
pub(crate) fn peer_certificate(connection: &Connection) -> Result<Certificate, TrustError> {
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .ok_or(TrustError::NoCertificate)?;
    let leaf = chain.first().ok_or(TrustError::NoCertificate)?;
    Ok(Certificate::parse(leaf)?)
}

/// The refusal behind a connection's end, if that is what ended it.
///
/// In TLS 1.3 the dialling side finishes first, so a refusal by the listening side can also end a
/// connection that already looked established.
pub(crate) fn refusal(error: &ConnectionError) -> Option<Refusal> {
    match error {
        ConnectionError::TransportError(error) => Refusal::in_text(RefusedBy::Us, &error.reason),
        ConnectionError::ConnectionClosed(close) => {
            let text = String::from_utf8_lossy(&close.reason);
            Refusal::in_text(RefusedBy::Peer, &text)
        }
        ConnectionError::VersionMismatch
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(reason: &str) -> ConnectionError {
        ConnectionError::ConnectionClosed(quinn::ConnectionClose {
            error_code: quinn::TransportErrorCode::crypto(40),
            frame_type: None,
            reason: reason.to_owned().into(),
        })
    }

    #[test]
    fn a_close_by_the_peer_may_be_a_refusal() {
        let refused = refusal(&close("other error: peer refused: stranger")).unwrap();
        assert_eq!(
            (refused.by, &*refused.reason),
            (RefusedBy::Peer, "stranger")
        );
        assert_eq!(refusal(&close("no application protocol")), None);
        assert_eq!(refusal(&ConnectionError::TimedOut), None);
    }
}
