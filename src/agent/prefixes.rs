//! Builds prefix tables on a blocking thread, so that no number of routes holds up packets.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::{JoinHandle, spawn_blocking};

use crate::clock;
use crate::routing::{Admitted, PrefixTable, Rebuild};
use crate::wire::{Advertisement, RouteAdv, SignedAdv};

/// One build at a time, as [`Rebuild`] paces them. Owned by the control task; a build that it leaves
/// behind ends by itself and is heard by nobody.
pub(super) struct PrefixBuilder {
    rebuild: Rebuild,
    task: Option<JoinHandle<Arc<PrefixTable>>>,
}

impl PrefixBuilder {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            rebuild: Rebuild::new(now),
            task: None,
        }
    }

    /// Routes changed.
    pub(super) fn handle_changed(&mut self) {
        self.rebuild.handle_changed();
    }

    /// Starts a build of what there is now, if one is due.
    pub(super) fn start(&mut self, routes: impl FnOnce() -> Vec<(SignedAdv, Arc<Admitted>)>) {
        if self.rebuild.start(clock::now()) {
            let routes = routes();
            self.task = Some(spawn_blocking(move || Arc::new(build(&routes))));
        }
    }

    /// The table whose build has ended; waits for ever while none is under way. Cancel safe.
    pub(super) async fn built(&mut self) -> Arc<PrefixTable> {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let built = task.await;
        self.task = None;
        self.rebuild.handle_built(clock::now());
        built.expect("building panics for no advertisement that was decoded")
    }

    /// When [`start`](Self::start) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.rebuild.poll_timeout()
    }
}

fn build(routes: &[(SignedAdv, Arc<Admitted>)]) -> PrefixTable {
    PrefixTable::build_granted(
        routes
            .iter()
            .filter_map(|(signed, admitted)| Some((route(signed)?, admitted.grants.as_ref()))),
    )
}

fn route(signed: &SignedAdv) -> Option<&RouteAdv> {
    match signed.advertisement() {
        Ok(Advertisement::Route(route)) => Some(route),
        Ok(Advertisement::Link(_)) | Err(_) => None,
    }
}
