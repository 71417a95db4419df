//! From the exit's health checks to its advertisements.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::control::Command;
use crate::config::{self, Route};
use crate::exit::{self, Exit};
use crate::routing::OwnRoutes;

/// A route's base metric: the path's cost alone decides.
const BASE_METRIC: u32 = 0;

/// What an exit advertises before its first check: nothing that a check guards.
pub(super) fn first_routes(config: &config::Exit) -> OwnRoutes {
    let resolves = !config.dns.servers.is_empty();
    own_routes(exit::first_routes(config), resolves)
}

/// Runs the health checks and advertises what they and the exit's settings allow while that is
/// `offered`, for ever. May be aborted: what was advertised last stays.
pub(super) async fn guard(
    exit: Arc<Exit>,
    offered: watch::Receiver<bool>,
    commands: mpsc::Sender<Command>,
) {
    tokio::join!(exit.check_health(), advertise(&exit, offered, commands));
}

async fn advertise(
    exit: &Exit,
    mut offered: watch::Receiver<bool>,
    commands: mpsc::Sender<Command>,
) {
    let mut settings = exit.subscribe();
    loop {
        let current = settings.borrow_and_update().clone();
        let mut statuses = current.health().subscribe();
        loop {
            statuses.mark_unchanged();
            let routes = match *offered.borrow_and_update() {
                true => own_routes(current.healthy_routes(), current.resolves()),
                false => OwnRoutes::default(),
            };
            if commands.send(Command::Routes(routes)).await.is_err() {
                return;
            }
            // Errors mean that the agent is about to end.
            let seen = tokio::select! {
                changed = statuses.changed() => changed,
                changed = offered.changed() => changed,
                changed = settings.changed() => match changed {
                    Ok(()) => break,
                    Err(error) => Err(error),
                },
            };
            if seen.is_err() {
                return;
            }
        }
    }
}

fn own_routes(routes: Vec<Route>, resolves: bool) -> OwnRoutes {
    let mut own = OwnRoutes {
        resolves,
        ..OwnRoutes::default()
    };
    for route in routes {
        match route {
            Route::Prefix(prefix) => own.prefixes.push((prefix, BASE_METRIC)),
            Route::Domain(domain) => own.domains.push(domain),
        }
    }
    own
}
