//! `shares`: what each of several senders gets of one bottleneck: sessions of ingresses, and TCP of the
//! kernel beside them.
//!
//! | file | what lives there |
//! |---|---|
//! | [`contest`] | who shares a line, and what came of it; pure |
//! | `ground` | the namespaces, and the line that all traffic passes |
//! | `run` | one contest: agents, uploads, arrivals |
//! | `cli` | all of them, and the table |

mod cli;
pub mod contest;
mod ground;
mod run;

pub use cli::{SharesArgs, run};
