//! TLS configurations of links and tunnel sessions: mutual, TLS 1.3 only, Ed25519 only.
//!
//! No session is ever resumed and no 0-RTT data accepted, so that every connection is judged by
//! the trust of the moment it was made. Server names are not sent and not looked at: a peer is
//! its id.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature,
};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError, PeerIncompatible,
    ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::refusal::Refused;
use super::{AgentId, Identity, Roles, Trust, TrustError};

/// ALPN protocol id of links between neighbours.
pub const LINK_ALPN: &[u8] = b"warren-link/1";
/// ALPN protocol id of end-to-end tunnel sessions.
pub const TUNNEL_ALPN: &[u8] = b"warren-tunnel/1";
/// The server name to dial with, because libraries insist on one. It is neither sent nor checked.
pub const SERVER_NAME: &str = "warren";

/// Every peer proves its identity with an Ed25519 key, so no other signature is offered or
/// accepted.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ED25519],
    mapping: &[(SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519])],
};

/// A TLS configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the TLS library refuses the configuration")]
    Rustls(#[from] rustls::Error),
}

/// For dialling a neighbour, which must be `expected`.
pub fn link_client(
    identity: &Identity,
    trust: Arc<Trust>,
    expected: AgentId,
) -> Result<Arc<ClientConfig>, TlsError> {
    client(identity, trust, expected, LINK_ALPN, Roles::default())
}

/// For accepting neighbours: anyone whom `trust` accepts.
pub fn link_server(identity: &Identity, trust: Arc<Trust>) -> Result<Arc<ServerConfig>, TlsError> {
    server(identity, trust, LINK_ALPN, Roles::default())
}

/// For opening a tunnel session to an exit, which must be `expected` and may be an exit.
pub fn tunnel_client(
    identity: &Identity,
    trust: Arc<Trust>,
    expected: AgentId,
) -> Result<Arc<ClientConfig>, TlsError> {
    let exit = Roles {
        exit: true,
        ..Roles::default()
    };
    client(identity, trust, expected, TUNNEL_ALPN, exit)
}

/// For accepting tunnel sessions: from anyone whom `trust` accepts, and who may be an ingress.
pub fn tunnel_server(
    identity: &Identity,
    trust: Arc<Trust>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let ingress = Roles {
        ingress: true,
        ..Roles::default()
    };
    server(identity, trust, TUNNEL_ALPN, ingress)
}

fn client(
    identity: &Identity,
    trust: Arc<Trust>,
    expected: AgentId,
    alpn: &[u8],
    roles: Roles,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PeerVerifier {
            trust,
            expected: Some(expected),
            roles,
        }))
        .with_client_cert_resolver(identity.shown());
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(Arc::new(config))
}

fn server(
    identity: &Identity,
    trust: Arc<Trust>,
    alpn: &[u8],
    roles: Roles,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(PeerVerifier {
            trust,
            expected: None,
            roles,
        }))
        .with_cert_resolver(identity.shown());
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Built here and not taken from the process, so that no other library's default changes it.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        signature_verification_algorithms: SIGNATURES,
        ..aws_lc_rs::default_provider()
    })
}

/// Judges the other side of a handshake by [`Trust`].
#[derive(Debug)]
struct PeerVerifier {
    trust: Arc<Trust>,
    expected: Option<AgentId>,
    /// What its certificate must let it be.
    roles: Roles,
}

impl PeerVerifier {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let chain: Vec<_> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| CertificateDer::from_slice(certificate))
            .collect();
        let verified = self.trust.verify_as(self.expected, &chain, now.as_secs());
        let verified = verified.and_then(|certificate| {
            let missing = self.roles.without(certificate.roles()).names().next();
            let id = certificate.id;
            missing.map_or(Ok(()), |role| Err(TrustError::NotGranted { id, role }))
        });
        verified.map_err(|error| OtherError(Arc::new(Refused(error))).into())
    }
}

/// The methods on signatures, which rustls wants alike of both sides' verifiers.
macro_rules! only_tls13_ed25519 {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, certificate, signature, &SIGNATURES)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            SIGNATURES.supported_schemes()
        }
    };
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    only_tls13_ed25519!();
}

impl ClientCertVerifier for PeerVerifier {
    /// Empty: naming the mesh CA would tell it to anyone who knocks.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verify(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    only_tls13_ed25519!();
}

#[cfg(test)]
mod tests;
