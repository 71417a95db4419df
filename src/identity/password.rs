//! Password hashes as the file carries them: argon2 and bcrypt.
//!
//! Both are slow by design (tens of milliseconds), so callers run them off the packet thread.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2};

/// Bytes of salt in a new hash; RFC 9106 section 3.1 recommends 16.
const SALT_LEN: usize = 16;

/// A password or a hash that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password is empty; write it to stdin as one line")]
    Empty,
    #[error("neither an argon2 nor a bcrypt hash; make one with `warren hash`")]
    UnknownFormat,
    #[error("hashing failed: {0}")]
    Hash(String),
}

/// A new argon2id hash in PHC form, with a random salt and m = 19 MiB, t = 2, p = 1.
pub fn hash(password: &[u8]) -> Result<String, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty);
    }
    let failed = |error: argon2::password_hash::Error| PasswordError::Hash(error.to_string());
    let mut salt = [0; SALT_LEN];
    aws_lc_rs::rand::fill(&mut salt)
        .map_err(|_| PasswordError::Hash("the system gave no randomness".into()))?;
    let salt = SaltString::encode_b64(&salt).map_err(failed)?;
    let hash = Argon2::default()
        .hash_password(password, &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that `hash` was made of. A malformed hash matches nothing.
pub fn verify(hash: &str, password: impl AsRef<[u8]>) -> bool {
    if is_bcrypt(hash) {
        return bcrypt::verify(password, hash).unwrap_or(false);
    }
    PasswordHash::new(hash).is_ok_and(|parsed| {
        Argon2::default()
            .verify_password(password.as_ref(), &parsed)
            .is_ok()
    })
}

/// Whether [`verify`] can ever say yes to this hash; for refusing it when the file is read.
pub fn check_format(hash: &str) -> Result<(), PasswordError> {
    let known = if is_bcrypt(hash) {
        hash.parse::<bcrypt::HashParts>().is_ok()
    } else {
        PasswordHash::new(hash).is_ok_and(|parsed| {
            Algorithm::try_from(parsed.algorithm).is_ok()
                && argon2::Params::try_from(&parsed).is_ok()
                && parsed.salt.is_some()
                && parsed.hash.is_some()
        })
    };
    if known {
        Ok(())
    } else {
        Err(PasswordError::UnknownFormat)
    }
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"]
        .iter()
        .any(|prefix| hash.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_hash_verifies_its_password_only_and_is_salted() {
        let first = hash(b"correct horse").unwrap();
        let second = hash(b"correct horse").unwrap();
        assert!(
            first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{first}"
        );
        assert_ne!(first, second);
        assert!(verify(&first, "correct horse"));
        assert!(!verify(&first, "correct horse\n"));
        assert!(!verify(&first, ""));
        check_format(&first).unwrap();
    }

    #[test]
    fn imported_bcrypt_hashes_verify() {
        let hash = bcrypt::hash("tr0ub4dor", 4).unwrap();
        for prefix in ["$2a$", "$2b$", "$2y$"] {
            let imported = format!("{prefix}{}", &hash[4..]);
            assert!(verify(&imported, "tr0ub4dor"), "{imported}");
            assert!(!verify(&imported, "tr0ub4dor "), "{imported}");
            check_format(&imported).unwrap();
        }
    }

    #[test]
    fn nothing_verifies_against_a_malformed_hash() {
        let half = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ";
        for bad in [
            "",
            "secret",
            "$2b$",
            "$2b$99$abc",
            "$argon2id$",
            half,
            "$1$md5$x",
        ] {
            assert!(!verify(bad, "secret"), "{bad}");
            assert!(!verify(bad, bad), "{bad}");
            assert_eq!(
                check_format(bad),
                Err(PasswordError::UnknownFormat),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert_eq!(hash(b""), Err(PasswordError::Empty));
    }
}
