//! A path in the form that packets carry.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};

use crate::identity::ShortId;
use crate::wire::packet::{PacketType, header_len, write_header};

/// One path in the form that packets carry. Equal are those that lead the same way.
#[derive(Debug)]
pub struct Outlet {
    kind: PacketType,
    own: ShortId,
    hops: Box<[ShortId]>,
    /// Largest UDP payload that passes, bytes; 0: any.
    width: AtomicU16,
    /// The same for halves of packets.
    parts: OnceLock<Arc<Self>>,
}

impl PartialEq for Outlet {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.own, &self.hops) == (other.kind, other.own, &other.hops)
    }
}

impl Eq for Outlet {}

impl Outlet {
    /// `hops` has 1 to 15 entries, the destination last.
    pub fn new(kind: PacketType, own: ShortId, hops: &[ShortId]) -> Arc<Self> {
        Arc::new(Self {
            kind,
            own,
            hops: hops.into(),
            width: AtomicU16::new(0),
            parts: OnceLock::new(),
        })
    }

    /// The same way, which passes UDP payloads of at most `width` bytes; 0: any.
    pub fn within(self: Arc<Self>, width: u16) -> Arc<Self> {
        self.width.store(width, Ordering::Relaxed);
        self
    }

    /// Where the halves of a packet of `len` bytes go; `None`: it fits as a whole.
    pub(crate) fn parts(&self, len: usize) -> Option<&Arc<Self>> {
        let width = usize::from(self.width.load(Ordering::Relaxed));
        let part = self.kind.part()?;
        let too_long = width > 0 && self.header_len() + len > width;
        too_long.then(|| {
            let parts = || Self::new(part, self.own, &self.hops);
            self.parts.get_or_init(parts)
        })
    }

    /// Passes what `other`, the same way, passes.
    pub(super) fn widen_as(&self, other: &Self) {
        let width = other.width.load(Ordering::Relaxed);
        self.width.store(width, Ordering::Relaxed);
    }

    /// The neighbour that takes the packets.
    pub fn first_hop(&self) -> ShortId {
        self.hops[0]
    }

    /// Each hop in order, the destination last.
    pub fn hops(&self) -> &[ShortId] {
        &self.hops
    }

    /// Bytes of the header.
    pub fn header_len(&self) -> usize {
        header_len(self.hops.len())
    }

    /// Appends the header to `out`.
    pub fn write_header(&self, token: u64, out: &mut Vec<u8>) {
        write_header(out, self.kind, token, self.own, &self.hops);
    }
}
