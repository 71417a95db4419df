//! One YAML file per agent, parsed into types in which a bad state cannot be written.

mod limits;
mod model;

pub use limits::Limits;
pub use model::{
    Agent, Balance, Config, Connections, Dns, Exit, HostPort, Http, Listener, LogFormat,
    PasswordHash, Peer, Reconnect, Routing, Socks5, Tls, User,
};

mod stopgap;
pub use stopgap::ConfigErrors;
