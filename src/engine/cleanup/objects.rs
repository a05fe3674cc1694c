//! Objects of dindcheck inside a daemon, and their removal.
//!
//! Every container, network, volume and image carries a label with the run's id.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::engine::LABEL;
use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::{ask_json, http};
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

/// An object that carries our label.
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

    /// The path that removes one by force.
    fn remove_path(self, id: &str) -> String {
        match self {
            Self::Container => format!("/containers/{id}?force=1&v=1"),
            Self::Network => format!("/networks/{id}"),
            Self::Volume => format!("/volumes/{id}?force=1"),
            Self::Image => format!("/images/{id}?force=1"),
        }
    }

    /// Reads one object of a list; `None` where it is not ours.
    fn read(self, item: &Value) -> Option<Object> {
        let text = |key: &str| item.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        let first = |key: &str| Some(item.get(key)?.get(0)?.as_str()?.to_owned());
        let label = item.get("Labels").and_then(|labels| labels.get(LABEL)).and_then(Value::as_str);
        let by_name = || text("Name").and_then(|name| Some(run_of(&name)?.to_owned()));
        let run = label.map(ToOwned::to_owned).or_else(by_name)?;
        let (id, name) = match self {
            Self::Container => {
                (text("Id")?, first("Names").map(|name| name.trim_start_matches('/').to_owned()))
            }
            Self::Network => (text("Id")?, text("Name")),
            Self::Volume => (text("Name")?, None),
            Self::Image => {
                let tag = first("RepoTags").filter(|tag| tag != "<none>:<none>");
                (tag.clone().or_else(|| text("Id"))?, tag)
            }
        };
        let name = name.unwrap_or_else(|| id.clone());
        Some(Object { kind: self, id, name, run })
    }
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
    Ok(list.iter().filter_map(|item| kind.read(item)).collect())
}

/// Removes an object; a missing one counts as removed.
pub async fn remove(endpoint: &Endpoint, version: &str, object: &Object) -> EngineResult<()> {
    let end = Instant::now() + CONTAINERD_RESTART;
    loop {
        match remove_once(endpoint, version, object).await {
            Err(EngineError::Refused { status: 503, .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            result => return result,
        }
    }
}

/// Sends one request for the removal.
async fn remove_once(endpoint: &Endpoint, version: &str, object: &Object) -> EngineResult<()> {
    let doing = format!("remove the {object}");
    let path = format!("/v{version}{}", object.kind.remove_path(&object.id));
    let answer =
        http::request(endpoint, "DELETE", &path).await.map_err(|error| EngineError::Unreachable {
            doing: doing.clone(),
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        })?;
    match answer.status {
        200..=299 | 404 => Ok(()),
        status => Err(EngineError::Refused { doing, status, message: answer.message() }),
    }
}

/// Whether this run may remove an object: its own, and those of dead runs. With `exclusive`, nobody else uses the daemon,
/// so every other run is dead.
pub fn removable(object: &Object, own: &str, dead: &BTreeSet<String>, exclusive: bool) -> bool {
    object.run == own || exclusive || dead.contains(&object.run)
}

/// What a query may hold unescaped (RFC 3986, unreserved characters).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_for_each_kind() {
        let container = json!({"Id": "c1", "Names": ["/dindcheck-x"], "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Container.read(&container).unwrap().to_string(), "container dindcheck-x");
        let image = json!({"Id": "sha256:1", "RepoTags": ["a:b"], "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Image.read(&image).unwrap().id, "a:b");
        let untagged = json!({"Id": "sha256:1", "RepoTags": null, "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Image.read(&untagged).unwrap().id, "sha256:1");
        let volume = json!({"Name": "v", "Labels": {LABEL: "r"}});
        assert_eq!(Kind::Volume.read(&volume).unwrap().to_string(), "volume v");
    }

    #[test]
    fn an_object_without_label_and_name_of_ours_is_skipped() {
        assert_eq!(Kind::Container.read(&json!({"Id": "c", "Names": ["/x"], "Labels": {}})), None);
        assert_eq!(Kind::Volume.read(&json!({"Name": "v", "Labels": null})), None);
        assert_eq!(Kind::Volume.read(&json!({"Name": "dindcheck-mine-volume", "Labels": null})), None);
    }

    #[test]
    fn a_name_of_ours_replaces_a_missing_label() {
        let volume = json!({"Name": "dindcheck-0badcafe-volume", "Labels": null});
        assert_eq!(Kind::Volume.read(&volume).unwrap().run, "0badcafe");
        let network = json!({"Id": "n1", "Name": "dindcheck-0badcafe-network", "Labels": {}});
        assert_eq!(Kind::Network.read(&network).unwrap().run, "0badcafe");
    }

    #[test]
    fn in_a_shared_daemon_only_own_and_dead_runs_are_removed() {
        let object =
            |run: &str| Object { kind: Kind::Image, id: "i".into(), name: "i".into(), run: run.into() };
        let dead = BTreeSet::from(["dead".to_owned()]);
        let may = |run: &str, exclusive| removable(&object(run), "own", &dead, exclusive);
        assert!(may("own", false) && may("dead", false) && !may("other", false) && may("other", true));
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(utf8_percent_encode("{\"a\"}~é", QUERY).to_string(), "%7B%22a%22%7D~%C3%A9");
    }
}
