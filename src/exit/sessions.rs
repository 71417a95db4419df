//! One session per ingress: a new one ends the one before.
//!
//! An ingress process has one session with an exit and closes it before it opens the next. So an
//! earlier one that still looks alive here belongs to a process that died without a word, or was
//! given up there; without this its targets would keep their connections until it idles out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quinn::{Connection, VarInt};
use tracing::info;

use crate::identity::{AgentId, Credential, peer_certificate};

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
    connection: Connection,
    /// Of the certificate that the ingress showed; `None`: it was not seen.
    credential: Option<Credential>,
}

impl Sessions {
    /// Notes the session of `ingress` and ends the one before.
    pub(super) fn enter(&self, ingress: AgentId, connection: &Connection) {
        let certificate = peer_certificate(connection).ok();
        let session = Session {
            connection: connection.clone(),
            credential: certificate.map(|certificate| certificate.credential()),
        };
        let earlier = self.lock().insert(ingress, session);
        if let Some(earlier) = earlier {
            info!(%ingress, "an earlier session of this ingress ends: it opened another");
            earlier
                .connection
                .close(REPLACED, b"replaced by a later session");
        }
    }

    /// Forgets a session that has ended, unless another has taken its place.
    pub(super) fn leave(&self, ingress: AgentId, connection: &Connection) {
        let mut current = self.lock();
        let is_current = |known: &Session| known.connection.stable_id() == connection.stable_id();
        if current.get(&ingress).is_some_and(is_current) {
            current.remove(&ingress);
        }
    }

    /// Ends every session for whose certificate `judge` has a reason.
    pub(super) fn end_where(&self, judge: impl Fn(&Credential) -> Option<String>) {
        for session in self.lock().values() {
            // One that is ending is told once.
            if session.connection.close_reason().is_none()
                && let Some(why) = session.credential.as_ref().and_then(&judge)
            {
                session.connection.close(DISTRUSTED, why.as_bytes());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Session>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
