//! The file of `--record`: every question of a run to [`SystemReader`](super::SystemReader), and its answers in order.
//!
//! A question has a sequence of answers, since a repair may change them. Secrets are removed before an answer is stored, by
//! lists of what is safe: variables of the environment, kinds of files, options of dockerd. What is removed keeps its shape,
//! so that a replay finds the same.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Identity;
use crate::diagnosis::redact::{WITHHELD, without_logins};
use crate::redact;

/// The version of the file format.
const SCHEMA_VERSION: u32 = 1;

/// The variables whose values are stored: those that dockerd or dindcheck obey and that hold no secrets.
const KEPT_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "DOCKER_DRIVER",
    "DOCKER_RAMDISK",
    "DOCKER_TMPDIR",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "DOCKER_TLS_CERTDIR",
    "DOCKER_MIN_API_VERSION",
    "DOCKER_FIREWALL_BACKEND",
    "DOCKER_CONTAINERD_ROOT",
    "DOCKER_IPTABLES_LEGACY",
    "DOCKER_IGNORE_BR_NETFILTER_ERROR",
    "DOCKER_INSECURE_NO_IPTABLES_RAW",
    "ROOTLESSKIT_STATE_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "container",
];

/// The answers of the machine during a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The version of the file format.
    pub schema_version: u32,
    /// The version of dindcheck.
    pub tool: String,
    /// The id of the run, which is part of some questions.
    pub run: String,
    /// The ids of the environment steps of that dindcheck: a replay skips the steps that are newer.
    #[serde(default = "steps_of_0_1_0")]
    pub steps: Vec<String>,
    /// The command line, in the form of the layer that plans.
    #[serde(rename = "wishes")]
    pub request: Value,
    /// The ids of the process that ran.
    pub identity: Identity,
    /// The answers to each question, in order; the last one stands for all that follow.
    pub answers: BTreeMap<String, Vec<Value>>,
}

/// The environment steps of dindcheck 0.1.0, whose recordings do not list them. This list never changes.
fn steps_of_0_1_0() -> Vec<String> {
    let ids = [
        "privileges",
        "kernel",
        "mounts",
        "cgroup-mounts",
        "cgroup-delegation",
        "binaries",
        "daemon-config",
        "storage",
        "network",
        "daemon-state",
    ];
    ids.map(ToOwned::to_owned).to_vec()
}

impl Recording {
    /// A recording of these answers. Equal answers to one question are stored once, and passwords in the request are
    /// covered.
    pub fn new(
        run: &str,
        steps: &[&str],
        request: &impl Serialize,
        identity: Identity,
        mut answers: BTreeMap<String, Vec<Value>>,
    ) -> Self {
        for sequence in answers.values_mut() {
            // Most answers do not change.
            if sequence.iter().all(|answer| Some(answer) == sequence.first()) {
                sequence.truncate(1);
            }
        }
        let mut request = serde_json::to_value(request).unwrap_or_default();
        cover_request(&mut request);
        let tool = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            schema_version: SCHEMA_VERSION,
            tool,
            run: run.to_owned(),
            steps: steps.iter().map(ToString::to_string).collect(),
            request,
            identity,
            answers,
        }
    }

    /// Parses the text of a file. An error where it is not a recording, or one of another format.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_str(text).context("it is not a recording of dindcheck")?;
        let version = json.get("schema_version").and_then(Value::as_u64);
        ensure!(
            version == Some(SCHEMA_VERSION.into()),
            "it is a recording of another kind (schema_version {}, and this dindcheck plays {SCHEMA_VERSION})",
            version.map_or_else(|| "missing".to_owned(), |version| version.to_string())
        );
        serde_json::from_value(json).context("it is not a recording of dindcheck")
    }
}

/// Covers the logins in every text of the request, and values in the arguments of dockerd.
fn cover_request(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_logins(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(cover_request),
        Value::Object(members) => {
            for (key, member) in members {
                match serde_json::from_value::<Vec<String>>(member.clone()) {
                    Ok(args) if key == "daemon_args" => *member = redact::arguments(&args).into(),
                    _ => cover_request(member),
                }
            }
        }
        _ => {}
    }
}

/// The value of a variable without secrets.
pub(super) fn variable(name: &str, value: String) -> String {
    if KEPT_VARIABLES.contains(&name) { without_logins(&value).into_owned() } else { WITHHELD.to_owned() }
}

/// Bytes of a file: as text where they are UTF-8, else as two hexadecimal digits a byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Hex {
        #[serde(with = "hex")]
        hex: Vec<u8>,
    },
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Hex { hex: error.into_bytes() }, Self::Text)
    }
}

impl From<Content> for Vec<u8> {
    fn from(content: Content) -> Self {
        match content {
            Content::Text(text) => text.into_bytes(),
            Content::Hex { hex } => hex,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_the_request_are_covered() {
        let request =
            serde_json::json!({"attach": "tcp://me:canary@h:1", "daemon_args": ["--log-opt", "env=canary"]});
        let identity = Identity { euid: 0, pid: 1 };
        let recording = Recording::new("1", &[], &request, identity, BTreeMap::new());
        let covered =
            serde_json::json!({"attach": "tcp://xx:xxxxxx@h:1", "daemon_args": ["--log-opt", "env=xxxxxx"]});
        assert_eq!(recording.request, covered);
    }

    #[test]
    fn unknown_variable_is_withheld() {
        assert_eq!(variable("DOCKER_DRIVER", "vfs".into()), "vfs");
        assert_eq!(variable("GITHUB_TOKEN", "ghp_1".into()), WITHHELD);
        assert_eq!(variable("HTTP_PROXY", "http://a:b@c".into()), WITHHELD);
    }

    #[test]
    fn content_is_the_same_after_a_round_trip() {
        for bytes in [b"text".to_vec(), vec![0xff, 0, 0x80], Vec::new()] {
            let json = serde_json::to_string(&Content::from(bytes.clone())).unwrap();
            assert_eq!(Vec::from(serde_json::from_str::<Content>(&json).unwrap()), bytes);
        }
        let json = serde_json::to_string(&Content::from(vec![0xff, 0, 0x80])).unwrap();
        assert_eq!(json, r#"{"hex":"ff0080"}"#);
        assert!(serde_json::from_str::<Content>(r#"{"hex":"f"}"#).is_err());
    }

    #[test]
    fn file_of_another_format_is_refused() {
        assert!(Recording::parse("{}").unwrap_err().to_string().contains("another kind"));
        assert!(Recording::parse("nothing").is_err());
        assert!(Recording::parse(r#"{"schema_version": 99}"#).unwrap_err().to_string().contains("99"));
    }
}
