//! The life of an agent as one phase that everybody can follow, as those do who end by themselves. The
//! services do not: they open and close in an order, and may fail at it, so the operator tells them.
//!
//! ```text
//!             Started            Drain
//!  Starting ──────────► Running ───────► Draining
//!      │                  │  ▲    Undrain   │
//!      │ Stop             │  └──────────────┤
//!      │             Stop │                 │ Stop
//!      └──────────► Stopping ◄──────────────┘
//! ```

use tokio::sync::watch;

/// Where an agent is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Ports are bound; nothing is served yet.
    Starting,
    Running,
    /// Takes nothing new and lets what is open end. There is a way back.
    Draining,
    /// The same, without a way back: it ends afterwards.
    Stopping,
}

/// What moves an agent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Started,
    Drain,
    Undrain,
    Stop,
}

impl Phase {
    /// The phase after `change`, the same one if it asks for what is; `None`: it cannot be had.
    fn after(self, change: Change) -> Option<Self> {
        match (self, change) {
            (Self::Starting | Self::Running, Change::Started) => Some(Self::Running),
            (Self::Running | Self::Draining, Change::Drain) => Some(Self::Draining),
            (Self::Running | Self::Draining, Change::Undrain) => Some(Self::Running),
            (Self::Starting | Self::Running | Self::Draining | Self::Stopping, Change::Stop)
            | (Self::Stopping, Change::Drain) => Some(Self::Stopping),
            (Self::Draining | Self::Stopping, Change::Started)
            | (Self::Starting, Change::Drain | Change::Undrain)
            | (Self::Stopping, Change::Undrain) => None,
        }
    }

    /// Whether it takes nothing new.
    pub(super) fn is_leaving(self) -> bool {
        match self {
            Self::Starting | Self::Running => false,
            Self::Draining | Self::Stopping => true,
        }
    }
}

/// Holds the phase. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Lifecycle(watch::Sender<Phase>);

impl Lifecycle {
    /// Of an agent that starts.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Phase::Starting))
    }

    /// Makes a change and returns the phase after it; `None`: it cannot be had, and nothing changed.
    pub(super) fn change(&self, change: Change) -> Option<Phase> {
        let mut after = None;
        self.0.send_if_modified(|phase| {
            after = phase.after(change);
            let next = after.unwrap_or(*phase);
            std::mem::replace(phase, next) != next
        });
        after
    }

    pub(super) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Follows it from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::Change::*;
    use super::Phase::*;
    use super::*;

    #[test]
    fn every_change_in_every_phase() {
        let table = [
            (Starting, Started, Some(Running)),
            (Starting, Drain, None),
            (Starting, Undrain, None),
            (Starting, Stop, Some(Stopping)),
            (Running, Started, Some(Running)),
            (Running, Drain, Some(Draining)),
            (Running, Undrain, Some(Running)),
            (Running, Stop, Some(Stopping)),
            (Draining, Started, None),
            (Draining, Drain, Some(Draining)),
            (Draining, Undrain, Some(Running)),
            (Draining, Stop, Some(Stopping)),
            (Stopping, Started, None),
            (Stopping, Drain, Some(Stopping)),
            (Stopping, Undrain, None),
            (Stopping, Stop, Some(Stopping)),
        ];
        for (phase, change, expected) in table {
            assert_eq!(phase.after(change), expected, "{phase:?}, {change:?}");
        }
    }

    #[test]
    fn who_follows_sees_changes_only() {
        let life = Lifecycle::new();
        let mut seen = life.subscribe();
        assert_eq!(life.change(Drain), None);
        assert!(!seen.has_changed().unwrap());
        assert_eq!(life.change(Started), Some(Running));
        assert!(seen.has_changed().unwrap());
        assert_eq!(*seen.borrow_and_update(), Running);
        assert_eq!(life.change(Undrain), Some(Running));
        assert!(!seen.has_changed().unwrap());
    }
}
