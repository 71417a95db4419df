//! Single packets of ours beside a session's: probes and echoes.

use crate::forward::{DropReason, Fib, Packets};
use crate::identity::ShortId;
use crate::wire::packet::{Header, PacketType, write_header};

/// Sends one packet along `hops`, ahead of data; `payload` is made for its header. What cannot be sent
/// is counted as dropped.
pub(crate) fn send_along<P: AsRef<[u8]>>(
    fib: &Fib,
    kind: PacketType,
    hops: &[ShortId],
    payload: impl FnOnce(&Header<'_>) -> P,
) {
    let Some(next) = hops.first().and_then(|hop| fib.by_neighbor(*hop)) else {
        return fib.metrics.dropped(DropReason::NextHop, 1);
    };
    let mut packet = Vec::with_capacity(256);
    write_header(&mut packet, kind, next.token_out(), fib.own, hops);
    let header = Header::parse(&packet).expect("just written");
    let payload = payload(&header);
    packet.extend_from_slice(payload.as_ref());
    let sent = next.send_ahead(&Packets {
        ecn: None,
        bytes: &packet,
        stride: packet.len(),
    });
    if sent.is_err() {
        fib.metrics.dropped(DropReason::Send, 1);
    }
}
