//! The exit in use dies: what ended in it is reset, new connections go to the other one.

use internal_chaos::drill::fault::Fault;
use internal_chaos::drill::repeat::{End, Repeat};

use crate::support::{GENEROUS_MS, check, drill, new_connections_succeed};

#[test]
fn a_killed_exit() {
    drill(Fault::ExitKill, |seen| {
        connections_end_soon(seen)?;
        new_connections_succeed(seen)
    });
}

/// Open connections end at the client, and soon.
fn connections_end_soon(seen: &Repeat) -> Result<(), String> {
    for one in &seen.transfers {
        check(one.end == End::Broken, "a connection hangs")?;
        check(
            one.ended_after_ms.is_some_and(|after| after < GENEROUS_MS),
            "a connection ended late",
        )?;
    }
    Ok(())
}
