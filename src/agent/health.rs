//! From the exit's health checks to its advertisements.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::control::Command;
use crate::config::{self, Route};
use crate::exit::{CheckStatus, Exit, healthy_routes};
use crate::routing::OwnRoutes;

/// A route's base metric: the path's cost alone decides.
const BASE_METRIC: u32 = 0;

/// What an exit advertises before its first check: nothing that a check guards.
pub(super) fn first_routes(config: &config::Exit) -> OwnRoutes {
    let unknown = vec![CheckStatus::Unknown; config.health_checks.len()];
    own_routes(config, &unknown)
}

/// Runs the health checks and advertises what they allow while that is `offered`, for ever. May be
/// aborted: what was advertised last stays.
pub(super) async fn guard(
    exit: Arc<Exit>,
    config: config::Exit,
    mut offered: watch::Receiver<bool>,
    commands: mpsc::Sender<Command>,
) {
    let mut statuses = exit.health().subscribe();
    let follow = async {
        loop {
            let changed = tokio::select! {
                changed = statuses.changed() => changed,
                changed = offered.changed() => changed,
            };
            // Else the agent is about to end.
            if changed.is_err() {
                return std::future::pending::<()>().await;
            }
            let routes = match *offered.borrow_and_update() {
                true => own_routes(&config, &statuses.borrow_and_update()),
                false => OwnRoutes::default(),
            };
            if commands.send(Command::Routes(routes)).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(exit.check_health(), follow);
}

fn own_routes(config: &config::Exit, statuses: &[CheckStatus]) -> OwnRoutes {
    let mut own = OwnRoutes {
        resolves: !config.dns.servers.is_empty(),
        ..OwnRoutes::default()
    };
    for route in healthy_routes(config, statuses) {
        match route {
            Route::Prefix(prefix) => own.prefixes.push((prefix, BASE_METRIC)),
            Route::Domain(domain) => own.domains.push(domain),
        }
    }
    own
}
