//! Objects of dindcheck inside a daemon, and their removal.
//!
//! Every container, network, volume and image carries a label with the run's id; an image that a run pulled carries none,
//! and is judged by [`Pulled`].

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use crate::engine::LABEL;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::{QUERY, ask_json, http, of_io};
use crate::engine::image::pulled::{Fate, Images, Pulled};
use crate::engine::image::{self, build};
use crate::facts::endpoint::Endpoint;

/// How long a daemon may take to restart its containerd (moby `libcontainerd/supervisor/remote_daemon.go`); until then it
/// answers 503.
const CONTAINERD_RESTART: Duration = Duration::from_secs(5);

/// The kinds of objects in a daemon, in the order in which they can be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// An image.
    Image,
}

/// Every kind, in the order of removal.
pub const KINDS: [Kind; 4] = [Kind::Container, Kind::Network, Kind::Volume, Kind::Image];

/// The name of the bridge of a run's network.
///
/// The form is dockerd's own, `br-` and twelve hexadecimal digits, so that its firewall rules are recognized as dockerd's.
/// The digits are the run's id, so that a bridge is recognized as ours even where dockerd was killed before it stored the
/// network.
pub fn bridge(run: &str) -> String {
    format!("br-{run:0<12}")
}

/// The option of the bridge driver that names a network's bridge (moby `libnetwork/drivers/bridge/labels.go`,
/// `BridgeName`).
pub const BRIDGE_OPTION: &str = "com.docker.network.bridge.name";

/// An object of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its id in the API.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The run that made it.
    pub run: String,
    /// Whether it carries our label, or else only a name of ours.
    pub labelled: bool,
    /// What is known of an image that this run pulled.
    pub pulled: Option<Pulled>,
}

/// The end of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is removed.
    Removed,
    /// It stays, because it is not ours.
    NotOurs,
}

impl Kind {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }

    /// The path that lists the objects with our label. Networks and volumes are listed without the filter: a daemon that
    /// is killed while it creates one may have stored its name and not yet its labels.
    fn list_path(self) -> String {
        let filters = json!({ "label": [LABEL] }).to_string();
        let filters = utf8_percent_encode(&filters, QUERY);
        match self {
            Self::Container => format!("/containers/json?all=1&filters={filters}"),
            Self::Network => "/networks".to_owned(),
            Self::Volume => "/volumes".to_owned(),
            Self::Image => format!("/images/json?filters={filters}"),
        }
    }

    /// The path that removes one. Only of containers the removal is forced: ours may still run.
    fn remove_path(self, id: &str) -> String {
        match self {
            Self::Container => format!("/containers/{id}?force=1&v=1"),
            Self::Network => format!("/networks/{id}"),
            Self::Volume => format!("/volumes/{id}"),
            Self::Image => format!("/images/{id}"),
        }
    }

    /// Reads one object of a list: nothing where it is not ours, and one object for each name of ours of an image.
    fn read(self, item: &Value) -> Vec<Object> {
        let text = |key: &str| item.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let first = |key: &str| Some(item.get(key)?.get(0)?.as_str()?.to_owned());
        let label = item.get("Labels").and_then(|labels| labels.get(LABEL)).and_then(Value::as_str);
        let by_name = || text("Name").and_then(|name| Some(run_of(&name)?.to_owned()));
        let Some(run) = label.map(ToOwned::to_owned).or_else(by_name) else { return Vec::new() };
        let found = match self {
            Self::Container => {
                let name = first("Names").map(|name| name.trim_start_matches('/').to_owned());
                vec![(text("Id"), name)]
            }
            Self::Network => vec![(text("Id"), text("Name"))],
            Self::Volume => vec![(text("Name"), None)],
            Self::Image => image_names(item, &run).into_iter().map(|name| (Some(name), None)).collect(),
        };
        let object = |(id, name): (Option<String>, Option<String>)| {
            let id = id?;
            let name = name.unwrap_or_else(|| id.clone());
            Some(Object { kind: self, id, name, run: run.clone(), labelled: label.is_some(), pulled: None })
        };
        found.into_iter().filter_map(object).collect()
    }
}

/// The names of ours of an image with the label of this run; its id where it has no name at all. An image that somebody
/// builds from ours inherits the label: its names are not ours.
fn image_names(item: &Value, run: &str) -> Vec<String> {
    let tags = item.get("RepoTags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let tags: Vec<_> = tags.filter(|tag| *tag != "<none>:<none>").collect();
    if tags.is_empty() {
        return item.get("Id").and_then(Value::as_str).map(ToOwned::to_owned).into_iter().collect();
    }
    let ours = [image::Archive::reference(run), build::reference(run)];
    ours.into_iter().filter(|name| tags.contains(&name.as_str())).collect()
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// The run's id in the name of a network or a volume: `dindcheck-<8 hexadecimal digits>-network`.
fn run_of(name: &str) -> Option<&str> {
    let (run, role) = name.strip_prefix("dindcheck-")?.split_once('-')?;
    let is_run = run.len() == 8 && run.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_run && matches!(role, "network" | "volume")).then_some(run)
}

/// Lists the objects of a kind that are ours, of any run.
pub async fn labelled(endpoint: &Endpoint, version: &str, kind: Kind) -> EngineResult<Vec<Object>> {
    let doing = format!("list the {}s of dindcheck", kind.name());
    let path = format!("/v{version}{}", kind.list_path());
    let answer = ask_json(endpoint, &doing, &path).await?;
    let list = answer.get("Volumes").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
    Ok(list.iter().flat_map(|item| kind.read(item)).collect())
}

/// Removes an object; a missing one counts as removed.
///
/// # Errors
///
/// Those of the request; [`EngineError::Stays`] where an image that was pulled is in use.
pub async fn remove(endpoint: &Endpoint, version: &str, object: &Object) -> EngineResult<Removal> {
    let end = Instant::now() + CONTAINERD_RESTART;
    loop {
        let removed = match &object.pulled {
            Some(pulled) => remove_pulled(&Images { endpoint, version }, pulled).await,
            None => remove_once(endpoint, version, object).await.map(|()| Removal::Removed),
        };
        match removed {
            Err(EngineError::Refused { status: 503, .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

/// Removes an image that was pulled, where nobody else has it by now.
///
/// # Errors
///
/// As [`remove`].
pub async fn remove_pulled(images: &Images<'_>, pulled: &Pulled) -> EngineResult<Removal> {
    match pulled.remove(images).await? {
        Fate::Removed => Ok(Removal::Removed),
        Fate::NotOurs => Ok(Removal::NotOurs),
        Fate::InUse(why) => Err(EngineError::Stays {
            what: format!("the image {pulled}, which this run pulled"),
            why,
            command: format!("docker rmi {pulled}"),
        }),
    }
}

/// Sends one request for the removal.
async fn remove_once(endpoint: &Endpoint, version: &str, object: &Object) -> EngineResult<()> {
    let doing = format!("remove the {object}");
    let path = format!("/v{version}{}", object.kind.remove_path(&object.id));
    let answer =
        http::request(endpoint, "DELETE", &path).await.map_err(|error| of_io(endpoint, &doing, &error))?;
    match answer.status {
        200..=299 | 404 => Ok(()),
        status => Err(EngineError::Refused { doing, status, message: answer.message() }),
    }
}

/// Whether this run may remove an object: its own, and those of dead runs. With `exclusive`, nobody else uses the daemon, so
/// every other run is dead; that is proof only for what carries our label, since the data root may hold things of others.
pub fn removable(object: &Object, own: &str, dead: &BTreeSet<String>, exclusive: bool) -> bool {
    object.run == own || dead.contains(&object.run) || exclusive && object.labelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_for_each_kind() {
        let container = json!({"Id": "c1", "Names": ["/dindcheck-x"], "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Container.read(&container)[0].to_string(), "container dindcheck-x");
        let untagged = json!({"Id": "sha256:1", "RepoTags": null, "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Image.read(&untagged)[0].id, "sha256:1");
        let volume = json!({"Name": "v", "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Volume.read(&volume)[0].to_string(), "volume v");
    }

    #[test]
    fn names_that_others_gave_to_our_images_are_not_ours() {
        let ids = |tags: &[&str]| {
            let image = json!({"Id": "sha256:1", "RepoTags": tags, "Labels": {LABEL: "r"}});
            Kind::Image.read(&image).into_iter().map(|object| object.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&["dindcheck-probe:r"]), ["dindcheck-probe:r"]);
        assert_eq!(ids(&["aaa:mine", "dindcheck-probe:r"]), ["dindcheck-probe:r"]);
        assert!(ids(&["built-from-ours:1"]).is_empty());
        assert!(ids(&["dindcheck-probe:other"]).is_empty());
        assert_eq!(ids(&["<none>:<none>"]), ["sha256:1"]);
    }

    #[test]
    fn only_containers_are_removed_by_force() {
        for kind in KINDS {
            assert_eq!(kind.remove_path("x").contains("force"), kind == Kind::Container, "{kind:?}");
        }
    }

    #[test]
    fn an_object_without_label_and_name_of_ours_is_skipped() {
        assert_eq!(Kind::Container.read(&json!({"Id": "c", "Names": ["/x"], "Labels": {}})), []);
        assert_eq!(Kind::Volume.read(&json!({"Name": "v", "Labels": null})), []);
        assert_eq!(Kind::Volume.read(&json!({"Name": "dindcheck-mine-volume", "Labels": null})), []);
    }

    #[test]
    fn a_name_of_ours_replaces_a_missing_label() {
        let volume = json!({"Name": "dindcheck-0badcafe-volume", "Labels": null});
        assert_eq!(Kind::Volume.read(&volume)[0].run, "0badcafe");
        let network = json!({"Id": "n1", "Name": "dindcheck-0badcafe-network", "Labels": {}});
        assert_eq!(Kind::Network.read(&network)[0].run, "0badcafe");
    }

    #[test]
    fn in_a_shared_daemon_only_own_and_dead_runs_are_removed() {
        let object = |run: &str, labelled| Object {
            kind: Kind::Volume,
            id: "i".into(),
            name: "i".into(),
            run: run.into(),
            labelled,
            pulled: None,
        };
        let dead = BTreeSet::from(["dead".to_owned()]);
        let may = |run: &str, labelled, exclusive| removable(&object(run, labelled), "own", &dead, exclusive);
        for labelled in [true, false] {
            assert!(
                may("own", labelled, false) && may("dead", labelled, false) && !may("other", labelled, false)
            );
            assert_eq!(may("other", labelled, true), labelled, "a name alone proves nothing of another run");
        }
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(utf8_percent_encode("{\"a\"}~é", QUERY).to_string(), "%7B%22a%22%7D~%C3%A9");
    }
}
