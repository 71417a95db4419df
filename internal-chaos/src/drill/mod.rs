//! The failover drill: breaks a running mesh on purpose, again and again, and measures what an
//! application sees.
//!
//! | module | what lives there |
//! |---|---|
//! | [`site`] | namespaces, links, and which agents are in them |
//! | [`fault`], [`leak`] | what is broken, and what must not come out |
//! | [`load`], [`connects`] | what an application does meanwhile |
//! | [`repeat`], [`heartbeat`] | one repeat, and what is counted of it |
//! | [`quiet`] | the same load without a fault: false alarms |
//! | [`cells`], [`goals`], [`report`], [`plot`] | table, verdicts, picture |

pub mod cells;
mod cli;
pub mod connects;
pub mod fault;
pub mod goals;
pub mod heartbeat;
pub mod leak;
pub mod load;
pub mod plot;
pub mod quiet;
pub mod repeat;
pub mod report;
mod run;
pub mod site;

pub use cli::DrillArgs;
pub use run::run;
