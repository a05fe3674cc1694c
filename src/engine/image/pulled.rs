//! An image that a run pulls, and what proves at its end that it is still the run's alone.
//!
//! A pulled image carries no label, and others may use the same daemon. So the images are listed before the pull. The name
//! that was pulled is removed, without force, only where nobody else pulled or loaded that name meanwhile and no container
//! uses it. With its last name goes the image, unless it was there before.

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
    /// It is ours, or may be, and stays: why.
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
        let Some(ours) = &self.id else {
            return Ok(Fate::InUse(
                "the pull did not end, so that somebody else may have brought it".to_owned(),
            ));
        };
        // Another image may have the name now.
        let Some(id) = text(&image, "Id").filter(|id| id == ours) else {
            return Ok(Fate::NotOurs);
        };
        // The image stays by its other names, to which nothing is done.
        let is_named_otherwise = has_other_names(&image, &self.reference);
        if self.before.contains(&id) && !is_named_otherwise {
            return Ok(Fate::InUse("it was here before, without a name".to_owned()));
        }
        if images.others_brought(&self.reference, &self.since).await? {
            return Ok(Fate::NotOurs);
        }
        let by_name = is_named_otherwise.then_some(&self.reference);
        let users = images.containers_of(&id, by_name).await?;
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

    /// The daemon's own time, which need not be ours, as its events take it: seconds since 1970, and nanoseconds (moby
    /// `api/types/time/timestamp.go`, `ParseTimestamps`).
    async fn clock(&self) -> EngineResult<String> {
        let doing = "ask for the daemon's time";
        let junk = |reason: String| EngineError::Junk { doing: doing.to_owned(), reason };
        let info = self.ask(doing, "/info").await?;
        let time = text(&info, "SystemTime")
            .ok_or_else(|| junk("`SystemTime` is missing in the answer to /info".to_owned()))?;
        let time = chrono::DateTime::parse_from_rfc3339(&time)
            .map_err(|error| junk(format!("`SystemTime` is {time}: {error}")))?;
        Ok(format!("{}.{:09}", time.timestamp(), time.timestamp_subsec_nanos()))
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

    /// The names of the containers, running or not, that were created from an image; with a name of it, from that one.
    async fn containers_of(&self, id: &str, by: Option<&Reference>) -> EngineResult<Vec<String>> {
        let filters = query(&json!({"ancestor": [id]}).to_string());
        let list =
            self.ask("list the containers", &format!("/containers/json?all=1&filters={filters}")).await?;
        let name = |container: &Value| {
            let name = container["Names"][0].as_str().map(|name| name.trim_start_matches('/').to_owned());
            name.or_else(|| text(container, "Id")).unwrap_or_default()
        };
        let uses = |container: &&Value| {
            by.is_none_or(|by| {
                // A container keeps the name as it was written.
                names_of(by).iter().chain(&[by.to_string()]).any(|form| container["Image"] == form.as_str())
            })
        };
        Ok(list.as_array().into_iter().flatten().filter(uses).map(name).collect())
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
    let meant = names_of(reference);
    // A pull of every tag has the name alone as its id.
    reference.listed_names().iter().any(|name| id == name)
        || [id, name].iter().any(|text| meant.iter().any(|known| *text == known))
}

/// The forms of a name in what the daemon lists.
fn names_of(reference: &Reference) -> Vec<String> {
    let mut forms = reference.listed();
    forms.push(format!("{}:{}", reference.name(), reference.tag_or_digest()));
    forms
}

/// Whether an image has tags, or digests in other repositories, besides the pulled name.
fn has_other_names(image: &Value, reference: &Reference) -> bool {
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
    let mut other_digests = digests.iter().filter(|digest| is_other(digest) && !of_same_repository(digest));
    tags.iter().any(is_other) || other_digests.next().is_some()
}

fn text(json: &Value, key: &str) -> Option<String> {
    json[key].as_str().map(ToOwned::to_owned)
}

fn query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
pub(crate) mod tests;
