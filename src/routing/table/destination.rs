//! What a route leads to.

use std::fmt;

use ipnet::IpNet;

use crate::identity::DomainPattern;

/// What exits advertise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    Prefix(IpNet),
    Domain(DomainPattern),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => prefix.fmt(f),
            Self::Domain(pattern) => pattern.fmt(f),
        }
    }
}
