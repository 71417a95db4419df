//! Faults, workloads, network namespaces and benchmarks for a warren mesh.
//!
//! Nothing here links the warren library: the `warren` binary is driven from outside, by its
//! documented configuration, commands and HTTP endpoints, like any other system under test.
//!
//! | module | what lives there |
//! |---|---|
//! | [`mod@bench`] | the benchmark: systems, phases, table, verdicts |
//! | [`mod@drill`] | the failover drill: faults, what an application sees of them, table, verdicts |
//! | [`condition`], [`impairment`], [`units`] | named link conditions, and the figures they are made of |
//! | [`rules`], [`packet`] | what happens to single packets, held by a guard |
//! | [`relay`] | an impaired UDP path between two agents, changed while it runs |
//! | [`mod@fault`] | faults of a process, healed by a guard |
//! | [`mod@scenario`] | meshes, faults over time, loads and invariants as YAML; the runner, the library, the report |
//! | [`mod@mesh`], [`openssh`] | systems under test |
//! | [`spot`], [`ports`] | where an agent stands: on loopback, or in a namespace |
//! | [`wiring`], [`chain`], [`netns`] | network namespaces joined by veth pairs |
//! | [`mod@host`] | threads that live in a namespace |
//! | [`http`], [`names`] | a client for the agents' endpoints, a name server |
//! | [`process`], [`procstat`], [`machine`] | child processes, what they cost, and where |
//! | [`workload`] | the loads and the servers that they talk to |
//! | [`window`], [`stats`] | silences, medians and percentiles |
//! | [`table`], [`verdict`], [`plot`] | tables, goals, curves |

pub mod bench;
pub mod chain;
pub mod condition;
pub mod drill;
pub mod fault;
pub mod host;
pub mod http;
pub mod impairment;
pub mod machine;
pub mod mesh;
pub mod names;
pub mod netns;
pub mod openssh;
pub mod packet;
pub mod plot;
pub mod ports;
pub mod process;
pub mod procstat;
pub mod relay;
pub mod rules;
pub mod scenario;
pub mod spot;
pub mod stats;
pub mod table;
pub mod units;
pub mod verdict;
pub mod window;
pub mod wiring;
pub mod workload;
