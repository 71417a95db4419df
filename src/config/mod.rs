//! One YAML file per agent, parsed into types in which a bad state cannot be written.
//!
//! [`Config::load`] reads a file, [`Config::parse`] a text. A file goes through five steps:
//!
//! | step | file |
//! |---|---|
//! | a file or a text, and the environment, are read | `load` |
//! | YAML events become a tree that knows the place of every key and value | `yaml` |
//! | `${VAR}` is replaced inside values, after parsing, so that it cannot add structure | `variables` |
//! | every section reads the keys it knows, what is left over is unknown | `reader`, `section` |
//! | text becomes typed values and the rules between keys are checked | `sections`, `mesh`, `services`, `health`, `limits`; single values in `scalar`, those that may have a file of their own in `secret` |
//!
//! The types are in `model`, those of single values in `value`, what is said of mistakes in `error`; `suggest` finds what was meant.
//!
//! The tree is built from the YAML library's events and not by serde, because serde stops at the
//! first error, does not know the dotted path of a key, and guesses a type for a bare scalar (an
//! agent id of 32 decimal digits would be a number). Here all errors of a file are reported at
//! once. `docs/configuration.md` is the reference; `tests/config/docs.rs` holds it to this code.

mod diff;
mod error;
mod health;
mod limits;
mod load;
mod mesh;
mod model;
mod reader;
mod scalar;
mod secret;
mod section;
mod sections;
mod services;
mod suggest;
mod value;
mod variables;
mod yaml;

pub use diff::{Effect, Key};
pub use error::{ConfigError, ConfigErrors, Place, Problem};
pub use limits::Limits;
pub use model::{
    Agent, ApiSocket, Balance, Config, Congestion, Connections, Dns, Drain, Exit, Guards,
    HealthCheck, HealthTarget, Http, Listener, LogFormat, Peer, Reconnect, Route, Routing, Socks5,
    Tls, User,
};
pub use services::DEFAULT_MAX_CONNECTIONS;
pub use value::{HostPort, PasswordHash};
pub use variables::Env;
pub use yaml::MAX_FILE_BYTES;
