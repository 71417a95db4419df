//! Who an agent is and whom it trusts: ids, keys, certificates, grants, TLS configurations.
//!
//! Nothing here owns a task or a socket; password hashes run on threads of their own. Private keys enter through [`Identity`] and leave only
//! as signatures; [`Trust`] is the one place that decides whether a peer is accepted.

mod certificate;
mod domain;
mod epoch;
mod files;
mod grants;
mod group;
mod id;
mod inline;
mod issue;
mod keys;
mod likeness;
mod login;
mod member;
mod own;
pub mod password;
mod pem;
mod refusal;
mod regular;
mod revoke_file;
mod revoked;
mod roots;
mod shown;
#[cfg(test)]
mod testing;
mod tls;
mod trust;

pub use certificate::{Certificate, CertificateError, ValidityAt, split_chain};
pub use domain::{DomainPattern, DomainPatternError};
pub use epoch::{EpochError, MAX_EPOCH_AHEAD_MS, next_epoch, store_epoch};
pub use files::{Loaded, Warning, replace_file};
pub use grants::{GrantError, Grants, NamePattern, Roles, parse_prefix};
pub use group::{Group, GroupError};
pub use id::{AgentId, AgentIdError, ShortId};
pub use inline::{check_ca_pem, check_certificate_pem, check_key_pem};
pub use issue::{
    Authority, AuthorityError, CA_CERTIFICATE, CA_KEY, IssueError, Issued, StoreError, Validity,
};
pub use keys::verify_signature;
pub use login::{Checks, Login, Verdict};
pub use member::Member;
pub use own::{Identity, IdentityError, read_certificate};
pub use pem::{Pem, PemError};
pub use refusal::{Refusal, RefusedBy};
pub use regular::{open_regular, read_small_file};
pub use revoke_file::read_revoke_file;
pub use revoked::{Credential, Leaf, Revocation, RevocationError, Revocations, Revoked, Serial};
pub use roots::TrustLoadError;
pub use tls::{
    LINK_ALPN, SERVER_NAME, TUNNEL_ALPN, TlsError, link_client, link_server, tunnel_client,
    tunnel_server,
};
pub use trust::{Trust, TrustError};
