//! A scenario as it stands in its file. [`super::check`] turns it into a [`super::model::Scenario`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Spanned;

use super::model::Expect;
use super::text::Texts;
use crate::condition::Condition;
use crate::impairment::Impairment;
use crate::mesh::Settings;
use crate::rules::Rule;
use crate::units::Rate;

/// `250ms`, `2s`.
pub(super) type Time = humantime_serde::Serde<Duration>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScenario {
    pub(super) summary: String,
    /// Rows of the failure table that it shows.
    #[serde(default)]
    pub(super) covers: Texts,
    pub(super) duration: Spanned<Time>,
    #[serde(default)]
    pub(super) jitter: Option<Time>,
    #[serde(default)]
    pub(super) drain: Option<Time>,
    #[serde(default)]
    pub(super) connect_limit: Option<Time>,
    /// HAProxy stands in front of all ingresses.
    #[serde(default)]
    pub(super) haproxy: bool,
    pub(super) agents: BTreeMap<String, Spanned<RawAgent>>,
    pub(super) links: Vec<Spanned<RawLink>>,
    #[serde(default)]
    pub(super) sites: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) resolvers: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default)]
    pub(super) faults: Vec<Spanned<RawFault>>,
    pub(super) workload: Vec<Spanned<RawLoad>>,
    #[serde(default)]
    pub(super) expect: Expect,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    Ingress,
    Transit,
    Exit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct RawAgent {
    pub(super) roles: Vec<Role>,
    pub(super) prefixes: Option<Vec<String>>,
    pub(super) checks: Vec<Spanned<String>>,
    pub(super) resolvers: Vec<Spanned<String>>,
    pub(super) expires: Option<Time>,
    pub(super) settings: Settings,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLink {
    pub(super) between: Vec<String>,
    #[serde(default)]
    pub(super) cost: Option<u32>,
    #[serde(default)]
    pub(super) condition: Option<Condition>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawDeed {
    Kill,
    Sigterm,
    Stop,
    Continue,
    Restart,
    Roll,
    Condition,
    Cut,
    Rule,
    Grey,
    Partition,
    Heal,
    Rebind,
    Hog,
    FillDisk,
    ExhaustFds,
    StepClock,
    Close,
    LoseCa,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFault {
    pub(super) at: Time,
    #[serde(rename = "do")]
    pub(super) deed: RawDeed,
    #[serde(default)]
    pub(super) target: Texts,
    #[serde(default, rename = "for")]
    pub(super) lasts: Option<Time>,
    #[serde(default)]
    pub(super) condition: Option<Condition>,
    #[serde(default)]
    pub(super) figures: Option<Impairment>,
    #[serde(default)]
    pub(super) rule: Option<Rule>,
    /// Descriptors that are left free.
    #[serde(default)]
    pub(super) spare: Option<usize>,
    /// `+90s` or `-90s`.
    #[serde(default)]
    pub(super) by: Option<String>,
    /// Threads that burn beside it.
    #[serde(default)]
    pub(super) rivals: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawWork {
    Download,
    Upload,
    Chain,
    Request,
    Connect,
    Storm,
    HalfClose,
    SlowReader,
    Rude,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLoad {
    #[serde(rename = "do")]
    pub(super) work: RawWork,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) by_name: bool,
    #[serde(default)]
    pub(super) again: bool,
    #[serde(default)]
    pub(super) at: Option<Time>,
    #[serde(default, rename = "for")]
    pub(super) lasts: Option<Time>,
    #[serde(default)]
    pub(super) count: Option<u32>,
    #[serde(default)]
    pub(super) rate: Option<Rate>,
    #[serde(default)]
    pub(super) every: Option<Time>,
    #[serde(default)]
    pub(super) each: Option<Time>,
}
