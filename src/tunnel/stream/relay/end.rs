//! What a relay asks of either end.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::RelayEnd;

/// An end of a relayed connection: bytes are read from it and written to it. Dropped before it is
/// settled, it is reset.
pub(super) trait End {
    /// Room for what one read takes.
    type Batch: AsMut<[Bytes]>;

    fn batch() -> Self::Batch;

    /// Reads into the front of `batch`.
    fn poll_fill(&mut self, cx: &mut Context<'_>, batch: &mut [Bytes]) -> Poll<Fill>;

    /// So many of the bytes read from it have reached the other end.
    fn delivered(&mut self, bytes: usize);

    /// Ready when a write would take something, as far as that is known beforehand.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayEnd>>;

    /// Writes `chunks`; a chunk that is written in part is advanced.
    fn poll_put(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Put;

    /// Nothing more will be written.
    fn finish(&mut self);

    /// Nothing more will be read.
    fn stop(&mut self);

    /// Ready when it was reset, or is known to be reset, although it is not read now.
    fn poll_trouble(&mut self, cx: &mut Context<'_>) -> Poll<Trouble>;

    /// Ready when it takes no more, although nothing is read from it or written to it now.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd>;

    /// Resets it, or sees to it that it will be, as soon as it has taken what was written.
    fn poll_abort(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Both directions are whole: dropping it ends nothing early.
    fn settle(&mut self);
}

/// What one read came to.
pub(super) enum Fill {
    /// So many chunks were filled, one at least.
    Bytes(usize),
    Eof,
    /// Reset, and everything that came before was read.
    Broken(RelayEnd),
}

/// What one write came to.
pub(super) struct Put {
    /// Chunks that are done with.
    pub(super) done: usize,
    /// Bytes that were written.
    pub(super) bytes: usize,
    /// Whether it is full (`Pending`), takes no more, or took everything.
    pub(super) flow: Poll<Result<(), RelayEnd>>,
}

/// What is wrong with an end that is not read.
pub(super) enum Trouble {
    /// Its reset comes after bytes that can still be read.
    Ending(RelayEnd),
    Broken(RelayEnd),
}
