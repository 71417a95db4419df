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
use crate::exit::found::{Found, Lack};
use crate::names::{LookupError, Resolver, host_families, without_dot};

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
    // Of a name, without special ones: a check must not be led into this host by whoever answers for the
    // name. `localhost` says what it means, and whoever wrote an address into the file may check what he
    // likes.
    let host = without_dot(&to.host);
    let is_meant = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok();
    let keep = |ip| is_meant || acl.allows_special(ip);
    let parts = lookup.filter_map(|part| ready(found.keep(part, keep)));
    let dialled = dial(parts, to.port, within).await;
    dialled.map_err(|error| match found.lack() {
        Some(Lack::Failed(error)) => error.into(),
        Some(Lack::NoAddress) => ProbeError::NoAddress(to.host.clone()),
        Some(Lack::NoneKept) => ProbeError::Special(to.host.clone()),
        None => error.into(),
    })
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
