//! Faults, workloads, network namespaces and benchmarks for a warren mesh.
//!
//! Nothing here links the warren library: the `warren` binary is driven from outside, by its
//! documented configuration, commands and HTTP endpoints, like any other system under test.
//!
//! | module | what lives there |
//! |---|---|
//! | [`mod@bench`] | the benchmark: systems, phases, table, verdicts |
//! | [`mod@drill`] | the failover drill: faults, what an application sees of them, table, verdicts |
//! | [`mesh`], [`openssh`] | systems under test, started in a [`chain`] |
//! | [`chain`], [`netns`] | network namespaces joined by veth pairs |
//! | [`mod@host`] | threads that live in a namespace |
//! | [`http`] | a client for the agents' endpoints |
//! | [`process`], [`procstat`] | child processes and what they cost |
//! | [`workload`] | the loads and the servers that they talk to |
//! | [`stats`], [`table`], [`verdict`] | medians and percentiles, tables, goals |

pub mod bench;
pub mod chain;
pub mod drill;
pub mod host;
pub mod http;
pub mod mesh;
pub mod netns;
pub mod openssh;
pub mod process;
pub mod procstat;
pub mod stats;
pub mod table;
pub mod verdict;
pub mod workload;
