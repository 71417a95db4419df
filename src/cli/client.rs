//! A client of a running agent's HTTP API.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::client_error::ClientError;
use super::console::{Console, Screen};
use super::endpoint::Api;
use super::names::Names;
use super::text;
use crate::api::{API_SOCKET, TopologyView};
use crate::config::HostPort;
use crate::names::refuse_self;

/// An agent that has not taken the connection by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than the server takes for its slowest answer, `explain`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Some 200,000 routes; an agent that sends more is not one.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Where the local socket of an agent may be: in `agent.data_dir`, as files have it by default and as
/// the unit does.
const SOCKET_FOLDERS: [&str; 2] = ["data", "/var/lib/warren"];

/// Which agent to ask.
#[derive(Debug, Args)]
pub(super) struct ApiArgs {
    /// The agent's API: `http://HOST:PORT`, or the path of its local socket. By default the socket
    /// in `data` or `/var/lib/warren`, where it can be opened, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", env = "WARREN_API")]
    pub(super) api: Option<Api>,
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
    /// Prints tables and lines in full, however wide the terminal is.
    #[arg(long)]
    pub(super) wide: bool,
}

impl ApiArgs {
    /// Asks there without a token.
    pub(super) fn at(api: HostPort) -> Self {
        Self {
            api: Some(Api::Http(api)),
            token: None,
            json: false,
            wide: false,
        }
    }
}

/// A token as a header carries it; none if it is empty, as an environment may have it. Prints as
/// `***`.
#[derive(Clone)]
pub(super) struct Secret(Option<header::HeaderValue>);

impl FromStr for Secret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let mut value = header::HeaderValue::try_from(format!("Bearer {text}"))
            .map_err(|_| "a token has no control characters")?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ApiArgs {
    /// The JSON that `GET path` answers with status 200.
    pub(super) fn fetch<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.fetch_if(path, |status| status == StatusCode::OK)
    }

    /// Prints what `GET path` answers: its JSON if that is asked for, else by `print`.
    pub(super) fn tell<T: DeserializeOwned>(
        &self,
        path: &str,
        console: &mut Console,
        print: impl FnOnce(T, Screen, &mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        if self.json {
            let answer: Value = self.fetch(path)?;
            return text::write_json(&answer, &mut *console.out);
        }
        let answer = self.fetch(path)?;
        let screen = self.screen(console);
        print(answer, screen, &mut *console.out).context("cannot write the output")
    }

    /// The JSON that `GET path` answers with a status that `accepts` takes for an answer.
    pub(super) fn fetch_if<T: DeserializeOwned>(
        &self,
        path: &str,
        accepts: fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new(), accepts)
    }

    /// The JSON that `POST path` without a body answers with status 200.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.post_if(path, |status| status == StatusCode::OK)
    }

    /// The JSON that `POST path` without a body answers with a status that `accepts` takes for an answer.
    pub(super) fn post_if<T: DeserializeOwned>(
        &self,
        path: &str,
        accepts: fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        self.ask(Method::POST, path, Bytes::new(), accepts)
    }

    /// The same for a method with a body.
    pub(super) fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        accepts: fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        self.ask(method, path, body.to_string().into(), accepts)
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        accepts: fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        let api = self.api.clone().unwrap_or_else(found);
        let unreachable = |cause| unreachable(&api, cause);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(unreachable)?;
        let answered = runtime.block_on(async {
            let silent = |_| ClientError::Silent {
                api: api.clone(),
                after: ANSWER_TIMEOUT,
            };
            let asked = self.request(method, &api, path, body)?;
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.send(asked, &api, path)).await;
            answer.map_err(silent)?
        });
        // The system's resolver may hang for longer than anybody waits here.
        runtime.shutdown_background();
        let (status, body) = answered?;
        if accepts(status) {
            return serde_json::from_slice(&body).map_err(|error| unexpected(&api, path, error));
        }
        Err(refusal(&api, path, status, &body))
    }

    /// What `GET path` answered, as a `T`.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        answer: &Value,
    ) -> Result<T, ClientError> {
        let api = || self.api.clone().unwrap_or_else(found);
        T::deserialize(answer).map_err(|error| unexpected(&api(), path, error))
    }

    /// How long lines may be.
    pub(super) fn screen(&self, console: &Console) -> Screen {
        if self.wide {
            Screen::WIDE
        } else {
            console.screen
        }
    }

    /// The names of the mesh's agents; none if the agent does not tell, for ids do without.
    pub(super) fn names(&self) -> Names {
        let topology = self.fetch::<TopologyView>("/api/topology");
        topology.map(Names::new).unwrap_or_default()
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
        api: &Api,
        path: &str,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = connect(api)
            .await
            .map_err(|cause| unreachable(api, cause))?;
        let broken = |error: &hyper::Error| ClientError::broken(api.clone(), error);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let connection = tokio::spawn(connection);
        let response = match sender.send_request(request).await {
            Ok(response) => response,
            // Of a server that speaks first only the connection knows what it said.
            Err(error) if error.is_canceled() => {
                drop(sender);
                let ended = connection.await;
                let first = ended.ok().and_then(Result::err);
                return Err(broken(first.as_ref().unwrap_or(&error)));
            }
            Err(error) => return Err(broken(&error)),
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await;
        let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => unexpected(
                api,
                path,
                format!("it answered more than {MAX_ANSWER} bytes"),
            ),
            None => ClientError::HungUp { api: api.clone() },
        })?;
        Ok((status, body.to_bytes()))
    }

    fn request(
        &self,
        method: Method,
        api: &Api,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let host = match api {
            Api::Http(at) => at.to_string(),
            Api::Socket(_) => "localhost".to_owned(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, host)
            .header(
                header::USER_AGENT,
                concat!("warren/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(Secret(Some(token))) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body));
        request.map_err(|error| unexpected(api, path, error))
    }
}

/// A local socket that somebody serves and we may open, or the default address.
fn found() -> Api {
    let sockets = SOCKET_FOLDERS.map(|folder| Path::new(folder).join(API_SOCKET));
    let open = |path: &PathBuf| std::os::unix::net::UnixStream::connect(path).is_ok();
    sockets.into_iter().find(open).map_or_else(
        || {
            Api::Http(HostPort {
                host: "127.0.0.1".to_owned(),
                port: 8080,
            })
        },
        Api::Socket,
    )
}

/// What an API is spoken over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect(api: &Api) -> io::Result<Box<dyn Stream>> {
    let connected = async {
        Ok::<Box<dyn Stream>, io::Error>(match api {
            Api::Http(HostPort { host, port }) => {
                let tcp = TcpStream::connect((host.as_str(), *port)).await?;
                Box::new(refuse_self(tcp, *port)?)
            }
            Api::Socket(path) => Box::new(UnixStream::connect(path).await?),
        })
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn refusal(api: &Api, path: &str, status: StatusCode, body: &[u8]) -> ClientError {
    let body = serde_json::from_slice::<Value>(body).ok();
    let message = body.as_ref().and_then(|body| body.get("error")?.as_str());
    let Some(message) = message else {
        return unexpected(api, path, format!("it answered {status}"));
    };
    let (api, message) = (api.clone(), super::table::clean(message));
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

fn unreachable(api: &Api, cause: io::Error) -> ClientError {
    ClientError::Connect {
        api: api.clone(),
        cause,
    }
}

fn unexpected(api: &Api, path: &str, reason: impl ToString) -> ClientError {
    ClientError::Unexpected {
        api: api.clone(),
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
