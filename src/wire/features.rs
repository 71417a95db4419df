//! What an agent can do that agents of the first release cannot, a bit each.

use minicbor::{Decode, Encode};

/// Feature bits. What one means stands in docs/wire-format.md (*Features*). A bit that this release does
/// not know means nothing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Features(#[n(0)] pub u64);

impl Features {
    /// What this build advertises. No bit is defined yet.
    pub const OWN: Self = Self(0);

    /// The numbers of the bits that are set, ascending.
    pub fn bits(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |bit| self.0 >> bit & 1 == 1)
    }
}
