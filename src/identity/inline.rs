//! Whether PEM that the configuration itself holds is any good, so that its reader can tell so where it
//! stands. What is wrong is said without a word of it.

use std::error::Error;

use super::keys;
use super::pem::Pem;
use super::roots::Root;

/// Why it holds no CA certificates.
pub fn check_ca_pem(pem: &Pem) -> Result<(), String> {
    Root::read_all([pem]).map(drop).map_err(|e| words(&e))
}

/// Why it holds no certificate.
pub fn check_certificate_pem(pem: &Pem) -> Result<(), String> {
    keys::read_certificates(pem)
        .map(drop)
        .map_err(|e| words(&e))
}

/// Why it holds no private key that an agent may have.
pub fn check_key_pem(pem: &Pem) -> Result<(), String> {
    keys::read_key(pem).map(drop).map_err(|e| words(&e))
}

fn words(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
