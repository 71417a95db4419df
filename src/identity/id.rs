//! Agent ids: derived from the key, so that nobody can claim another's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An agent's identity: the first 16 bytes of SHA-256 over its DER SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub [u8; 16]);

/// The first 8 bytes of an [`AgentId`], big endian: what packet headers carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId(pub u64);

/// A string that is not 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an agent id: expected 32 hex digits")]
pub struct AgentIdError(pub String);

impl AgentId {
    /// The id that belongs to a public key, given as DER SubjectPublicKeyInfo.
    pub fn from_spki(spki: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_ref()[..16]);
        Self(id)
    }

    /// The id's packet-header form.
    pub fn short(self) -> ShortId {
        let mut head = [0; 8];
        head.copy_from_slice(&self.0[..8]);
        ShortId(u64::from_be_bytes(head))
    }
}

impl ShortId {
    /// The least id whose packet-header form this is.
    pub fn least(self) -> AgentId {
        AgentId((u128::from(self.0) << 64).to_be_bytes())
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AgentId {
    type Err = AgentIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || AgentIdError(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| error())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for AgentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for AgentId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for AgentId {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        <[u8; 16]>::try_from(bytes)
            .map(Self)
            .map_err(|_| minicbor::decode::Error::message("an agent id has 16 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_head_of_the_hash_of_the_key() {
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let id = AgentId::from_spki(b"abc");
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223");
        assert_eq!(id.short(), ShortId(0xba78_16bf_8f01_cfea));
        assert_eq!(id.short().to_string(), "ba7816bf8f01cfea");
    }

    #[test]
    fn text_reads_back_in_either_case() {
        let id: AgentId = "BA7816bf8f01cfea414140de5dae2223".parse().unwrap();
        assert_eq!(id, AgentId::from_spki(b"abc"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"ba7816bf8f01cfea414140de5dae2223\"");
        assert_eq!(serde_json::from_str::<AgentId>(&json).unwrap(), id);
    }

    #[test]
    fn everything_else_is_no_id() {
        for text in [
            "",
            "auto",
            "ba7816bf8f01cfea414140de5dae222",
            "ba7816bf8f01cfea414140de5dae22233",
            "ga7816bf8f01cfea414140de5dae2223",
            "+a7816bf8f01cfea414140de5dae2223",
            "ba7816bf 8f01cfea414140de5dae222",
            "ba7816bf8f01cfea414140de5dae22\u{e9}",
        ] {
            let error = text.parse::<AgentId>().unwrap_err();
            assert!(error.to_string().contains("32 hex digits"), "{error}");
        }
    }

    #[test]
    fn the_wire_form_has_exactly_16_bytes() {
        let id = AgentId::from_spki(b"abc");
        let bytes = minicbor::to_vec(id).unwrap();
        assert_eq!(minicbor::decode::<AgentId>(&bytes).unwrap(), id);
        let short = minicbor::to_vec(minicbor::bytes::ByteVec::from(vec![0; 15])).unwrap();
        minicbor::decode::<AgentId>(&short).unwrap_err();
    }
}
