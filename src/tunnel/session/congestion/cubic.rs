//! CUBIC in congestion avoidance (RFC 9438): what other senders on the internet do. The controller is
//! tested beside it.

use std::time::{Duration, Instant};

/// Of CUBIC's growth, packets per second cubed (RFC 9438 section 5.1).
const C: f64 = 0.4;

/// What a loss leaves of the window (RFC 9438 section 4.6).
const BETA: f64 = 0.7;

/// Packets per round trip that make it no slower than Reno: 3 (1 - β) / (1 + β) (section 4.3).
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// CUBIC's window, in congestion avoidance from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Cubic {
    packet: f64,
    window: f64,
    /// The window before the last loss.
    most: f64,
    began: Instant,
    /// What Reno would have.
    reno: f64,
    /// Losses of what was sent before belong to the last one.
    reduced: Option<Instant>,
}

impl Cubic {
    pub(super) fn new(now: Instant, window: f64, packet: u64) -> Self {
        Self {
            packet: packet as f64,
            window,
            most: window,
            began: now,
            reno: window,
            reduced: None,
        }
    }

    /// Bytes.
    pub(super) fn window(&self) -> f64 {
        self.window
    }

    /// Bytes are acknowledged while the window is full.
    pub(super) fn handle_acked(&mut self, now: Instant, bytes: u64, rtt: Duration) {
        let share = bytes as f64 / self.window;
        self.reno += ALPHA * self.packet * share;
        let since = now.saturating_duration_since(self.began) + rtt;
        let until = ((self.most - self.least()) / self.packet / C)
            .max(0.0)
            .cbrt();
        let target = self.most + C * self.packet * (since.as_secs_f64() - until).powi(3);
        let target = target.clamp(self.window, 1.5 * self.window);
        self.window += (target - self.window) * share;
        self.window = self.window.max(self.reno);
    }

    /// Packets are lost, the newest sent then.
    pub(super) fn handle_lost(&mut self, now: Instant, sent: Instant) {
        if self.reduced.is_some_and(|reduced| sent <= reduced) {
            return;
        }
        self.reduced = Some(now);
        // Who has less than before gives way to newcomers (section 4.7).
        self.most = match self.window < self.most {
            true => self.window * (1.0 + BETA) / 2.0,
            false => self.window,
        };
        self.window = (self.window * BETA).max(2.0 * self.packet);
        (self.reno, self.began) = (self.window, now);
    }

    /// The window after the last loss.
    fn least(&self) -> f64 {
        match self.reduced {
            Some(_) => self.most * BETA,
            None => self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_returns_to_where_it_lost_and_then_grows_ever_faster() {
        let (start, rtt) = (Instant::now(), Duration::from_millis(50));
        let mut cubic = Cubic::new(start, 1e6, 1_000);
        cubic.handle_lost(start + rtt, start);
        cubic.handle_lost(start + rtt, start);
        assert_eq!(cubic.window(), 7e5, "one loss per round trip counts");
        // It takes (300 packets / 0.4) ^ 1/3 = 9.1 s.
        let mut at = |seconds: u32| {
            for round in 0..20 {
                let now = start + Duration::from_secs(seconds.into()) + round * rtt;
                cubic.handle_acked(now, cubic.window() as u64, rtt);
            }
            cubic.window() / 1e6
        };
        let grown: Vec<f64> = (0..14).map(&mut at).collect();
        assert!(grown[2] > 0.85 && grown[9] > 0.97, "{grown:?}");
        assert!(grown[9] < 1.05 && grown[13] > 1.03, "{grown:?}");
    }
}
