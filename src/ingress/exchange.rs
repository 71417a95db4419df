//! One attempt: an exit, which may be this agent, is asked for a target.

use std::net::SocketAddr;

use super::attempts::Attempt;
use super::error::ConnectError;
use super::outcome::{Connected, Link};
use super::patience::patiently;
use super::{Ingress, OwnExit, Routes};
use crate::exit::{self, Dialled};
use crate::identity::AgentId;
use crate::tunnel::{ExitStream, OpenError, OpenStream, receive_message, send_message};
use crate::wire::{ConnectReply, ConnectRequest, ConnectStatus, StreamRequest, Target};

impl<T: OpenStream, R: Routes> Ingress<T, R> {
    /// Asks the exit for the target; its first sign of life is waited for less long if another can be
    /// asked.
    pub(super) async fn attempt(
        &self,
        attempt: &Attempt,
        has_alternative: bool,
    ) -> Result<Connected, ConnectError> {
        let exit = attempt.exit;
        let own = self.own.as_ref().filter(|own| own.id() == exit);
        let (link, bound) = match own {
            Some(own) => self.attempt_own(own, &attempt.target).await?,
            None => {
                let (stream, bound) = self.attempt_remote(attempt, has_alternative).await?;
                (Link::Stream(stream), bound)
            }
        };
        Ok(Connected { link, exit, bound })
    }

    async fn attempt_own(
        &self,
        own: &OwnExit,
        target: &Target,
    ) -> Result<(Link, Option<SocketAddr>), ConnectError> {
        let failed = |error: exit::ConnectError| ConnectError::Exit {
            exit: own.id(),
            status: error.status(),
            detail: error.to_string(),
        };
        let place = own.exit.place(own.id());
        let place = place.ok_or_else(|| failed(exit::ConnectError::Busy))?;
        let member = own.member.borrow().clone();
        let connecting = own.exit.connect(&member, target);
        let Dialled { tcp, bound } = connecting.await.map_err(failed)?;
        Ok((Link::Own(tcp, place), Some(bound)))
    }

    async fn attempt_remote(
        &self,
        attempt: &Attempt,
        has_alternative: bool,
    ) -> Result<(ExitStream, Option<SocketAddr>), ConnectError> {
        let exit = attempt.exit;
        tokio::select! {
            biased;
            answer = self.answer(attempt, has_alternative) => answer,
            () = self.opener.lost(exit) => Err(OpenError::NoPath(exit).into()),
        }
    }

    /// What the exit has to say in the end; its first sign of life must come in time.
    async fn answer(
        &self,
        attempt: &Attempt,
        has_alternative: bool,
    ) -> Result<(ExitStream, Option<SocketAddr>), ConnectError> {
        let exit = attempt.exit;
        let time = || {
            let rtt = self.opener.round_trip(exit);
            self.patience.attempt(has_alternative, rtt)
        };
        let asked = patiently(time, self.ask(attempt)).await;
        let (mut stream, mut reply) =
            asked.map_err(|after| ConnectError::Silent { exit, after })??;
        while reply.status == ConnectStatus::Pending {
            reply = receive(&mut stream, exit).await?;
        }
        match reply.status {
            ConnectStatus::Connected => Ok((stream, reply.bound)),
            status => Err(ConnectError::Exit {
                exit,
                status,
                detail: reply.detail,
            }),
        }
    }

    /// Opens a stream, asks, and waits for the first sign of life.
    async fn ask(&self, attempt: &Attempt) -> Result<(ExitStream, ConnectReply), ConnectError> {
        let exit = attempt.exit;
        let mut stream = self.opener.open(exit).await?;
        let request = StreamRequest::Connect(ConnectRequest {
            target: attempt.target.clone(),
        });
        let sent = send_message(&mut stream.send, &request).await;
        sent.map_err(|error| ConnectError::Stream {
            exit,
            reason: error.to_string(),
        })?;
        let reply = receive(&mut stream, exit).await?;
        Ok((stream, reply))
    }
}

async fn receive(stream: &mut ExitStream, exit: AgentId) -> Result<ConnectReply, ConnectError> {
    let reply = receive_message(&mut stream.recv).await;
    reply.map_err(|error| ConnectError::Stream {
        exit,
        reason: error.to_string(),
    })
}
