//! How stored advertisements are named between neighbours.

use minicbor::{Decode, Encode};

use crate::identity::AgentId;

/// Names one stored advertisement in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct ObjectKey {
    #[n(0)]
    pub origin: AgentId,
    #[n(1)]
    pub kind: ObjectKind,
    #[n(2)]
    pub fragment: u16,
    #[n(3)]
    pub version: Version,
}

/// Orders the versions of one object. The check breaks the tie of two processes with one key that
/// stamped alike, so that every agent keeps the same one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Version {
    #[n(0)]
    pub epoch: u64,
    #[n(1)]
    pub sequence: u64,
    /// The signature's first 8 bytes.
    #[n(2)]
    pub check: u64,
}

/// The kind of a stored advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ObjectKind {
    #[n(0)]
    Link,
    #[n(1)]
    Route,
}
