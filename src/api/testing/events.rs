//! One event of each kind that the fake agent remembers.

use std::time::Duration;

use super::{EventView, id};
use crate::record::{Cause, Event, Failover, Side};
use crate::routing::SwitchCause;

/// In order; a link went down for `reason`.
pub(super) fn all(reason: String) -> Vec<EventView> {
    let (peer, side) = (id(0x77), Side::Ingress);
    let kinds = [
        Event::LinkUp { peer: id(0x22) },
        Event::SessionOpened { side, peer },
        Event::LinkSuspect { peer: id(0x22) },
        Event::Failover(Failover {
            side,
            peer,
            cause: Cause::Known(SwitchCause::LinkDown),
            from: vec![id(0x22), peer],
            to: vec![id(0x33), peer],
            detected: Some(Duration::from_millis(150)),
            stall: Some(Duration::from_millis(180)),
            in_flight: 12_288,
        }),
        Event::LinkDown {
            peer: id(0x22),
            reason,
        },
        Event::Recovered {
            failover: 4,
            stall: Duration::from_millis(180),
        },
        Event::ClockSkew {
            peer: id(0x99),
            ahead_ms: -180_400,
        },
        Event::ClockSet { ahead_ms: 60_000 },
    ];
    let events = (1..).zip(kinds).map(|(number, what)| EventView {
        number,
        at: format!("2026-01-02T03:04:05.00{number}Z"),
        peer_name: None,
        what,
    });
    events.collect()
}
