//! What becomes known of a host's addresses while they arrive, to say afterwards why none was dialled.

use std::net::IpAddr;

use crate::names::Part;

/// What became known so far; `E` is how a lookup fails.
#[derive(Debug)]
pub(super) struct Found<E> {
    any: bool,
    /// One of them was kept.
    kept: bool,
    error: Option<E>,
}

/// Why there was nothing to dial.
#[derive(Debug)]
pub(super) enum Lack<E> {
    Failed(E),
    NoAddress,
    NoneKept,
}

impl<E> Default for Found<E> {
    fn default() -> Self {
        Self {
            any: false,
            kept: false,
            error: None,
        }
    }
}

impl<E> Found<E> {
    /// The addresses of `part` that `is_kept`, if there are any.
    pub(super) fn keep(
        &mut self,
        part: Result<Part, E>,
        is_kept: impl Fn(IpAddr) -> bool,
    ) -> Option<Part> {
        let mut part = part.map_err(|error| self.error = Some(error)).ok()?;
        self.any = true;
        let addresses = part.addresses.into_iter().map(|ip| ip.to_canonical());
        part.addresses = addresses.filter(|ip| is_kept(*ip)).collect();
        self.kept |= !part.addresses.is_empty();
        (!part.addresses.is_empty()).then_some(part)
    }

    /// Why there was nothing to dial; `None`: there was something.
    pub(super) fn lack(self) -> Option<Lack<E>> {
        match self {
            Self {
                error: Some(error), ..
            } => Some(Lack::Failed(error)),
            Self { any: false, .. } => Some(Lack::NoAddress),
            Self { kept: false, .. } => Some(Lack::NoneKept),
            Self { .. } => None,
        }
    }
}
