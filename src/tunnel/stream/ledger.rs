//! What one end of a session may send on each stream, so that streams whose reader stalls cannot use up
//! the other end's window and stop all others. Pure.
//!
//! ```text
//!   window of the other end, all streams together (QUIC holds it, whatever we do)
//!   ├──────────── pool: 1/2 ─────────────┬─ floors: < 1/4 ─┬── never used: 1/4 ──┤
//!    each stream up to 1/16 of what is      a least share     for windows that are
//!    left of it (Choudhury and Hahne)       for every stream  announced in eighths
//! ```
//!
//! A stream *holds* what we sent on it and the other end's TCP has not taken, as far as we were told. We
//! ask in time; who does not read does not answer, and holds what it holds.

use std::collections::HashMap;

/// The part of what is left of the pool that one stream may hold: enough for the largest credit of one
/// stream (its QUIC settings) while the pool is empty, and after some 250 stalled streams the pool is
/// used up to a rest that nobody misses.
const SHARE: u64 = 16;

/// The least share of the first streams that are open at once. A path of 2 ms carries 16 MB/s with it.
const FLOOR: u64 = 32 * 1024;

/// Each rank of streams has so many times the streams of the one before, and its floor is so many times
/// smaller: all floors of a rank are half of those of the rank before.
const RANK_STREAMS: u64 = 4;
const RANK_FLOOR: u64 = 8;

/// Holding this much, a stream is asked for in any case: rarely enough to cost nothing (some three hundred
/// times a second at 5 Gbit/s; with 512 KiB every sixth packet towards the sender was an answer), often
/// enough that what an idle one seems to hold is little.
const ASK_EVERY: u64 = 2 * 1024 * 1024;

/// Streams that have ended and still hold something, at most; of further ones it is forgotten.
const ENDED: usize = 65_536;

/// What streams hold.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Of the other end, bytes.
    window: u64,
    held: u64,
    /// Streams open.
    open: u64,
    accounts: HashMap<u64, Account>,
    ended: usize,
    /// Holding this much in all, every stream is asked for.
    sweep_at: u64,
    short: bool,
}

#[derive(Debug)]
struct Account {
    sent: u64,
    taken: u64,
    /// How many streams were open when it was opened, itself included.
    place: u64,
    asked: bool,
    ended: bool,
}

impl Account {
    fn held(&self) -> u64 {
        self.sent - self.taken
    }
}

impl Ledger {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            window,
            held: 0,
            open: 0,
            accounts: HashMap::new(),
            ended: 0,
            sweep_at: window / 8,
            short: false,
        }
    }

    /// The other end's window is this.
    pub(crate) fn set_window(&mut self, window: u64) {
        self.window = window;
        self.sweep_at = window / 8;
    }

    pub(crate) fn open(&mut self, stream: u64) {
        self.open += 1;
        let account = Account {
            sent: 0,
            taken: 0,
            place: self.open,
            asked: false,
            ended: false,
        };
        self.accounts.insert(stream, account);
    }

    /// Nothing more will be sent. What is held stays in the books until it is taken.
    pub(crate) fn close(&mut self, stream: u64) {
        self.open = self.open.saturating_sub(1);
        if let Some(account) = self.accounts.get_mut(&stream) {
            account.ended = true;
            self.ended += 1;
            if account.held() == 0 || self.ended > ENDED {
                self.forget(stream);
            }
        }
    }

    fn forget(&mut self, stream: u64) {
        if let Some(account) = self.accounts.remove(&stream) {
            self.held -= account.held();
            self.ended -= usize::from(account.ended);
        }
    }

    /// Bytes that may be sent now, and whether to ask what was taken: if none, somebody must.
    pub(crate) fn room(&mut self, stream: u64) -> (u64, bool) {
        let (window, left) = (self.window, self.left());
        let Some(account) = self.accounts.get_mut(&stream) else {
            return (0, false);
        };
        let room = limit(window, left, account.place).saturating_sub(account.held());
        let ask = room == 0 && !account.asked;
        account.asked |= ask;
        (room, ask)
    }

    /// Notes what was sent; returns the streams to ask for.
    pub(crate) fn sent(&mut self, stream: u64, bytes: u64) -> Vec<u64> {
        let (window, left) = (self.window, self.left());
        let mut ask = Vec::new();
        if let Some(account) = self.accounts.get_mut(&stream) {
            account.sent += bytes;
            self.held += bytes;
            let enough = (limit(window, left, account.place) / 2).min(ASK_EVERY);
            if !account.asked && account.held() >= enough {
                account.asked = true;
                ask.push(stream);
            }
        }
        if self.held >= self.sweep_at {
            self.sweep_at = self.held + window / 16;
            ask.extend(self.ask_all());
        }
        ask
    }

    /// The other end took everything up to position `at`.
    pub(crate) fn taken(&mut self, stream: u64, at: u64) {
        let Some(account) = self.accounts.get_mut(&stream) else {
            return;
        };
        let at = at.clamp(account.taken, account.sent);
        self.held -= at - account.taken;
        account.taken = at;
        account.asked = false;
        if account.ended && account.held() == 0 {
            self.forget(stream);
        }
        self.sweep_at = (self.held + self.window / 16).max(self.window / 8);
    }

    /// Bytes that all streams hold, those that have ended among them.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The streams that hold something and were not asked for it; they count as asked.
    pub(crate) fn ask_all(&mut self) -> Vec<u64> {
        let mut ask = Vec::new();
        let holds = |account: &Account| !account.asked && account.held() > 0;
        let all = self.accounts.iter_mut();
        for (stream, account) in all.filter(|(_, account)| holds(account)) {
            account.asked = true;
            ask.push(*stream);
        }
        ask
    }

    /// Whether streams get less than they could use, because others hold so much; `Some` when that
    /// has changed since it was last asked.
    pub(crate) fn short_changed(&mut self) -> Option<bool> {
        let left = self.left();
        let short = match self.short {
            true => left < self.window * 3 / 16,
            false => left < self.window / 8,
        };
        let changed = short != self.short;
        self.short = short;
        changed.then_some(short)
    }

    pub(crate) fn is_short(&self) -> bool {
        self.short
    }

    /// Of the pool.
    fn left(&self) -> u64 {
        (self.window / 2).saturating_sub(self.held)
    }
}

/// What a stream may hold.
fn limit(window: u64, left: u64, place: u64) -> u64 {
    (left / SHARE).max(floor(window, place))
}

/// What a stream may hold in any case, if it is the `place`th that is open. At any time at most so many
/// streams have this place or a lower one, because no more were open when the last of them came. So the
/// floors of all streams together stay below a quarter of the window, however many there are, as long as
/// there is a byte for each.
fn floor(window: u64, place: u64) -> u64 {
    let mut streams = (window / 8 / FLOOR).max(1);
    let mut floor = FLOOR.min(window / 8);
    let mut until = streams;
    while place > until && floor > 1 {
        streams *= RANK_STREAMS;
        floor = (floor / RANK_FLOOR).max(1);
        until += streams;
    }
    floor
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const WINDOW: u64 = 256 * MIB;
    /// What QUIC lets one stream hold on a short path.
    const STREAM: u64 = 768 * 1024;

    /// Sends as much as there is room for, at most what QUIC allows; returns how much.
    fn fill(ledger: &mut Ledger, stream: u64) -> u64 {
        let mut total = 0;
        loop {
            let room = ledger.room(stream).0.min(STREAM - total).min(65_536);
            if room == 0 {
                return total;
            }
            ledger.sent(stream, room);
            total += room;
        }
    }

    #[test]
    fn floors_fit_a_quarter_of_any_window() {
        for (window, streams) in [
            (MIB, 65_536),
            (16 * MIB, 65_536),
            (WINDOW, 65_536),
            (WINDOW, 1_048_576),
            (2_048 * MIB, 1_048_576),
        ] {
            let total: u64 = (1..=streams).map(|place| floor(window, place)).sum();
            assert!(total <= window / 4 + streams, "{window} {streams} {total}");
            assert!((1..=streams).all(|place| floor(window, place) >= 1));
        }
        for (place, bytes) in [(1, 32_768), (1_024, 32_768), (1_025, 4_096), (5_121, 512)] {
            assert_eq!(floor(WINDOW, place), bytes, "{place}");
        }
    }

    #[test]
    fn a_stream_among_few_has_all_that_quic_allows_and_is_asked_for_in_time() {
        let mut ledger = Ledger::new(WINDOW);
        for stream in 0..64 {
            ledger.open(stream);
            assert_eq!(fill(&mut ledger, stream), STREAM);
        }
        assert_eq!(ledger.short_changed(), None);
        ledger.open(64);
        assert!(ledger.sent(64, 1_000).is_empty());
        assert_eq!(ledger.sent(64, ASK_EVERY), [64]);
        assert!(ledger.sent(64, 1_000).is_empty(), "once is enough");
        ledger.taken(64, ASK_EVERY + 1_000);
        assert!(ledger.sent(64, 1_000).is_empty());
    }

    #[test]
    fn however_many_stall_a_share_is_free_and_everybody_has_room() {
        let mut ledger = Ledger::new(WINDOW);
        for stream in 0..65_535 {
            ledger.open(stream);
            assert!(fill(&mut ledger, stream) > 0);
        }
        assert!(ledger.held <= WINDOW * 3 / 4, "{}", ledger.held);
        assert_eq!(ledger.short_changed(), Some(true));
        ledger.open(65_535);
        assert!(ledger.room(65_535).0 > 0);
        let mut readers = 0;
        while ledger.short_changed().is_none() {
            ledger.taken(readers, u64::MAX);
            readers += 1;
        }
        assert!(!ledger.is_short());
    }

    #[test]
    fn who_has_no_room_has_asked() {
        let mut ledger = Ledger::new(WINDOW);
        ledger.open(1);
        assert!(ledger.sent(1, 100_000).is_empty());
        // Others take the pool meanwhile.
        for stream in 2..600 {
            ledger.open(stream);
            fill(&mut ledger, stream);
        }
        let account = &ledger.accounts[&1];
        assert!(account.asked, "by the sweep");
        ledger.taken(1, 50_000);
        assert_eq!(ledger.room(1), (0, true));
        assert_eq!(ledger.room(1), (0, false));
        ledger.taken(1, 100_000);
        assert_eq!(ledger.room(1), (FLOOR, false));
    }

    #[test]
    fn what_ended_unread_is_held_until_it_is_taken() {
        let mut ledger = Ledger::new(WINDOW);
        ledger.open(1);
        ledger.sent(1, 5_000);
        ledger.close(1);
        assert_eq!((ledger.held, ledger.open), (5_000, 0));
        ledger.taken(1, 4_000);
        assert_eq!(ledger.held, 1_000);
        ledger.taken(1, u64::MAX);
        assert_eq!(
            (ledger.held, ledger.accounts.len(), ledger.ended),
            (0, 0, 0)
        );
        ledger.taken(1, u64::MAX);
        ledger.open(2);
        ledger.close(2);
        assert!(ledger.accounts.is_empty());
    }

    #[test]
    fn a_peer_that_says_odd_things_is_taken_for_what_can_be() {
        let mut ledger = Ledger::new(WINDOW);
        ledger.open(1);
        ledger.sent(1, 5_000);
        ledger.taken(1, 3_000);
        ledger.taken(1, 1_000);
        assert_eq!(ledger.held, 2_000);
        ledger.taken(7, 1_000);
        ledger.set_window(0);
        assert_eq!(ledger.room(1).0, 0);
        ledger.taken(1, 5_000);
        assert_eq!(ledger.held, 0);
        // Ended ones that nobody ever takes are bounded.
        ledger.set_window(WINDOW);
        for stream in 10..70_000 {
            ledger.open(stream);
            ledger.sent(stream, 1);
            ledger.close(stream);
        }
        assert!(ledger.ended <= ENDED && ledger.accounts.len() <= ENDED + 1);
    }
}
