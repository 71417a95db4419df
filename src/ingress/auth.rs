//! Who may use the ingress: names and password hashes.
//!
//! A check costs tens of milliseconds and megabytes by design, so it runs on a blocking thread,
//! a bounded number at once, and what verified is remembered as a keyed hash under a random key of
//! this process. Unknown users cost the same as known ones.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use argon2::{Argon2, PasswordVerifier};
use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::config::{PasswordHash, User};

/// Bytes of a remembered hash (SHA-256).
const TAG: usize = 32;

/// The configured users.
pub struct Users {
    hashes: HashMap<String, PasswordHash>,
    /// Checked in place of an unknown user's hash.
    decoy: Option<PasswordHash>,
    key: hmac::Key,
    /// The last password that verified, keyed and hashed, by user: never more entries than users.
    verified: Mutex<HashMap<String, [u8; TAG]>>,
}

impl Users {
    /// Whoever is in `users`, and nobody else.
    pub fn new(users: &[User]) -> Self {
        let hashes = users
            .iter()
            .map(|user| (user.username.clone(), user.password_hash.clone()))
            .collect();
        let mut key = [0; TAG];
        rand::fill(&mut key);
        Self {
            hashes,
            decoy: users.first().map(|user| user.password_hash.clone()),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            verified: Mutex::default(),
        }
    }

    /// Whether `password` is `username`'s. Waits for one of `checks` if it was not seen before.
    pub(super) async fn verify(
        &self,
        username: &[u8],
        password: Vec<u8>,
        checks: &Semaphore,
    ) -> bool {
        let username = String::from_utf8_lossy(username);
        let tag = self.tag(&username, &password);
        if self.is_remembered(&username, &tag) {
            return true;
        }
        let known = self.hashes.get(username.as_ref());
        let Some(hash) = known.or(self.decoy.as_ref()).cloned() else {
            return false;
        };
        // The semaphore is never closed, and the check does not panic.
        let Ok(_permit) = checks.acquire().await else {
            return false;
        };
        let matches = spawn_blocking(move || matches(&hash, &password)).await;
        let verified = known.is_some() && matches.unwrap_or(false);
        if verified {
            let mut remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.insert(username.into_owned(), tag);
        }
        verified
    }

    fn is_remembered(&self, username: &str, tag: &[u8; TAG]) -> bool {
        let remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(username)
            .is_some_and(|known| known.ct_eq(tag).into())
    }

    fn tag(&self, username: &str, password: &[u8]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.key);
        // The length keeps "ab" + "c" apart from "a" + "bc".
        context.update(&username.len().to_be_bytes());
        context.update(username.as_bytes());
        context.update(password);
        let mut tag = [0; TAG];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// Whether `password` belongs to an argon2 or bcrypt hash.
fn matches(hash: &PasswordHash, password: &[u8]) -> bool {
    if hash.0.starts_with("$2") {
        return bcrypt::verify(password, &hash.0).unwrap_or(false);
    }
    argon2::PasswordHash::new(&hash.0)
        .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

#[cfg(test)]
pub(super) mod tests {
    use argon2::password_hash::{PasswordHasher, SaltString};
    use argon2::{Algorithm, Params, Version};

    use super::*;

    /// A cheap argon2id hash.
    pub(crate) fn argon2_user(username: &str, password: &str) -> User {
        let cheap = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
        let salt = SaltString::encode_b64(b"salt of a test").unwrap();
        let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap)
            .hash_password(password.as_bytes(), &salt)
            .unwrap();
        User {
            username: username.to_owned(),
            password_hash: PasswordHash(hash.to_string()),
        }
    }

    /// A cheap bcrypt hash.
    pub(crate) fn bcrypt_user(username: &str, password: &str) -> User {
        User {
            username: username.to_owned(),
            password_hash: PasswordHash(bcrypt::hash(password, 4).unwrap()),
        }
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_verifies() {
        let users = Users::new(&[argon2_user("anna", "secret"), bcrypt_user("ben", "geheim")]);
        let checks = Semaphore::new(1);
        for round in 0..2 {
            for (username, password, expected) in [
                ("anna", "secret", true),
                ("anna", "Secret", false),
                ("ben", "geheim", true),
                ("ben", "secret", false),
                ("carl", "secret", false),
                ("carl", "geheim", false),
                ("", "", false),
            ] {
                let password = password.as_bytes().to_vec();
                let verified = users.verify(username.as_bytes(), password, &checks).await;
                assert_eq!(verified, expected, "{username}, round {round}");
            }
        }
        assert_eq!(users.verified.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_verified_once_needs_no_second_check() {
        let users = Users::new(&[argon2_user("anna", "secret")]);
        let checks = Semaphore::new(1);
        assert!(users.verify(b"anna", b"secret".to_vec(), &checks).await);
        let _none_left = checks.acquire().await.unwrap();
        assert!(users.verify(b"anna", b"secret".to_vec(), &checks).await);
    }

    #[tokio::test]
    async fn without_users_nobody_verifies() {
        let users = Users::new(&[]);
        let checks = Semaphore::new(1);
        assert!(!users.verify(b"anna", b"secret".to_vec(), &checks).await);
    }

    #[test]
    fn a_broken_hash_matches_nothing() {
        for hash in ["", "$2b$04$short", "$argon2id$", "plain"] {
            assert!(!matches(&PasswordHash(hash.to_owned()), hash.as_bytes()));
        }
    }
}
