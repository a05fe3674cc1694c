//! What does a profile say, and how do profiles build on each other?
//!
//! A profile is a YAML file: what is wanted of the environment, how the daemon is started, what the test
//! container does. Every key may be left out; `extends` names the profile that fills the gaps. Unknown keys
//! are refused with line and column.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::step::{Level, Reach};
use crate::yaml::{self, Limits};

/// The built-in profiles, so that the binary stands alone.
const BUILT_IN: &[(&str, &str)] = &[
    ("default", include_str!("../profiles/default.yaml")),
    ("ci", include_str!("../profiles/ci.yaml")),
    ("strict", include_str!("../profiles/strict.yaml")),
    ("kubernetes", include_str!("../profiles/kubernetes.yaml")),
    ("legacy", include_str!("../profiles/legacy.yaml")),
];

/// Where an image may keep profiles of its own; a file there is preferred to a built-in one of that name.
const PROFILE_DIR: &str = "/etc/dindcheck/profiles";

/// More `extends` in a row than this is taken for a circle.
const MAX_EXTENDS: usize = 8;

/// How a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It must pass.
    Require,
    /// Its failures are reported as warnings, and the run goes on.
    Warn,
    /// It does not run.
    Skip,
}

/// What the machine may be changed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// Nothing is changed.
    None,
    /// Repairs that this container alone feels.
    Container,
    /// Also repairs that the host feels.
    Host,
}

impl Grant {
    /// Whether a repair of this reach may be applied.
    pub fn allows(self, reach: Reach) -> bool {
        match self {
            Self::None => false,
            Self::Container => reach == Reach::Container,
            Self::Host => true,
        }
    }
}

/// How a finding of a cause counts, whatever the step thinks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Not as a problem.
    Pass,
    /// As a warning.
    Warn,
    /// As a failure.
    Fail,
}

impl From<Weight> for Level {
    fn from(weight: Weight) -> Self {
        match weight {
            Weight::Pass => Self::Pass,
            Weight::Warn => Self::Warn,
            Weight::Fail => Self::Fail,
        }
    }
}

/// How the report leaves on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Human,
    /// For programs: schema version 1.
    Json,
}

/// A profile with every question answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// Its name, or the file it was read from.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How each step counts; a step that is not named is required.
    pub steps: BTreeMap<String, Mode>,
    /// How findings of a cause count, where the profile disagrees with the step.
    pub causes: BTreeMap<String, Weight>,
    /// What may be repaired.
    pub repair: Grant,
    /// Controllers.
    pub controllers: Controllers,
    /// The data root's needs.
    pub storage: Storage,
    /// What must be reachable from an inner container.
    pub network: Network,
    /// The inner daemon.
    pub daemon: Daemon,
    /// The test image.
    pub image: Image,
    /// The test container.
    pub container: Container,
    /// What stdout gets.
    pub format: Format,
}

/// Which cgroup controllers are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controllers {
    /// Their absence is a failure. `devices` is always among what the engine needs on cgroup v1.
    pub required: Vec<String>,
    /// Their absence is a warning.
    pub wanted: Vec<String>,
}

/// What the data root must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Storage {
    /// Free space in MiB.
    pub min_free_mib: u64,
    /// Free inodes, where the file system counts them.
    pub min_free_inodes: u64,
}

/// What must be reachable from an inner container; empty unless a profile says so, since dindcheck works
/// without any internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Names that must resolve.
    pub names: Vec<String>,
    /// `host:port` that must accept a TCP connection.
    pub endpoints: Vec<String>,
}

/// How the inner daemon is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Daemon {
    /// The program: a name to be found in PATH, or a path.
    pub command: String,
    /// Its arguments, after those that dindcheck adds.
    pub args: Vec<String>,
    /// `--data-root`, where it is not dockerd's own choice.
    pub data_root: Option<PathBuf>,
    /// Whether it is started with `--debug`.
    pub debug: bool,
    /// From its start to its first answer.
    #[serde(serialize_with = "as_human")]
    pub start_timeout: Duration,
    /// From SIGTERM to its end; SIGKILL follows.
    #[serde(serialize_with = "as_human")]
    pub stop_timeout: Duration,
}

/// The image that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// `builtin`, or an image reference.
    pub reference: String,
    /// For the pull or load.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
}

/// What the test container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its command; empty: the image's own (the probe, in the built-in image).
    pub command: Vec<String>,
    /// The exit code that is expected.
    pub exit_code: i64,
    /// A text that its output must contain.
    pub output: Option<String>,
    /// From its creation to its end.
    #[serde(serialize_with = "as_human")]
    pub timeout: Duration,
}

/// Durations as people write them.
fn as_human<S: serde::Serializer>(duration: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&humantime::format_duration(*duration))
}

/// A duration in a profile: `60s`, `1m 30s`.
#[derive(Debug, Clone, Copy)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            serde::de::Error::custom(format!("`{text}` is no duration such as `60s` or `1m 30s`: {error}"))
        })
    }
}

/// A profile as it is written: everything may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    extends: Option<String>,
    description: Option<String>,
    #[serde(default)]
    steps: BTreeMap<String, Mode>,
    #[serde(default)]
    causes: BTreeMap<String, Weight>,
    repair: Option<Grant>,
    #[serde(default)]
    controllers: RawControllers,
    #[serde(default)]
    storage: RawStorage,
    #[serde(default)]
    network: RawNetwork,
    #[serde(default)]
    daemon: RawDaemon,
    #[serde(default)]
    image: RawImage,
    #[serde(default)]
    container: RawContainer,
    format: Option<Format>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawControllers {
    required: Option<Vec<String>>,
    wanted: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStorage {
    min_free_mib: Option<u64>,
    min_free_inodes: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    names: Option<Vec<String>>,
    endpoints: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDaemon {
    command: Option<String>,
    args: Option<Vec<String>>,
    data_root: Option<PathBuf>,
    debug: Option<bool>,
    start_timeout: Option<Span>,
    stop_timeout: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawImage {
    reference: Option<String>,
    timeout: Option<Span>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawContainer {
    command: Option<Vec<String>>,
    exit_code: Option<i64>,
    output: Option<String>,
    timeout: Option<Span>,
}

/// The names of the built-in profiles, with what each is for.
pub fn built_in() -> Vec<(&'static str, String)> {
    let describe = |text| {
        yaml::from_str::<Raw>(text, Limits::HAND_WRITTEN)
            .ok()
            .and_then(|raw| raw.description)
            .unwrap_or_default()
    };
    BUILT_IN.iter().map(|&(name, text)| (name, describe(text))).collect()
}

/// The text of a built-in profile.
pub fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Reads the profile of that name, or in that file, with all that it extends.
pub fn load(host: &dyn Host, name: &str) -> anyhow::Result<Profile> {
    let mut layers = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        ensure!(
            layers.len() < MAX_EXTENDS,
            "profile {name}: more than {MAX_EXTENDS} `extends` in a row: a circle?"
        );
        let raw = parse(&name, &text_of(host, &name)?)?;
        next = raw.extends.clone();
        layers.push(raw);
    }
    Profile::from_layers(name, layers)
}

/// Parses one layer; errors name the file, the line and the column.
fn parse(name: &str, text: &str) -> anyhow::Result<Raw> {
    yaml::from_str(text, Limits::HAND_WRITTEN).with_context(|| format!("profile {name}"))
}

/// The text of a profile: a file where the name is a path, else one of the image's own, else a built-in one.
fn text_of(host: &dyn Host, name: &str) -> anyhow::Result<String> {
    let is_path = name.contains('/') || Path::new(name).extension().is_some();
    if is_path {
        return host.read_text(Path::new(name)).with_context(|| format!("profile {name} cannot be read"));
    }
    if let Some(text) = host.read_if_there(&Path::new(PROFILE_DIR).join(format!("{name}.yaml")))? {
        return Ok(text);
    }
    match built_in_text(name) {
        Some(text) => Ok(text.to_owned()),
        None => bail!("there is no profile {name}; built in are {}", names().join(", ")),
    }
}

/// The built-in names.
fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// The first layer that answers a question.
fn first<T: Clone>(layers: &[Raw], pick: impl Fn(&Raw) -> Option<T>) -> Option<T> {
    layers.iter().find_map(pick)
}

/// The maps of all layers in one; nearer layers win.
fn merged<V: Clone>(layers: &[Raw], pick: impl Fn(&Raw) -> &BTreeMap<String, V>) -> BTreeMap<String, V> {
    layers.iter().rev().flat_map(|raw| pick(raw).clone()).collect()
}

impl Profile {
    /// Answers every question from the nearest layer that does, else as `default` would.
    fn from_layers(name: &str, layers: Vec<Raw>) -> anyhow::Result<Self> {
        let l = &layers[..];
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let profile = Self {
            name: name.to_owned(),
            description: first(l, |r| r.description.clone()).unwrap_or_default(),
            steps: merged(l, |r| &r.steps),
            causes: merged(l, |r| &r.causes),
            repair: first(l, |r| r.repair).unwrap_or(Grant::Container),
            controllers: Controllers {
                required: first(l, |r| r.controllers.required.clone()).unwrap_or_else(|| words(&["devices"])),
                wanted: first(l, |r| r.controllers.wanted.clone()).unwrap_or_else(|| words(WANTED)),
            },
            storage: Storage {
                min_free_mib: first(l, |r| r.storage.min_free_mib).unwrap_or(256),
                min_free_inodes: first(l, |r| r.storage.min_free_inodes).unwrap_or(4096),
            },
            network: Network {
                names: first(l, |r| r.network.names.clone()).unwrap_or_default(),
                endpoints: first(l, |r| r.network.endpoints.clone()).unwrap_or_default(),
            },
            daemon: Daemon::from_layers(l),
            image: Image {
                reference: first(l, |r| r.image.reference.clone()).unwrap_or_else(|| "builtin".into()),
                timeout: span(first(l, |r| r.image.timeout), 120),
            },
            container: Container {
                command: first(l, |r| r.container.command.clone()).unwrap_or_default(),
                exit_code: first(l, |r| r.container.exit_code).unwrap_or(0),
                output: first(l, |r| r.container.output.clone()),
                timeout: span(first(l, |r| r.container.timeout), 60),
            },
            format: first(l, |r| r.format).unwrap_or(Format::Human),
        };
        profile.validate()?;
        Ok(profile)
    }

    /// Refuses what the types cannot.
    fn validate(&self) -> anyhow::Result<()> {
        let name = &self.name;
        for id in self.steps.keys() {
            crate::steps::find(id).with_context(|| format!("profile {name}: steps"))?;
        }
        for id in self.causes.keys() {
            ensure!(
                crate::diagnosis::find(id).is_some(),
                "profile {name}: causes: there is no cause {id}; `dindcheck explain --list` names them"
            );
        }
        ensure!(!self.daemon.command.is_empty(), "profile {name}: daemon.command is empty");
        for (key, value) in [
            ("daemon.start_timeout", self.daemon.start_timeout),
            ("container.timeout", self.container.timeout),
        ] {
            ensure!(!value.is_zero(), "profile {name}: {key} is zero");
        }
        Ok(())
    }
}

/// Controllers whose limits people use.
const WANTED: &[&str] = &["memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "freezer"];

/// A duration of a layer, or so many seconds.
fn span(given: Option<Span>, seconds: u64) -> Duration {
    given.map_or(Duration::from_secs(seconds), |span| span.0)
}

impl Daemon {
    fn from_layers(l: &[Raw]) -> Self {
        Self {
            command: first(l, |r| r.daemon.command.clone()).unwrap_or_else(|| "dockerd".into()),
            args: first(l, |r| r.daemon.args.clone()).unwrap_or_default(),
            data_root: first(l, |r| r.daemon.data_root.clone()),
            debug: first(l, |r| r.daemon.debug).unwrap_or(true),
            start_timeout: span(first(l, |r| r.daemon.start_timeout), 60),
            stop_timeout: span(first(l, |r| r.daemon.stop_timeout), 15),
        }
    }
}
