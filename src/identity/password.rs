//! Password hashes as the file carries them: argon2 and bcrypt.
//!
//! Both are slow by design (tens of milliseconds), so callers run them off the packet thread.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2};

/// Bytes of salt in a new hash; RFC 9106 section 3.1 recommends 16.
const SALT_LEN: usize = 16;

/// What one login may cost an ingress. Argon2: KiB of memory, the most that RFC 9106 section 4
/// recommends, passes over it, and lanes. Bcrypt: rounds as a power of two, some five seconds.
const MAX_M: u32 = 1 << 21;
const MAX_T: u32 = 64;
const MAX_P: u32 = 64;
const MAX_BCRYPT: u32 = 16;

/// A password or a hash that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password is empty; write it to stdin as one line")]
    Empty,
    #[error("not an argon2 or bcrypt hash; make one with `warren hash`")]
    UnknownFormat,
    #[error(
        "a hash that takes more than m={MAX_M}, t={MAX_T}, p={MAX_P} (argon2) or cost {MAX_BCRYPT} \
         (bcrypt) at every login; make one with `warren hash`"
    )]
    TooCostly,
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

/// Whether `password` is the one that `hash` was made of. A malformed hash, or one that costs too
/// much, matches nothing.
pub fn verify(hash: &str, password: impl AsRef<[u8]>) -> bool {
    if check_format(hash).is_err() {
        return false;
    }
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
    let cheap = if is_bcrypt(hash) {
        let parts = hash.parse::<bcrypt::HashParts>();
        parts.ok().map(|parts| parts.get_cost() <= MAX_BCRYPT)
    } else {
        PasswordHash::new(hash).ok().and_then(argon2_is_cheap)
    };
    match cheap {
        Some(true) => Ok(()),
        Some(false) => Err(PasswordError::TooCostly),
        None => Err(PasswordError::UnknownFormat),
    }
}

/// `None` if it is no hash of argon2. Costs are judged first: the parameters' own check overflows
/// with 2²⁹ lanes.
fn argon2_is_cheap(parsed: PasswordHash<'_>) -> Option<bool> {
    Algorithm::try_from(parsed.algorithm).ok()?;
    (parsed.salt.is_some() && parsed.hash.is_some()).then_some(())?;
    let within = |name, most| {
        let cost = parsed.params.get_decimal(name);
        cost.is_none_or(|cost| cost <= most)
    };
    if !(within("m", MAX_M) && within("t", MAX_T) && within("p", MAX_P)) {
        return Some(false);
    }
    argon2::Params::try_from(&parsed).ok().map(|_| true)
}

/// About how many microseconds one check takes, by the parameters: for telling which of two hashes
/// is the costlier. Factors measured on one core of an AMD EPYC: 0.9 µs for each KiB and pass of
/// argon2, 48 µs for each round of bcrypt.
pub fn cost(hash: &str) -> u64 {
    if let Ok(parts) = hash.parse::<bcrypt::HashParts>() {
        return 48 << parts.get_cost().min(MAX_BCRYPT);
    }
    let params = PasswordHash::new(hash).map(|parsed| argon2::Params::try_from(&parsed));
    params.ok().and_then(Result::ok).map_or(0, |params| {
        u64::from(params.m_cost()) * u64::from(params.t_cost()) * 9 / 10
    })
}

fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2y$"]
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
    fn a_hash_that_costs_too_much_is_refused() {
        let argon2 = |m: u32, t: u32, p: u32| {
            format!("$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
        };
        let costly = Err(PasswordError::TooCostly);
        assert_eq!(check_format(&argon2(MAX_M, MAX_T, MAX_P)), Ok(()));
        for hash in [
            argon2(MAX_M + 1, 1, 1),
            argon2(u32::MAX, 1, 1),
            argon2(64, MAX_T + 1, 1),
            argon2(8_192, 1, MAX_P + 1),
            argon2(8, 1, 1 << 29),
            bcrypt::hash("secret", 4).unwrap().replace("$04$", "$17$"),
        ] {
            assert_eq!(check_format(&hash), costly, "{hash}");
            assert!(!verify(&hash, "secret"), "{hash}");
        }
        let unknown = Err(PasswordError::UnknownFormat);
        assert_eq!(check_format(&argon2(7, 1, 1)), unknown);
    }

    #[test]
    fn an_empty_password_is_refused() {
        assert_eq!(hash(b""), Err(PasswordError::Empty));
    }
}
