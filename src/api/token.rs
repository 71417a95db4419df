//! The bearer token: a login without a name.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::PasswordHash;
use crate::identity::{Checks, Login, Verdict};

/// Checks tokens against one hash.
pub(super) struct TokenCheck(Login);

impl TokenCheck {
    pub(super) fn new(hash: PasswordHash, checks: Arc<Checks>) -> Self {
        Self(Login::new("http", [("", hash.text)], checks))
    }

    /// Whether `token`, presented by `source`, is the one. Time does not depend on how much of it
    /// is right. A token that verified before is never limited.
    pub(super) async fn check(&self, source: IpAddr, token: &[u8]) -> Verdict {
        self.0.verify(source, b"", token.to_vec()).await
    }
}
