//! The request to the probe: one JSON argument on its command line.

use crate::host::trial::ReachRequest;
use serde::{Deserialize, Serialize};

use super::{limits, storage};

/// What the probe performs, and whether it waits afterwards. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeRequest {
    /// Waits for a line on its standard input after it printed the document.
    pub hold: bool,
    /// The TCP port on which it sends a greeting to every connection.
    pub serve: Option<u16>,
    /// The limits of the container, which it exceeds.
    pub limits: Option<limits::LimitsRequest>,
    /// Where it reads and writes.
    pub storage: Option<storage::StorageRequest>,
    /// What it connects to.
    pub reach: Option<ReachRequest>,
    /// Whether it uses the privileges of a privileged container.
    pub privileged: bool,
}

impl ProbeRequest {
    /// The request as an argument of the container's command.
    pub fn argument(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses the arguments; the default request where there are none. An error where the JSON is invalid or has an
    /// unknown field.
    pub fn parse(args: &[String]) -> serde_json::Result<Self> {
        args.first().map_or_else(|| Ok(Self::default()), |argument| serde_json::from_str(argument))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_survives_a_round_trip_and_unknown_field_is_refused() {
        let request = ProbeRequest { hold: true, serve: Some(7), ..ProbeRequest::default() };
        assert_eq!(ProbeRequest::parse(&[request.argument()]).unwrap(), request);
        assert_eq!(ProbeRequest::parse(&[]).unwrap(), ProbeRequest::default());
        assert!(ProbeRequest::parse(&["{\"sing\":true}".to_owned()]).is_err());
    }
}
