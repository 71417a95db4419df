//! One question at a time: who asks what is being asked already gets that answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::OnceCell;

/// Questions under way. No more entries than those who ask.
#[derive(Debug)]
pub(super) struct Flights<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Flights<K, V> {
    /// The answer to `key`: that of a flight under way, or `ask`'s. If whoever asks gives up, the next
    /// one who waits asks anew.
    pub(super) async fn join(&self, key: K, ask: impl Future<Output = V>) -> V {
        let cell = self.lock().entry(key.clone()).or_default().clone();
        let seat = Seat {
            flights: self,
            key,
            cell,
        };
        seat.cell.get_or_init(|| ask).await.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<OnceCell<V>>>> {
        self.0.lock().expect("no panic while locked")
    }
}

/// One who waits. The flight ends with its answer, or with the last who leaves without one.
struct Seat<'a, K: Clone + Eq + Hash, V: Clone> {
    flights: &'a Flights<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        /// The table's own and this seat's.
        const LAST: usize = 2;
        let mut flights = self.flights.lock();
        let is_ours = |known: &Arc<OnceCell<V>>| Arc::ptr_eq(known, &self.cell);
        if flights.get(&self.key).is_some_and(is_ours)
            && (self.cell.initialized() || Arc::strong_count(&self.cell) == LAST)
        {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn one_asks_and_all_hear() {
        let flights = Flights::default();
        let asked = AtomicUsize::new(0);
        let (answer, wait) = oneshot::channel::<u8>();
        let mut wait = Some(wait);
        let ask = |wait: Option<oneshot::Receiver<u8>>| async {
            asked.fetch_add(1, Ordering::Relaxed);
            wait.expect("only the first asks").await.unwrap()
        };
        let mut first = Box::pin(flights.join("a", ask(wait.take())));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.join("a", ask(None)));
        assert!(second.as_mut().now_or_never().is_none());
        answer.send(7).unwrap();
        assert_eq!((first.await, second.await), (7, 7));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(flights.lock().is_empty());
        assert_eq!(flights.join("a", ready(8)).await, 8, "asked anew");
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_question_to_the_next() {
        let flights = Flights::default();
        let mut first = Box::pin(flights.join("a", pending()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(flights.join("a", ready(1)));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(second.await, 1);
        let mut alone = Box::pin(flights.join("b", pending::<u8>()));
        assert!(alone.as_mut().now_or_never().is_none());
        drop(alone);
        assert!(flights.lock().is_empty());
    }
}
