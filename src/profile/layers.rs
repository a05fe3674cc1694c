//! Merges a profile and those that it extends: each value comes from the nearest profile that sets it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::raw::{Raw, Span};
use super::{Container, Controllers, Daemon, DaemonDeath, Grant, Image, Network, Profile, Storage};

/// The value of the nearest layer that sets it.
fn first<T: Clone>(layers: &[Raw], pick: impl Fn(&Raw) -> Option<T>) -> Option<T> {
    layers.iter().find_map(pick)
}

/// The maps of all layers in one; the nearer value of a key wins.
fn merged<V: Clone>(layers: &[Raw], pick: impl Fn(&Raw) -> &BTreeMap<String, V>) -> BTreeMap<String, V> {
    layers.iter().rev().flat_map(|raw| pick(raw).clone()).collect()
}

impl Profile {
    /// The profile of these layers, the nearest first; what no layer sets has its default.
    pub(super) fn from_layers(name: &str, layers: &[Raw]) -> anyhow::Result<Self> {
        let l = layers;
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let profile = Self {
            name: name.to_owned(),
            description: first(l, |r| r.description.clone()).unwrap_or_default(),
            steps: merged(l, |r| &r.steps),
            causes: merged(l, |r| &r.causes),
            repair: first(l, |r| r.repair).unwrap_or(Grant::Container),
            controllers: Controllers {
                required: first(l, |r| r.controllers.required.clone()).unwrap_or_else(|| names(&["devices"])),
                wanted: first(l, |r| r.controllers.wanted.clone()).unwrap_or_else(|| names(WANTED)),
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
                third_level: first(l, |r| r.container.third_level).unwrap_or(false),
            },
            format: first(l, |r| r.format.clone()).unwrap_or_else(|| "human".into()),
        };
        profile.validate()?;
        Ok(profile)
    }
}

/// Controllers that are wanted by default: those of the limits that people use.
const WANTED: &[&str] = &["memory", "cpu", "cpuacct", "cpuset", "pids", "blkio", "freezer"];

/// The duration that a layer sets, or this number of seconds.
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
            on_death: first(l, |r| r.daemon.on_death).unwrap_or(DaemonDeath::Report),
        }
    }
}
