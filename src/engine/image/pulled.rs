//! An image that a run pulls, and what proves at its end that it is still the run's alone.
//!
//! A pulled image carries no label, and others may use the same daemon. So the images are listed before the pull, and the
//! image is removed only where it was not there before, under any name, nobody else pulled or loaded that name meanwhile,
//! and neither a container nor another name uses it. It is removed without force.

use std::collections::BTreeSet;

use percent_encoding::utf8_percent_encode;
use serde_json::{Value, json};

use crate::engine::docker::error::{EngineError, EngineResult};
use crate::engine::docker::{self, QUERY, http};
use crate::facts::endpoint::Endpoint;
use crate::facts::reference::Reference;

/// A pull of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What was pulled.
    pub reference: Reference,
    /// The ids of all images before the pull.
    before: BTreeSet<String>,
    /// The daemon's clock before the pull.
    since: String,
    /// The id after the pull; `None` where the pull did not end.
    id: Option<String>,
}

/// What became of an image that a run pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is removed.
    Removed,
    /// It does not exist, or somebody else has it: it is not ours.
    NotOurs,
    /// It is ours, and stays: why.
    InUse(String),
}

/// A daemon, at the version of the API that is used.
pub struct Images<'a> {
    /// Where it answers.
    pub endpoint: &'a Endpoint,
    /// The version agreed on.
    pub version: &'a str,
}

impl Pulled {
    /// What is known before the pull.
    pub async fn before(images: &Images<'_>, reference: &Reference) -> EngineResult<Self> {
        let since = images.clock().await?;
        let all = images.ask("list the images", "/images/json?all=1").await?;
        let ids = all.as_array().into_iter().flatten().filter_map(|image| text(image, "Id"));
        Ok(Self { reference: reference.clone(), before: ids.collect(), since, id: None })
    }

    /// Records that the pull ended: the image's id.
    pub async fn finish(&mut self, images: &Images<'_>) -> EngineResult<()> {
        self.id = images.inspect(&self.reference).await?.and_then(|image| text(&image, "Id"));
        Ok(())
    }

    /// Removes the image where it is provably this run's alone.
    pub async fn remove(&self, images: &Images<'_>) -> EngineResult<Fate> {
        let Some(image) = images.inspect(&self.reference).await? else { return Ok(Fate::NotOurs) };
        // Another image has the name now, or ours did not come.
        let Some(id) = text(&image, "Id").filter(|id| Some(id) == self.id.as_ref()) else {
            return Ok(Fate::NotOurs);
        };
        if self.before.contains(&id) {
            return Ok(Fate::InUse("it was here before under another name".to_owned()));
        }
        if images.others_brought(&self.reference, &self.since).await? {
            return Ok(Fate::NotOurs);
        }
        let names = other_names(&image, &self.reference);
        if !names.is_empty() {
            return Ok(Fate::InUse(format!("it has other names: {}", names.join(", "))));
        }
        let users = images.containers_of(&id).await?;
        if !users.is_empty() {
            return Ok(Fate::InUse(format!("containers use it: {}", users.join(", "))));
        }
        images.untag(&self.reference).await
    }
}

impl std::fmt::Display for Pulled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reference)
    }
}

impl Images<'_> {
    async fn ask(&self, doing: &str, path: &str) -> EngineResult<Value> {
        docker::ask_json(self.endpoint, doing, &format!("/v{}{path}", self.version)).await
    }

    /// The daemon's own time, which need not be ours.
    async fn clock(&self) -> EngineResult<String> {
        let doing = "ask for the daemon's time";
        let info = self.ask(doing, "/info").await?;
        text(&info, "SystemTime").ok_or_else(|| EngineError::Junk {
            doing: doing.to_owned(),
            reason: "`SystemTime` is missing in the answer to /info".to_owned(),
        })
    }

    /// The image, or `None` where the daemon has none of this name.
    pub async fn inspect(&self, reference: &Reference) -> EngineResult<Option<Value>> {
        let doing = format!("look for the image {reference}");
        match self.ask(&doing, &format!("/images/{reference}/json")).await {
            Ok(image) => Ok(Some(image)),
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody else pulled, loaded or imported this name since then: our own pull is one event.
    async fn others_brought(&self, reference: &Reference, since: &str) -> EngineResult<bool> {
        let doing = "read the daemon's events";
        let until = self.clock().await?;
        let filters = query(&json!({"type": ["image"], "event": ["pull", "load", "import"]}).to_string());
        let path = format!(
            "/v{}/events?since={}&until={}&filters={filters}",
            self.version,
            query(since),
            query(&until)
        );
        let answer = docker::ask(self.endpoint, doing, &path).await?;
        if answer.status != 200 {
            let (doing, status) = (doing.to_owned(), answer.status);
            return Err(EngineError::Refused { doing, status, message: answer.message() });
        }
        let events: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_slice(&answer.body).into_iter().collect();
        let events = events
            .map_err(|error| EngineError::Junk { doing: doing.to_owned(), reason: error.to_string() })?;
        let (pulls, others): (Vec<_>, Vec<_>) = events
            .iter()
            .filter(|event| is_about(event, reference))
            .partition(|event| event["Action"] == "pull");
        Ok(pulls.len() > 1 || !others.is_empty())
    }

    /// The names of the containers, running or not, that were created from an image.
    async fn containers_of(&self, id: &str) -> EngineResult<Vec<String>> {
        let filters = query(&json!({"ancestor": [id]}).to_string());
        let list =
            self.ask("list the containers", &format!("/containers/json?all=1&filters={filters}")).await?;
        let name = |container: &Value| {
            let name = container["Names"][0].as_str().map(|name| name.trim_start_matches('/').to_owned());
            name.or_else(|| text(container, "Id")).unwrap_or_default()
        };
        Ok(list.as_array().into_iter().flatten().map(name).collect())
    }

    /// Removes the name that was pulled, and with its last name the image; parents that are not ours stay.
    async fn untag(&self, reference: &Reference) -> EngineResult<Fate> {
        let doing = format!("remove the image {reference}");
        let path = format!("/v{}/images/{}?noprune=1", self.version, reference.listed()[0]);
        let answer = http::request(self.endpoint, "DELETE", &path)
            .await
            .map_err(|error| docker::of_io(self.endpoint, &doing, &error))?;
        match answer.status {
            200..=299 => Ok(Fate::Removed),
            404 => Ok(Fate::NotOurs),
            409 => Ok(Fate::InUse(answer.message())),
            status => Err(EngineError::Refused { doing, status, message: answer.message() }),
        }
    }
}

/// Whether an event is about this name (moby `daemon/events.go`, `LogImageEvent`).
fn is_about(event: &Value, reference: &Reference) -> bool {
    let (id, name) = (&event["Actor"]["ID"], &event["Actor"]["Attributes"]["name"]);
    let mut meant = reference.listed();
    meant.push(format!("{}:{}", reference.name(), reference.tag_or_digest()));
    // A pull of every tag has the name alone as its id.
    reference.listed_names().iter().any(|name| id == name)
        || [id, name].iter().any(|text| meant.iter().any(|known| *text == known))
}

/// The tags, and the digests in other repositories, that an image has besides the pulled name.
fn other_names(image: &Value, reference: &Reference) -> Vec<String> {
    let list = |key: &str| image[key].as_array().cloned().unwrap_or_default();
    let strings = |values: Vec<Value>| -> Vec<String> {
        values.into_iter().filter_map(|value| value.as_str().map(ToOwned::to_owned)).collect()
    };
    let (tags, digests) = (strings(list("RepoTags")), strings(list("RepoDigests")));
    // Only one of its forms is its name: another registry may list the other one.
    let listed = reference.listed();
    let own = listed.iter().position(|form| tags.contains(form) || digests.contains(form)).unwrap_or(0);
    let repository = reference.listed_names()[own];
    let is_other = |name: &String| *name != listed[own] && !name.starts_with("<none>");
    let of_same_repository =
        |digest: &String| digest.split_once('@').is_some_and(|(name, _)| name == repository);
    let other_digests = digests.into_iter().filter(|digest| is_other(digest) && !of_same_repository(digest));
    tags.into_iter().filter(is_other).chain(other_digests).collect()
}

fn text(json: &Value, key: &str) -> Option<String> {
    json[key].as_str().map(ToOwned::to_owned)
}

fn query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
pub(crate) mod tests;
