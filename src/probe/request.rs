//! What is the probe to try? One JSON word on its command line; what is not asked for is not tried.

use crate::host::trial::ReachRequest;
use serde::{Deserialize, Serialize};

use super::{limits, storage};

/// What it is to try, and whether it waits afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeRequest {
    /// Waits for a line on its standard input after it has told.
    pub hold: bool,
    /// The TCP port on which it greets whoever connects, as long as it lives.
    pub serve: Option<u16>,
    /// The limits that it was given and is to run against.
    pub limits: Option<limits::Wanted>,
    /// Where it is to read and write.
    pub storage: Option<storage::Places>,
    /// What it is to reach.
    pub reach: Option<ReachRequest>,
    /// It has every privilege and is to use one.
    pub privileged: bool,
}

impl ProbeRequest {
    /// The words as the container's command has them.
    pub fn word(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads them; without any, the probe only looks.
    pub fn read(words: &[String]) -> serde_json::Result<Self> {
        words.first().map_or_else(|| Ok(Self::default()), |word| serde_json::from_str(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through_and_unknown_ones_are_refused() {
        let orders = ProbeRequest { hold: true, serve: Some(7), ..ProbeRequest::default() };
        assert_eq!(ProbeRequest::read(&[orders.word()]).unwrap(), orders);
        assert_eq!(ProbeRequest::read(&[]).unwrap(), ProbeRequest::default());
        assert!(ProbeRequest::read(&["{\"sing\":true}".to_owned()]).is_err());
    }
}
