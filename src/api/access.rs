//! Who may manage, by the file; may be replaced while requests are served.

use std::sync::{Arc, PoisonError, RwLock};

use super::token::TokenCheck;
use crate::config;
use crate::config::PasswordHash;
use crate::identity::Checks;

/// The rule of now.
pub struct Access(RwLock<Arc<Rule>>);

pub(super) struct Rule {
    hash: Option<PasswordHash>,
    /// `None`: no token is configured.
    pub(super) token: Option<Arc<TokenCheck>>,
    /// With a token: loopback needs none. A proxy on this host may pass on strangers.
    pub(super) trust_loopback: bool,
}

impl Access {
    /// By the `http` section, if there is one. Tokens take their turn to be hashed in `checks`.
    pub fn new(config: Option<&config::Http>, checks: Arc<Checks>) -> Self {
        let hash = config.and_then(|http| http.token_hash.clone());
        Self(RwLock::new(Arc::new(Rule {
            token: token(hash.as_ref(), checks),
            hash,
            trust_loopback: config.is_some_and(|http| http.trust_loopback),
        })))
    }

    /// By `config` from now on. A token that stays is remembered.
    pub fn replace(&self, config: &config::Http, checks: Arc<Checks>) {
        let before = self.rule();
        let token = match before.hash == config.token_hash {
            true => before.token.clone(),
            false => token(config.token_hash.as_ref(), checks),
        };
        let rule = Rule {
            hash: config.token_hash.clone(),
            token,
            trust_loopback: config.trust_loopback,
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rule);
    }

    pub(super) fn rule(&self) -> Arc<Rule> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn token(hash: Option<&PasswordHash>, checks: Arc<Checks>) -> Option<Arc<TokenCheck>> {
    hash.map(|hash| Arc::new(TokenCheck::new(hash.clone(), checks)))
}
