//! Who may use the management endpoints.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::caller::Caller;
use super::error::ApiError;
use super::origin;
use super::{Access, Metrics};
use crate::identity::Verdict;

/// Decides on management requests: through the local socket, with the token if there is one, from
/// loopback if there is none or the file says so.
pub(super) struct Guard {
    pub(super) access: Arc<Access>,
    pub(super) metrics: Metrics,
}

/// Lets a request through or answers it with 401, 403 or 429.
pub(super) async fn require(
    State(guard): State<Arc<Guard>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    match guard.admit(caller, request.uri(), request.headers()).await {
        Ok(()) => next.run(request).await,
        Err((reason, error)) => {
            guard.metrics.refused(reason);
            error.into_response()
        }
    }
}

pub(super) type Refused = (&'static str, ApiError);

impl Guard {
    /// Whether a request that anyone may make comes from who may manage. A token that is not the one
    /// counts as refused.
    pub(super) async fn is_manager(&self, caller: Caller, uri: &Uri, headers: &HeaderMap) -> bool {
        match self.admit(caller, uri, headers).await {
            Ok(()) => true,
            Err((reason, _)) => {
                if bearer(headers).is_some() {
                    self.metrics.refused(reason);
                }
                false
            }
        }
    }

    /// Whether a request may see what is the operator's; `Err` says why not.
    pub(super) async fn admit(
        &self,
        caller: Caller,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Refused> {
        let Caller::At(peer) = caller else {
            return Ok(());
        };
        let ip = peer.ip().to_canonical();
        let rule = self.access.rule();
        if let (Some(check), Some(token)) = (&rule.token, bearer(headers)) {
            return verdict(check.check(ip, token).await);
        }
        if ip.is_loopback() && (rule.token.is_none() || rule.trust_loopback) {
            return origin::check(uri, headers).map_err(|why| {
                let error = ApiError::new(StatusCode::FORBIDDEN, why.to_string());
                (why.label(), error)
            });
        }
        Err(match rule.token {
            Some(_) => (
                "no_token",
                unauthorized("management needs `Authorization: Bearer <token>`"),
            ),
            None => (
                "not_local",
                ApiError::new(
                    StatusCode::FORBIDDEN,
                    "management is open to this host only; set http.token_hash to open it to others",
                ),
            ),
        })
    }
}

fn verdict(verdict: Verdict) -> Result<(), Refused> {
    match verdict {
        Verdict::Valid => Ok(()),
        Verdict::Wrong => Err(("wrong_token", unauthorized("the token is wrong"))),
        Verdict::TooOften => Err((
            "too_often",
            ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many tokens were tried; wait and try again",
            )
            .with_header(header::RETRY_AFTER, "1"),
        )),
    }
}

fn unauthorized(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, message)
        .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"warren\"")
}

/// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}
