//! The pure core: `now` comes in, outputs come out; no tokio, no quinn, no clock, no randomness.

mod path;
mod time;

pub use path::Path;
pub use time::Now;
