//! One check of one target: a TCP connection, or the head of an HTTP answer.

use std::future::ready;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{HealthCheck, HealthTarget, HostPort};
use crate::exit::acl::Acl;
use crate::exit::dial::{DialError, dial};
use crate::names::{LookupError, Part, Resolver, host_families, without_dot};

/// Most bytes of an answer's head. Nothing of its body is read.
const MAX_HEAD: usize = 16 * 1024;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error(transparent)]
    Resolve(#[from] LookupError),
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("{0} has special addresses only; write the address, or open it by exit.allow_special")]
    Special(String),
    #[error("cannot connect: {0}")]
    Dial(#[from] DialError),
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("answered with status {}", .0.as_u16())]
    Status(StatusCode),
}

/// Checks once, within the check's time-out.
pub(super) async fn probe(
    check: &HealthCheck,
    resolver: &Resolver,
    acl: &Acl,
) -> Result<(), ProbeError> {
    let probing = async {
        match &check.target {
            HealthTarget::Tcp(address) => connect(address, check.timeout, resolver, acl)
                .await
                .map(drop),
            HealthTarget::Http { host, path, status } => {
                let tcp = connect(host, check.timeout, resolver, acl).await?;
                let answered = get(tcp, host, path).await?;
                let is_good = match status {
                    Some(status) => answered.as_u16() == *status,
                    None => answered.is_success() || answered.is_redirection(),
                };
                is_good.then_some(()).ok_or(ProbeError::Status(answered))
            }
        }
    };
    match timeout(check.timeout, probing).await {
        Ok(result) => result,
        Err(_) => Err(ProbeError::TimedOut(check.timeout)),
    }
}

async fn connect(
    to: &HostPort,
    within: Duration,
    resolver: &Resolver,
    acl: &Acl,
) -> Result<TcpStream, ProbeError> {
    let mut found = Found::default();
    let lookup = resolver.lookup(&to.host, host_families());
    let parts = lookup.filter_map(|part| ready(found.keep(part, &to.host, acl)));
    let dialled = dial(parts, to.port, within).await;
    dialled.map_err(|error| match found {
        Found {
            error: Some(error), ..
        } => error.into(),
        Found { any: false, .. } => ProbeError::NoAddress(to.host.clone()),
        Found { allowed: false, .. } => ProbeError::Special(to.host.clone()),
        Found { .. } => error.into(),
    })
}

/// What became known of a check's host.
#[derive(Default)]
struct Found {
    any: bool,
    /// One of them is where a check goes.
    allowed: bool,
    error: Option<LookupError>,
}

impl Found {
    /// The addresses of `part`; of a name, without special ones: a check must not be led into this
    /// host by whoever answers for the name. `localhost` says what it means, and whoever wrote an
    /// address into the file may check what he likes.
    fn keep(&mut self, part: Result<Part, LookupError>, host: &str, acl: &Acl) -> Option<Part> {
        let mut part = match part {
            Ok(part) => part,
            Err(error) => {
                self.error = Some(error);
                return None;
            }
        };
        self.any = true;
        let is_meant = without_dot(host).eq_ignore_ascii_case("localhost")
            || without_dot(host).parse::<IpAddr>().is_ok();
        part.addresses
            .retain(|ip| is_meant || acl.allows_special(*ip));
        self.allowed |= !part.addresses.is_empty();
        (!part.addresses.is_empty()).then_some(part)
    }
}

/// The status that a GET is answered with.
async fn get(tcp: TcpStream, host: &HostPort, path: &str) -> Result<StatusCode, ProbeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(tcp))
        .await?;
    let agent = concat!("warren/", env!("CARGO_PKG_VERSION"), " health check");
    let request = Request::get(path)
        .header(HOST, host.to_string())
        .header(USER_AGENT, agent)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("the path was part of a URL, and a host is a header's text");
    let mut answer = pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // Whatever ended it is told to the one who waits for the answer.
        _ = connection => answer.await,
    };
    Ok(answer?.status())
}
