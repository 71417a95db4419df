//! Grants: what a certificate lets its agent be and originate.
//!
//! They travel as URI subject alternative names:
//!
//! | URI | grants |
//! |---|---|
//! | `warren:route:10.0.0.0/8` | to originate this prefix and any inside |
//! | `warren:domain:*.corp.example` | to originate this domain and any below |
//! | `warren:resolve:*`, `warren:resolve:*.corp.example` | to resolve these names for others |
//! | `warren:role:ingress`, `:transit`, `:exit` | this part in the mesh; with none of them, every part |
//! | `warren:group:ops` | nothing by itself; it names a group that exits may have rules for |
//! | `warren:none` | nothing; the certificate has grants, and none of the above |
//! | `warren:unrestricted` | everything |
//!
//! A certificate with none at all is unrestricted, too, as certificates were before there was a word
//! for it. What begins like a grant and cannot be understood refuses the whole certificate.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::likeness::is_like_grant;
use super::{DomainPattern, Group};
use crate::canonical;

/// The URI scheme of grants. Schemes compare without case (RFC 3986 section 3.1).
const SCHEME: &str = "warren:";

/// Most groups of one certificate, which everybody in the mesh stores.
const MAX_GROUPS: usize = 32;

/// What a certificate lets its agent be and originate. The default is nothing of what takes a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub prefixes: Vec<IpNet>,
    pub domains: Vec<DomainPattern>,
    /// Names that it may resolve for others.
    pub resolves: Vec<NamePattern>,
    /// `None`: every part in the mesh.
    pub roles: Option<Roles>,
    /// What it belongs to, for rules of exits.
    pub groups: BTreeSet<Group>,
    /// It may originate and resolve anything, and says so.
    pub unrestricted: bool,
}

/// Parts in the mesh, one or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// It may open connections through exits.
    pub ingress: bool,
    /// It may be on the way between others.
    pub transit: bool,
    /// Connections may be opened through it.
    pub exit: bool,
}

/// A name that is resolved for others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// `*`
    Any,
    Domain(DomainPattern),
}

/// What begins like a grant and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("grant {text:?} is malformed: {reason}")]
pub struct GrantError {
    /// As the certificate has it.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Grants {
    /// Everything, said aloud.
    pub fn unrestricted() -> Self {
        Self {
            unrestricted: true,
            ..Self::default()
        }
    }

    /// Reads the grants among `uris`; what does not begin like one is ignored. `None`: there is no
    /// grant.
    pub fn from_uris<'a>(
        uris: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, GrantError> {
        let mut grants = None;
        for uri in uris {
            let read = match strip_scheme(uri) {
                Some(grant) => grants.get_or_insert_with(Self::default).add(grant),
                None if is_like_grant(uri) => Err("it does not begin with `warren:`".to_owned()),
                None => continue,
            };
            read.map_err(|reason| GrantError {
                text: uri.to_owned(),
                reason,
            })?;
        }
        match &grants {
            Some(grants) => grants.check().map(|()| Some(grants.clone())),
            None => Ok(None),
        }
    }

    /// The grants as URIs: at least one, because none at all means something else.
    pub fn uris(&self) -> impl Iterator<Item = String> + '_ {
        let prefixes = self.prefixes.iter().map(|prefix| format!("route:{prefix}"));
        let domains = self.domains.iter().map(|domain| format!("domain:{domain}"));
        let resolves = self.resolves.iter().map(|names| format!("resolve:{names}"));
        let roles = self.roles.unwrap_or_default().names();
        let groups = self.groups.iter().map(|group| format!("group:{group}"));
        let everything = self.unrestricted.then(|| "unrestricted".to_owned());
        let grants: Vec<String> = prefixes
            .chain(domains)
            .chain(resolves)
            .chain(roles.map(|role| format!("role:{role}")))
            .chain(groups)
            .chain(everything)
            .collect();
        let nothing = grants.is_empty().then(|| "none".to_owned());
        let grants = grants.into_iter().chain(nothing);
        grants.map(|grant| format!("{SCHEME}{grant}"))
    }

    /// Whether one granted prefix covers all of `prefix`. Nothing covers one in odd form.
    pub fn allows_prefix(&self, prefix: &IpNet) -> bool {
        let mut prefixes = self.prefixes.iter();
        canonical::is_prefix(prefix)
            && (self.unrestricted || prefixes.any(|granted| granted.contains(prefix)))
    }

    /// Whether one granted pattern covers every name under `domain`.
    pub fn allows_domain(&self, domain: &DomainPattern) -> bool {
        self.unrestricted || self.domains.iter().any(|granted| granted.covers(domain))
    }

    /// Whether it may resolve `name` for others. Case and one trailing dot are ignored.
    #[cfg(test)]
    pub(crate) fn allows_resolving(&self, name: &str) -> bool {
        self.unrestricted || self.resolves.iter().any(|names| names.matches(name))
    }

    /// The parts that it may have.
    pub fn roles(&self) -> Roles {
        self.roles.unwrap_or(Roles::ALL)
    }

    fn add(&mut self, grant: &str) -> Result<(), String> {
        match grant.split_once(':') {
            Some(("route", prefix)) => self.prefixes.push(parse_prefix(prefix)?),
            Some(("domain", domain)) => self.domains.push(parse_name(domain)?),
            Some(("resolve", names)) => self.resolves.push(parse_name(names)?),
            Some(("role", role)) => self.roles.get_or_insert_default().add(role)?,
            Some(("group", group)) => drop(self.groups.insert(parse_group(group)?)),
            None if grant == "none" => {}
            None if grant == "unrestricted" => self.unrestricted = true,
            Some(_) | None => {
                return Err(
                    "it is none of warren:route:, domain:, resolve:, role:, group:, none and unrestricted"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// Whether the grants agree with each other.
    fn check(&self) -> Result<(), GrantError> {
        let originates = !self.prefixes.is_empty() || !self.domains.is_empty();
        let limited = originates || !self.resolves.is_empty();
        let error = |text: &str, reason: &str| {
            Err(GrantError {
                text: format!("{SCHEME}{text}"),
                reason: reason.to_owned(),
            })
        };
        if self.groups.len() > MAX_GROUPS {
            return error("group:…", "a certificate names 32 groups at most");
        }
        if self.unrestricted && limited {
            return error("unrestricted", "it stands beside grants that restrict");
        }
        if limited && !self.roles().exit {
            return error("role:…", "routes and names are an exit's, and no role is");
        }
        Ok(())
    }
}

impl Roles {
    /// Every part.
    pub const ALL: Self = Self {
        ingress: true,
        transit: true,
        exit: true,
    };

    /// The roles by their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let roles = [
            ("ingress", self.ingress),
            ("transit", self.transit),
            ("exit", self.exit),
        ];
        roles
            .into_iter()
            .filter_map(|(name, has)| has.then_some(name))
    }

    /// Those that are not among `others`.
    pub fn without(self, others: Self) -> Self {
        Self {
            ingress: self.ingress && !others.ingress,
            transit: self.transit && !others.transit,
            exit: self.exit && !others.exit,
        }
    }

    fn add(&mut self, role: &str) -> Result<(), String> {
        match role {
            "ingress" => self.ingress = true,
            "transit" => self.transit = true,
            "exit" => self.exit = true,
            _ => return Err("the roles are ingress, transit and exit".to_owned()),
        }
        Ok(())
    }
}

impl NamePattern {
    /// Whether `name` falls under this pattern. Case and one trailing dot are ignored.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Domain(pattern) => pattern.matches(name),
        }
    }
}

impl FromStr for NamePattern {
    type Err = super::DomainPatternError;

    /// Reads `*`, `*.corp.example` or one name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "*" => Ok(Self::Any),
            _ => text.parse().map(Self::Domain),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Domain(pattern) => pattern.fmt(f),
        }
    }
}

fn parse_name<T: FromStr<Err = super::DomainPatternError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn parse_group(text: &str) -> Result<Group, String> {
    text.parse()
        .map_err(|error: super::GroupError| error.to_string())
}

/// A CIDR prefix in canonical form; the error says what to write instead.
pub fn parse_prefix(text: &str) -> Result<IpNet, String> {
    canonical::parse_prefix(text).map_err(|error| format!("`{text}` {error}"))
}

fn strip_scheme(uri: &str) -> Option<&str> {
    let (scheme, grant) = uri.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(grant)
}

#[cfg(test)]
mod tests;
