//! `/api/routes/advertise`.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::error::ApiError;
use super::super::{AdvertiseAnswer, AdvertiseStatus, Agent, RouteChange, RouteVerb};
use super::Shared;
use crate::config::Route;

const FORM: &str = "write `{\"routes\": [\"10.2.0.0/16\"]}`, with `\"save\": true` if wanted";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    routes: Vec<String>,
    #[serde(default)]
    save: bool,
}

pub(super) async fn list<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Json<AdvertiseAnswer> {
    Json(shared.agent.advertised())
}

pub(super) async fn add<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    change(&shared, RouteVerb::Add, &body).await
}

pub(super) async fn remove<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    change(&shared, RouteVerb::Remove, &body).await
}

async fn change<A: Agent>(
    shared: &Shared<A>,
    what: RouteVerb,
    body: &[u8],
) -> Result<Response, ApiError> {
    let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message);
    let body: Body =
        serde_json::from_slice(body).map_err(|error| bad(format!("{error}; {FORM}")))?;
    let routes = body.routes.iter().map(|text| text.parse::<Route>());
    let routes: Vec<Route> = routes.collect::<Result<_, _>>().map_err(bad)?;
    if routes.is_empty() {
        return Err(bad(format!("no routes; {FORM}")));
    }
    let save = body.save;
    let change = RouteChange { what, routes, save };
    let answer = shared.agent.advertise(change).await;
    let status = match answer.status {
        AdvertiseStatus::Ok => StatusCode::OK,
        AdvertiseStatus::Refused => StatusCode::CONFLICT,
    };
    Ok((status, Json(answer)).into_response())
}
