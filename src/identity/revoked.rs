//! Revocations: whose certificates count no more, before they end by themselves.
//!
//! A list is lines, or entries of `trust.revoke`: an agent's id, or `serial:` and a certificate's serial
//! number as `warren cert info` shows it. An id takes the agent out for good; a serial one certificate
//! of it, as when a key was not lost but its grants were a mistake.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::AgentId;

/// Most hex digits of a serial number: 20 octets (RFC 5280 section 4.1.2.2).
const MAX_SERIAL: usize = 40;

/// Stands before a serial number.
const SERIAL: &str = "serial:";

/// A certificate's serial number: lower-case hex without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(String);

/// What of a certificate decides whether a connection that was made with it may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub id: AgentId,
    pub serial: Serial,
    /// Last second of validity, Unix time.
    pub not_after: u64,
    pub leaf: Leaf,
}

/// A certificate whose CA is looked for once, when somebody asks how long that lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    der: Vec<u8>,
    /// Last second of its CA's validity, Unix time.
    ca_not_after: OnceLock<u64>,
}

/// One revocation. What looks like an id may be meant as a serial number of as many digits, and revokes
/// both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocation {
    Id(AgentId),
    Serial(Serial),
}

/// A text that is no revocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: `{text}` is neither an agent id (32 hex digits) nor `serial:` and hex digits"
)]
pub struct RevocationError {
    /// From 1.
    pub line: usize,
    /// As it stands there, 40 characters at most.
    pub text: String,
}

/// What is revoked, as one agent knows it at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations(BTreeSet<Revocation>);

/// What is revoked now: one value for all who judge.
#[derive(Clone, Debug, Default)]
pub struct Revoked(Arc<RwLock<Revocations>>);

impl Leaf {
    /// Of a DER certificate.
    pub fn new(der: &[u8]) -> Self {
        Self {
            der: der.to_owned(),
            ca_not_after: OnceLock::new(),
        }
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The end of its CA, Unix time, which `find` finds at the first call.
    pub(super) fn ca_not_after(&self, find: impl FnOnce(&[u8]) -> u64) -> u64 {
        *self.ca_not_after.get_or_init(|| find(&self.der))
    }
}

impl Serial {
    /// Of a serial number's octets, big endian.
    pub fn from_octets(octets: &[u8]) -> Self {
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        Self(hex.trim_start_matches('0').to_owned())
    }
}

impl FromStr for Serial {
    type Err = ();

    /// Reads hex digits of any case, with or without colons between.
    fn from_str(text: &str) -> Result<Self, ()> {
        let hex: String = text.chars().filter(|c| *c != ':').collect();
        let digits = hex.trim_start_matches('0');
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && !hex.is_empty() && digits.len() <= MAX_SERIAL {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(())
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => f.write_str("0"),
            digits => f.write_str(digits),
        }
    }
}

impl FromStr for Revocation {
    type Err = ();

    /// Reads an id, or a serial number that is marked as one: by `serial:` before it, or by colons
    /// between its octets. Any other text of hex digits is an id with a slip, and would revoke nobody.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let marked = text.split_at_checked(SERIAL.len());
        if let Some((_, number)) = marked.filter(|(mark, _)| mark.eq_ignore_ascii_case(SERIAL)) {
            return number.trim_start().parse().map(Self::Serial);
        }
        if !text.contains(':') {
            return Err(());
        }
        let serial: Serial = text.parse()?;
        // It may have been an id.
        Ok(serial.0.parse().map_or(Self::Serial(serial), Self::Id))
    }
}

impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Serial(serial) => write!(f, "{SERIAL}{serial}"),
        }
    }
}

impl Revocations {
    /// Reads a list, a revocation a line; blank lines and what follows `#` do not count. Beside what
    /// can be read stands every line that cannot, so that a slip in one does not void the others.
    pub fn parse(text: &str) -> (Self, Vec<RevocationError>) {
        let mut revocations = BTreeSet::new();
        let mut errors = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            match entry.parse() {
                _ if entry.is_empty() => {}
                Ok(revocation) => drop(revocations.insert(revocation)),
                Err(()) => errors.push(RevocationError {
                    line: index + 1,
                    text: entry.chars().take(40).collect(),
                }),
            }
        }
        (Self(revocations), errors)
    }

    /// Those of both.
    #[must_use]
    pub fn with(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a certificate counts no more.
    pub fn cover(&self, id: AgentId, serial: &Serial) -> bool {
        // An id may have been meant as the serial number that it looks like.
        let alike = || {
            format!("{:0>32}", serial.0)
                .parse()
                .ok()
                .map(Revocation::Id)
        };
        self.0.contains(&Revocation::Id(id))
            || self.0.contains(&Revocation::Serial(serial.clone()))
            || alike().is_some_and(|alike| self.0.contains(&alike))
    }
}

impl FromIterator<Revocation> for Revocations {
    fn from_iter<T: IntoIterator<Item = Revocation>>(revocations: T) -> Self {
        Self(revocations.into_iter().collect())
    }
}

impl Revoked {
    /// Takes the place of what was revoked; whether it differs.
    pub fn replace(&self, revocations: Revocations) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let differs = *current != revocations;
        *current = revocations;
        differs
    }

    /// What is revoked now.
    pub fn current(&self) -> Revocations {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Whether a certificate counts no more.
    pub fn covers(&self, id: AgentId, serial: &Serial) -> bool {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        current.cover(id, serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn serial(text: &str) -> Serial {
        text.parse().unwrap()
    }

    #[test]
    fn a_list_holds_ids_and_serials_and_tells_what_it_cannot_read() {
        let (revocations, errors) = Revocations::parse(&format!(
            "# taken out in March\n\n{ID} # stolen\r\n  0A:BC:01\nnonsense\n{ID}00112233445566778\n"
        ));
        assert_eq!(revocations.count(), 2);
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [5, 6]);
        assert!(errors[0].to_string().contains("nonsense"));
        for (id, number, revoked) in [
            (ID, "1", true),
            ("ffffffffffffffffffffffffffffffff", "abc01", true),
            ("ffffffffffffffffffffffffffffffff", "00:0a:bc:01", true),
            ("ffffffffffffffffffffffffffffffff", "abc02", false),
        ] {
            let id = id.parse().unwrap();
            assert_eq!(revocations.cover(id, &serial(number)), revoked, "{number}");
        }
    }

    /// A display name, or an id without its last digit, would revoke nobody and say nothing.
    #[test]
    fn only_what_is_marked_as_one_is_a_serial() {
        let marked = "serial:abc01\nSerial:  00ABC02 # as it is shown\n0a:bc:03\n\
                      serial:00112233445566778899aabbccddeeff";
        let (revocations, errors) = Revocations::parse(marked);
        assert_eq!((revocations.count(), errors), (4, Vec::new()));
        let other = AgentId([0xff; 16]);
        for number in ["abc01", "abc02", "abc03", ID] {
            assert!(revocations.cover(other, &serial(number)), "{number}");
        }
        assert!(
            !revocations.cover(ID.parse().unwrap(), &serial("1")),
            "marked"
        );
        let long = format!("{ID}0");
        for text in [
            "00112233",
            "1",
            &ID[1..],
            &long,
            "serial:",
            "serial:xyz",
            ":",
            "serial",
        ] {
            assert!(text.parse::<Revocation>().is_err(), "{text}");
            let (revocations, errors) = Revocations::parse(text);
            assert_eq!((revocations.count(), errors.len()), (0, 1), "{text}");
            assert!(errors[0].to_string().contains("`serial:`"), "{}", errors[0]);
        }
        for text in ["serial:abc01", "serial:00", ID] {
            let read: Revocation = text.parse().unwrap();
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_looks_like_an_id_may_be_a_serial() {
        let number = "a0112233445566778899aabbccddeeff";
        let revocations: Revocations = [number.parse().unwrap()].into_iter().collect();
        assert!(revocations.cover(AgentId([1; 16]), &serial(number)));
        assert!(!revocations.cover(AgentId([1; 16]), &serial("1")));
        let short = format!("00{}", &number[2..]);
        let revocations: Revocations = [short.parse().unwrap()].into_iter().collect();
        assert!(revocations.cover(AgentId([1; 16]), &serial(&short)));
    }

    #[test]
    fn serials_have_one_form() {
        for (text, shown) in [("00", "0"), ("0A:0b", "a0b"), ("ABC", "abc"), ("1", "1")] {
            assert_eq!(serial(text).to_string(), shown);
        }
        assert_eq!(Serial::from_octets(&[0, 0x0a, 0xbc]), serial("abc"));
        assert_eq!(Serial::from_octets(&[0x80]), serial("80"));
        for text in ["", "xyz", "12 34", &"f".repeat(41)] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
    }

    #[test]
    fn all_who_judge_see_a_change() {
        let revoked = Revoked::default();
        let other = revoked.clone();
        let one: Revocations = [Revocation::Id(AgentId([1; 16]))].into_iter().collect();
        assert!(revoked.replace(one.clone()));
        assert!(!revoked.replace(one), "nothing new");
        assert!(other.covers(AgentId([1; 16]), &serial("1")));
        assert!(other.replace(Revocations::default()));
        assert!(!revoked.covers(AgentId([1; 16]), &serial("1")));
    }
}
