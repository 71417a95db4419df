//! Who an agent is and whom it trusts: ids, keys, certificates, grants, TLS configurations.

mod domain;
mod id;

pub use domain::{DomainPattern, DomainPatternError};
pub use id::{AgentId, AgentIdError, ShortId};
