//! The objects that this run creates in the daemon, and their removal.

use futures_util::future::join_all;

use super::{LiveEngine, SHORT};
use crate::engine::cleanup::objects::{self, Kind, Object, Removal};
use crate::engine::docker::error::EngineResult;
use crate::engine::image::pulled::Pulled;

/// An object of ours in the daemon, remembered in case the daemon does not answer any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Created {
    /// A container, by name.
    Container(String),
    /// The built-in image, by reference.
    Builtin(String),
    /// A network, by name.
    Network(String),
    /// A volume, by name.
    Volume(String),
    /// A pulled image that was missing before; it carries no label.
    Pulled(Box<Pulled>),
}

impl Created {
    /// Its name in the daemon.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Container(name) | Self::Network(name) | Self::Volume(name) | Self::Builtin(name) => {
                name.clone()
            }
            Self::Pulled(pulled) => pulled.to_string(),
        }
    }

    /// The object as the API addresses it.
    pub(super) fn object(&self, run: &str) -> Object {
        let kind = match self {
            Self::Container(_) => Kind::Container,
            Self::Network(_) => Kind::Network,
            Self::Volume(_) => Kind::Volume,
            Self::Builtin(_) | Self::Pulled(_) => Kind::Image,
        };
        let pulled = match self {
            Self::Pulled(pulled) => Some((**pulled).clone()),
            _ => None,
        };
        let run = run.to_owned();
        Object { kind, id: self.name(), name: self.name(), run, labelled: pulled.is_none(), pulled }
    }
}

impl LiveEngine {
    /// Remembers an object that is about to be created.
    pub(super) fn note(&self, object: Created) {
        let mut all = self.created.borrow_mut();
        if !all.contains(&object) {
            all.push(object);
        }
    }

    /// Removes objects of ours, all at once; the results in the same order.
    pub(super) fn remove_all(&self, objects: &[Object]) -> Vec<EngineResult<Removal>> {
        let endpoint = self.endpoint();
        let names: Vec<_> = objects.iter().map(ToString::to_string).collect();
        let doing = format!("remove the {}", names.join(", the "));
        let removed = self.api(SHORT).and_then(|api| {
            let all = objects.iter().map(|object| objects::remove(&endpoint, &api.version, object));
            self.wait(&doing, SHORT, async { Ok(join_all(all).await) })
        });
        let ends = removed.unwrap_or_else(|error| objects.iter().map(|_| Err(error.clone())).collect());
        for (object, _) in objects.iter().zip(&ends).filter(|(_, end)| end.is_ok()) {
            self.created.borrow_mut().retain(|created| created.name() != object.name);
        }
        ends
    }
}
