//! The endpoints.

mod advertise;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options, post};
use axum::{Json, Router};
use http_body_util::Limited;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::caller::Caller;
use super::error::ApiError;
use super::exposition;
use super::guard::{self, Guard};
use super::{Agent, Dest, ExplainError, Metrics, Refused, ReloadStatus, Settings};

/// More than any request needs.
const MAX_BODY: usize = 16 * 1024;

/// Longer than an exit's default `dns.timeout` of 5 s, shorter than a person's patience.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Finding the exit, and one round of echoes, of which those over the longest paths are given up after ten seconds.
const TRACE_TIMEOUT: Duration = Duration::from_secs(15);

/// Traces at once: their echoes share a table, and every agent answers so many a second.
const TRACES: usize = 2;

/// Snapshots written at once. Anyone may ask for `/metrics`; packets need the processor too.
const SNAPSHOTS: usize = 2;

const JSON: &str = "application/json";

struct Shared<A> {
    agent: Arc<A>,
    guard: Arc<Guard>,
    snapshots: Arc<Semaphore>,
    traces: Semaphore,
}

/// Every endpoint. Requests must carry their [`Caller`] as an extension.
pub(super) fn router<A: Agent>(agent: Arc<A>, settings: &Settings) -> Router {
    let guard = Arc::new(Guard {
        access: settings.access.clone(),
        metrics: settings.metrics.clone(),
    });
    let management = Router::new()
        .route("/api/peers", get(peers::<A>))
        .route("/api/routes", get(routes::<A>))
        .route("/api/streams", get(streams::<A>))
        .route("/api/sessions", get(sessions::<A>))
        .route("/api/topology", get(topology::<A>))
        .route("/api/events", get(events::<A>))
        .route("/api/explain", get(explain::<A>))
        .route("/api/trace", get(trace::<A>))
        .route("/api/drain", post(drain::<A>))
        .route("/api/undrain", post(undrain::<A>))
        .route("/api/reload", post(reload::<A>))
        .route(
            "/api/routes/advertise",
            get(advertise::list::<A>)
                .post(advertise::add::<A>)
                .delete(advertise::remove::<A>),
        )
        .route_layer(middleware::from_fn_with_state(
            guard.clone(),
            guard::require,
        ));
    // Load balancers check with GET, HEAD or OPTIONS, as they are set up.
    Router::new()
        .route("/health", get(health).options(health))
        .route("/healthz", get(healthz::<A>).options(healthz::<A>))
        .route("/ready", get(ready::<A>).options(ready::<A>))
        // HAProxy's bare `option httpchk` asks for nothing else.
        .route("/", options(ready::<A>).fallback(no_endpoint))
        .route("/metrics", get(metrics::<A>))
        .merge(management)
        .fallback(no_endpoint)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(
            settings.metrics.clone(),
            around,
        ))
        .with_state(Arc::new(Shared {
            agent,
            guard,
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
            traces: Semaphore::new(TRACES),
        }))
}

async fn health() -> &'static str {
    "OK"
}

/// Names and reasons are for whoever may manage; checks need the status and the counts.
async fn healthz<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut health = shared.agent.health();
    if !shared.guard.is_manager(caller, &uri, &headers).await {
        health.display_name = String::new();
        health.reasons = Vec::new();
    }
    (carries(health.status.carries_traffic()), Json(health)).into_response()
}

async fn ready<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let ready = shared.agent.health().status.carries_traffic();
    let body = if ready { "READY\n" } else { "NOT READY\n" };
    (carries(ready), body).into_response()
}

fn carries(traffic: bool) -> StatusCode {
    if traffic {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// Names are for whoever may manage, as in `/healthz`.
async fn metrics<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let names = shared.guard.is_manager(caller, &uri, &headers).await;
    let accepts = headers.get_all(header::ACCEPT).iter();
    let accepts: Vec<&str> = accepts.filter_map(|accept| accept.to_str().ok()).collect();
    let mut response = if exposition::wants_open_metrics(&accepts.join(",")) {
        let write = move |agent: &A| Ok(agent.encode_metrics(names));
        snapshot(&shared, exposition::OPEN_METRICS, write).await
    } else {
        let write = move |agent: &A| Ok(exposition::classic(&agent.encode_metrics(names)));
        snapshot(&shared, exposition::CLASSIC, write).await
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    response
}

async fn peers<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    snapshot(&shared, JSON, |agent| encode(&agent.peers())).await
}

async fn routes<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    snapshot(&shared, JSON, |agent| encode(&agent.routes())).await
}

async fn streams<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    snapshot(&shared, JSON, |agent| encode(&agent.streams())).await
}

async fn sessions<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    snapshot(&shared, JSON, |agent| encode(&agent.sessions())).await
}

async fn topology<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    snapshot(&shared, JSON, |agent| encode(&agent.topology())).await
}

#[derive(Deserialize)]
struct EventsQuery {
    #[serde(default)]
    since: u64,
}

async fn events<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|_| {
        let message = "give the number of the last known event as `?since=<number>`";
        ApiError::new(StatusCode::BAD_REQUEST, message)
    })?;
    let write = move |agent: &A| encode(&agent.events(query.since));
    Ok(snapshot(&shared, JSON, write).await)
}

fn encode(view: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(view)
}

/// Takes and writes a snapshot off the async runtime, so that packets do not wait for it.
async fn snapshot<A: Agent>(
    shared: &Shared<A>,
    content_type: &'static str,
    write: impl FnOnce(&A) -> serde_json::Result<String> + Send + 'static,
) -> Response {
    let permit = Arc::clone(&shared.snapshots).acquire_owned().await;
    let agent = Arc::clone(&shared.agent);
    let written = tokio::task::spawn_blocking(move || {
        // Held to the end of the work, which goes on if the client hangs up.
        let _permit = permit;
        write(&agent)
    });
    match written.await {
        Ok(Ok(body)) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Ok(Err(error)) => internal(&error),
        Err(error) => internal(&error),
    }
}

fn internal(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "cannot write a snapshot");
    let message = "the agent could not write its state; see its log";
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

#[derive(Deserialize)]
struct DestQuery {
    dest: String,
}

type DestQueryResult = Result<Query<DestQuery>, QueryRejection>;

async fn explain<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    query: DestQueryResult,
) -> Result<Response, ApiError> {
    let dest = dest(query)?;
    answer(&dest, EXPLAIN_TIMEOUT, shared.agent.explain(&dest)).await
}

async fn trace<A: Agent>(
    State(shared): State<Arc<Shared<A>>>,
    query: DestQueryResult,
) -> Result<Response, ApiError> {
    let dest = dest(query)?;
    let _permit = shared.traces.acquire().await;
    answer(&dest, TRACE_TIMEOUT, shared.agent.trace(&dest)).await
}

async fn drain<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Result<Response, ApiError> {
    changed(shared.agent.drain().await)
}

async fn undrain<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Result<Response, ApiError> {
    changed(shared.agent.undrain().await)
}

async fn reload<A: Agent>(State(shared): State<Arc<Shared<A>>>) -> Response {
    let answer = shared.agent.reload().await;
    let status = match answer.status {
        ReloadStatus::Reloaded => StatusCode::OK,
        ReloadStatus::Refused => StatusCode::CONFLICT,
        ReloadStatus::Failed => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, Json(answer)).into_response()
}

fn changed(outcome: Result<impl Serialize, Refused>) -> Result<Response, ApiError> {
    match outcome {
        Ok(answer) => Ok(Json(answer).into_response()),
        Err(refused) => Err(ApiError::new(StatusCode::CONFLICT, refused.to_string())),
    }
}

fn dest(query: DestQueryResult) -> Result<Dest, ApiError> {
    let Query(query) = query.map_err(|_| {
        let message = "give the destination as `?dest=<address or name>`";
        ApiError::new(StatusCode::BAD_REQUEST, message)
    })?;
    query
        .dest
        .parse()
        .map_err(|error: super::DestError| bad(&error))
}

/// What the agent says of `dest`, if it does so in time.
async fn answer<T: Serialize>(
    dest: &Dest,
    within: Duration,
    asked: impl Future<Output = Result<T, ExplainError>>,
) -> Result<Response, ApiError> {
    let late = || ExplainError::TimedOut {
        name: dest.to_string(),
    };
    let answered = tokio::time::timeout(within, asked).await;
    match answered.unwrap_or_else(|_| Err(late())) {
        Ok(view) => Ok(Json(view).into_response()),
        Err(error) => {
            let status = match &error {
                ExplainError::Resolve { .. } => StatusCode::BAD_GATEWAY,
                ExplainError::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            };
            Err(ApiError::new(status, error.to_string()))
        }
    }
}

fn bad(error: &super::DestError) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, error.to_string())
}

async fn no_endpoint(uri: Uri) -> ApiError {
    let message = format!("no such endpoint: {}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, message)
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} does not work on {}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// What every request meets: the bound on bodies, the counter, headers that keep answers out of
/// caches and out of content sniffing.
async fn around(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let declared = axum::body::HttpBody::size_hint(request.body()).lower();
    let mut response = if declared > MAX_BODY as u64 {
        let message = format!("the request body is over {MAX_BODY} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
    } else {
        let request = request.map(|body| Body::new(Limited::new(body, MAX_BODY)));
        next.run(request).await
    };
    metrics.answered(response.status());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
