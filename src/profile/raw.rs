//! The YAML of a profile: the types that refuse unknown keys and invalid values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{DaemonDeath, Grant, Mode, Weight};

/// A duration in a profile: `60s`, `1m 30s`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        crate::text::duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A profile as it is written; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) extends: Option<String>,
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) steps: BTreeMap<String, Mode>,
    #[serde(default)]
    pub(super) causes: BTreeMap<String, Weight>,
    pub(super) repair: Option<Grant>,
    #[serde(default)]
    pub(super) controllers: RawControllers,
    #[serde(default)]
    pub(super) storage: RawStorage,
    #[serde(default)]
    pub(super) network: RawNetwork,
    #[serde(default)]
    pub(super) daemon: RawDaemon,
    #[serde(default)]
    pub(super) image: RawImage,
    #[serde(default)]
    pub(super) container: RawContainer,
    pub(super) format: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControllers {
    pub(super) required: Option<Vec<String>>,
    pub(super) wanted: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    pub(super) min_free_mib: Option<u64>,
    pub(super) min_free_inodes: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNetwork {
    pub(super) names: Option<Vec<String>>,
    pub(super) endpoints: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDaemon {
    pub(super) command: Option<String>,
    pub(super) args: Option<Vec<String>>,
    pub(super) data_root: Option<PathBuf>,
    pub(super) debug: Option<bool>,
    pub(super) start_timeout: Option<Span>,
    pub(super) stop_timeout: Option<Span>,
    pub(super) on_death: Option<DaemonDeath>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImage {
    pub(super) reference: Option<String>,
    pub(super) timeout: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContainer {
    pub(super) command: Option<Vec<String>>,
    pub(super) exit_code: Option<i64>,
    pub(super) output: Option<String>,
    pub(super) timeout: Option<Span>,
    pub(super) third_level: Option<bool>,
}
