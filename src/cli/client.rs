//! A client of a running agent's HTTP API.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use super::names::Names;
use crate::api::TopologyView;
use crate::config::HostPort;
use crate::names::refuse_self;

/// An agent that has not taken the connection by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the server takes for its slowest answer, `explain`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Some 200,000 routes; an agent that sends more is not one.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Which agent to ask.
#[derive(Debug, Args)]
pub(super) struct ApiArgs {
    /// The agent's HTTP API.
    #[arg(
        long,
        value_name = "URL",
        env = "WARREN_API",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(super) api: ApiUrl,
    /// Token that opens management from another host. Better given by the environment, where
    /// other users do not see it.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "WARREN_TOKEN",
        hide_env_values = true
    )]
    pub(super) token: Option<Secret>,
    /// Prints the API's JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl ApiArgs {
    /// Asks there without a token.
    pub(super) fn at(api: HostPort) -> Self {
        Self {
            api: ApiUrl(api),
            token: None,
            json: false,
        }
    }
}

/// A token as a header carries it. Prints as `***`.
#[derive(Clone)]
pub(super) struct Secret(header::HeaderValue);

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut value = header::HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| "a token has no control characters")?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Where an API is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiUrl(HostPort);

impl FromStr for ApiUrl {
    type Err = &'static str;

    /// Reads `http://host:port`; the scheme may be left out, the port is then 80.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url: Uri = text
            .parse()
            .map_err(|_| "not a URL; write `http://host:port`")?;
        if url.scheme_str().is_some_and(|scheme| scheme != "http") {
            return Err("only http is spoken; reach a distant agent through a tunnel of yours");
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err("give the agent's address without a path");
        }
        let authority = url
            .authority()
            .ok_or("not a URL; write `http://host:port`")?;
        if authority.as_str().contains('@') {
            return Err("give the token by --token or WARREN_TOKEN, not in the URL");
        }
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        Ok(Self(HostPort {
            host: bare.unwrap_or(host).to_owned(),
            port: authority.port_u16().unwrap_or(80),
        }))
    }
}

/// Why an agent's API gave no answer to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "cannot reach the agent's API at http://{api}: {}; is the agent running, and is http.enabled true?",
        plain(cause)
    )]
    Connect {
        api: HostPort,
        /// Told by the text above, in the middle of it, and so not as the source again.
        cause: io::Error,
    },
    #[error("the connection to http://{api} broke")]
    Broken { api: HostPort, source: hyper::Error },
    #[error("http://{api} did not answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Silent { api: HostPort },
    #[error("http://{api} {refusal}; give the management token by --token or WARREN_TOKEN")]
    NoToken { api: HostPort, refusal: String },
    #[error("http://{api} answered {status}: {message}")]
    Refused {
        api: HostPort,
        status: StatusCode,
        message: String,
    },
    #[error("http://{api}{path} is not the API of a warren agent of this version: {reason}")]
    Unexpected {
        api: HostPort,
        path: String,
        reason: String,
    },
}

impl ApiArgs {
    /// The JSON that `GET path` answers with status 200.
    pub(super) fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.fetch_if(path, |status| status == StatusCode::OK)
    }

    /// The JSON that `GET path` answers with a status that `accepts` takes for an answer.
    pub(super) fn fetch_if<T: DeserializeOwned>(
        &self,
        path: &str,
        accepts: fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| self.unreachable(cause))?;
        let (status, body) = runtime.block_on(async {
            let silent = |_| ClientError::Silent {
                api: self.api.0.clone(),
            };
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.get(path)).await;
            answer.map_err(silent)?
        })?;
        if accepts(status) {
            return serde_json::from_slice(&body).map_err(|error| self.unexpected(path, error));
        }
        Err(self.refusal(path, status, &body))
    }

    /// The names of the mesh's agents; none if the agent does not tell, for ids do without.
    pub(super) fn names(&self) -> Names {
        let topology = self.fetch::<TopologyView>("/api/topology");
        topology.map(Names::new).unwrap_or_default()
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = self.connect().await?;
        let broken = |source| ClientError::Broken {
            api: self.api.0.clone(),
            source,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut request = Request::get(path)
            .header(header::HOST, self.api.0.to_string())
            .header(
                header::USER_AGENT,
                concat!("warren/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, &token.0);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| self.unexpected(path, error))?;
        // Ends with the runtime; its errors come out of the request as well.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|error| self.unexpected(path, error))?;
        Ok((status, body.to_bytes()))
    }

    async fn connect(&self) -> Result<TcpStream, ClientError> {
        let HostPort { host, port } = &self.api.0;
        let connected = async { refuse_self(TcpStream::connect((host.as_str(), *port)).await?) };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(connected) => connected.map_err(|cause| self.unreachable(cause)),
            Err(_) => Err(self.unreachable(io::ErrorKind::TimedOut.into())),
        }
    }

    fn refusal(&self, path: &str, status: StatusCode, body: &[u8]) -> ClientError {
        let api = self.api.0.clone();
        let body = serde_json::from_slice::<Value>(body).ok();
        let message = body.as_ref().and_then(|body| body.get("error")?.as_str());
        let Some(message) = message else {
            return self.unexpected(path, format!("it answered {status}"));
        };
        let message = super::table::clean(message);
        match status {
            StatusCode::UNAUTHORIZED => ClientError::NoToken {
                api,
                refusal: format!("refused: {message}"),
            },
            _ => ClientError::Refused {
                api,
                status,
                message,
            },
        }
    }

    fn unreachable(&self, cause: io::Error) -> ClientError {
        ClientError::Connect {
            api: self.api.0.clone(),
            cause,
        }
    }

    fn unexpected(&self, path: &str, reason: impl ToString) -> ClientError {
        ClientError::Unexpected {
            api: self.api.0.clone(),
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// An error without its number.
fn plain(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        _ => return error.to_string(),
    };
    known.to_owned()
}
