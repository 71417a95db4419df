//! A request that finds no route though there was one a moment ago waits for it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Semaphore;

use super::{Metrics, Routes};
use crate::clock::Allowance;

/// What one request may still wait.
pub(super) struct Waiting<'a> {
    left: Allowance,
    /// One for each request that waits.
    places: &'a Semaphore,
    metrics: &'a Metrics,
}

impl<'a> Waiting<'a> {
    /// At most `left` in all its waits, and only if there is a place for it.
    pub(super) fn new(left: Allowance, places: &'a Semaphore, metrics: &'a Metrics) -> Self {
        Self {
            left,
            places,
            metrics,
        }
    }

    /// What `found` finds in the routes of now; in those of later if it is `worth` waiting for. A place
    /// is given back when the wait ends, also by the client's hanging up.
    pub(super) async fn find<R: Routes, T: Send>(
        &mut self,
        routes: &R,
        worth: bool,
        mut found: impl FnMut() -> Option<T> + Send,
    ) -> Option<T> {
        if !worth || self.left.is_over() {
            return found();
        }
        let mut later = pin!(routes.wait_for(found));
        // The first look needs no place.
        if let Poll::Ready(now) = poll_fn(|cx| Poll::Ready(later.as_mut().poll(cx))).await {
            return now;
        }
        let Ok(_place) = self.places.try_acquire() else {
            self.metrics.waited("no_room");
            return None;
        };
        let outcome = self.left.spend(later).await.flatten();
        let result = if outcome.is_some() {
            "found"
        } else {
            "in_vain"
        };
        self.metrics.waited(result);
        outcome
    }
}
