//! Faults, workloads, network namespaces and benchmarks for a warren mesh.
//!
//! Nothing here links the warren library: the `warren` binary is driven from outside, by its
//! documented configuration, commands and HTTP endpoints, like any other system under test.
//!
//! From the highest layer down; a room imports lower ones only (`tests/layers.rs`):
//!
//! | module | what lives there |
//! |---|---|
//! | [`mod@bench`] | the benchmark: systems, phases, table, verdicts |
//! | [`shares`] | what senders get of a line that they share: sessions, and TCP of the kernel |
//! | [`mod@drill`] | the failover drill: faults, what an application sees of them, table, verdicts |
//! | [`mod@scenario`] | meshes, faults over time, loads and invariants as YAML; the runner, the library, the report; the soak |
//! | [`openssh`] | the system that the benchmark compares with |
//! | [`workload`] | the loads, which check themselves, and the servers that they talk to |
//! | [`relay`] | an impaired UDP path between two agents, changed while it runs |
//! | [`chain`] | the row of namespaces of the benchmark |
//! | [`mod@mesh`] | the one driver of real agents: certificates, configurations, processes, when a mesh is whole |
//! | [`report`] | what commands put out: heading, tables, verdicts |
//! | [`spot`] | where an agent stands: on loopback, or in a namespace |
//! | [`rules`], [`condition`] | what happens to single packets, held by a guard; named link conditions |
//! | [`machine`] | what a run took place on |
//! | [`mod@host`], [`wiring`] | threads that live in a namespace; namespaces joined by veth pairs |
//! | [`process`], [`impairment`] | child processes; the figures of a link |
//! | [`mod@fault`] | faults of a process, healed by a guard |
//! | [`http`], [`names`], [`netns`], [`ports`], [`procstat`] | a client for the agents' endpoints, a name server, namespaces, free ports, `/proc` |
//! | [`packet`], [`units`], [`window`], [`stats`], [`table`], [`verdict`], [`plot`] | values and their arithmetic, tables, goals, curves |

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
pub mod report;
pub mod rules;
pub mod scenario;
pub mod shares;
pub mod spot;
pub mod stats;
pub mod table;
pub mod units;
pub mod verdict;
pub mod window;
pub mod wiring;
pub mod workload;
