//! One session per ingress: a new one ends the one before.
//!
//! An ingress process has one session with an exit and closes it before it opens the next. So an
//! earlier one that still looks alive here belongs to a process that died without a word, or was
//! given up there; without this its targets would keep their connections until it idles out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quinn::{Connection, VarInt};
use tracing::info;

use crate::clock;
use crate::identity::{AgentId, Credential, Member};
use crate::tunnel::SessionStreams;

/// Application error code of a session that a later one of the same ingress replaced.
const REPLACED: VarInt = VarInt::from_u32(2);

/// Application error code of a session whose certificate counts no more.
const DISTRUSTED: VarInt = VarInt::from_u32(3);

/// The session of each ingress. No more entries than `limits.sessions`.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    current: Mutex<HashMap<AgentId, Session>>,
}

#[derive(Debug)]
struct Session {
    streams: SessionStreams,
    ingress: Arc<Member>,
    since: Instant,
}

impl Sessions {
    /// Notes the session of `ingress` and ends the one before.
    pub(super) fn enter(&self, ingress: Arc<Member>, streams: &SessionStreams) {
        let id = ingress.id;
        let session = Session {
            streams: streams.clone(),
            ingress,
            since: clock::now(),
        };
        let earlier = self.lock().insert(id, session);
        if let Some(earlier) = earlier {
            info!(ingress = %id, "an earlier session of this ingress ends: it opened another");
            earlier
                .streams
                .connection()
                .close(REPLACED, b"replaced by a later session");
        }
    }

    /// Forgets a session that has ended, unless another has taken its place.
    pub(super) fn leave(&self, ingress: AgentId, connection: &Connection) {
        let mut current = self.lock();
        let is_current =
            |known: &Session| known.streams.connection().stable_id() == connection.stable_id();
        if current.get(&ingress).is_some_and(is_current) {
            current.remove(&ingress);
        }
    }

    /// Ends every session for whose certificate `judge` has a reason.
    pub(super) fn end_where(&self, judge: impl Fn(&Credential) -> Option<String>) {
        for session in self.lock().values() {
            let connection = session.streams.connection();
            // One that is ending is told once.
            if connection.close_reason().is_none()
                && let Some(why) = judge(&session.ingress.credential)
            {
                connection.close(DISTRUSTED, why.as_bytes());
            }
        }
    }

    /// The members that have a session, by id, and since when.
    pub(super) fn members(&self) -> Vec<(Arc<Member>, Instant)> {
        let current = self.lock();
        let members = current.values();
        let mut members: Vec<_> = members
            .map(|session| (session.ingress.clone(), session.since))
            .collect();
        members.sort_by_key(|(member, _)| member.id);
        members
    }

    /// Bytes that were sent in them and that their other ends have not delivered yet.
    pub(super) fn undelivered(&self) -> u64 {
        let current = self.lock();
        let held = current.values().map(|session| session.streams.held());
        held.sum()
    }

    /// Whose streams get less than they could use.
    pub(super) fn short_of_windows(&self) -> Vec<AgentId> {
        let current = self.lock();
        let short = current
            .iter()
            .filter(|(_, session)| session.streams.are_short());
        let mut ingresses: Vec<AgentId> = short.map(|(ingress, _)| *ingress).collect();
        ingresses.sort();
        ingresses
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Session>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
