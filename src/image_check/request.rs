//! The container in which an image is checked: the request to the outer daemon, and the archive of this binary.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::LABEL;

/// The path of the binary in the container, which no image is known to use.
pub const PROGRAM: &str = "/.dindcheck";
/// The capabilities instead of `--privileged`.
const CAPABILITIES: &str = "ALL";

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    /// Where the outer daemon has no such image.
    Missing,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How an image is started and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRequest {
    /// Arguments of the image's entrypoint; where empty, the image's own.
    pub args: Vec<String>,
    /// Start dindcheck instead of the image's entrypoint, which then starts dockerd itself.
    pub replace_entrypoint: bool,
    /// `SOURCE:TARGET[:ro]`, or a path for a volume without a name.
    pub volumes: Vec<String>,
    /// The network; where `None`, the outer daemon's default.
    pub network: Option<String>,
    /// `private` or `host`.
    pub cgroupns: Option<String>,
    /// The parent of the container's cgroup.
    pub cgroup_parent: Option<String>,
    /// Variables, `NAME=VALUE`.
    pub env: Vec<String>,
    /// `linux/amd64`.
    pub platform: Option<String>,
    /// When it is pulled.
    pub pull: Pull,
    /// The deadline from the creation of the container to the end of the check.
    pub timeout: Duration,
    /// Options of `dindcheck verify` inside.
    pub check: Vec<String>,
}

impl ImageRequest {
    /// The body of `POST /containers/create`.
    pub fn body(&self, reference: &str, run: &str, privileged: bool) -> Value {
        let (plain, binds): (Vec<_>, Vec<_>) = self.volumes.iter().partition(|volume| !volume.contains(':'));
        let volumes: serde_json::Map<_, _> =
            plain.into_iter().map(|path| (path.clone(), json!({}))).collect();
        let mut host = json!({ "Privileged": privileged, "Binds": binds });
        let mut set = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                host[key] = value.as_str().into();
            }
        };
        set("NetworkMode", self.network.as_ref());
        set("CgroupnsMode", self.cgroupns.as_ref());
        set("CgroupParent", self.cgroup_parent.as_ref());
        if !privileged {
            host["CapAdd"] = json!([CAPABILITIES]);
            host["SecurityOpt"] =
                json!(["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]);
        }
        let mut body = json!({
            "Image": reference, "Env": self.env, "Labels": { LABEL: run }, "Volumes": volumes, "HostConfig": host,
        });
        if self.replace_entrypoint {
            // It only keeps the container running: the check is an exec.
            body["Entrypoint"] =
                json!([PROGRAM, "wait", "--elsewhere", "--attach", "unix:///none", "--timeout", "1day"]);
            body["Cmd"] = json!([]);
        } else if !self.args.is_empty() {
            body["Cmd"] = json!(self.args);
        }
        body
    }
}

/// The head of the archive that the daemon unpacks; the program and [`tail`] follow.
pub fn head(size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let _ = header.set_path(PathBuf::from(PROGRAM.trim_start_matches('/')));
    header.set_size(size);
    header.set_mode(0o755);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The end of the archive: the rest of the program's last block, and two zero blocks.
pub fn tail(size: u64) -> Vec<u8> {
    let open = usize::try_from(size.next_multiple_of(512) - size).unwrap_or_default();
    vec![0; open + 1024]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ImageRequest {
        ImageRequest {
            args: Vec::new(),
            replace_entrypoint: false,
            volumes: vec!["/var/lib/docker".into(), "/a:/b:ro".into()],
            network: Some("none".into()),
            cgroupns: None,
            cgroup_parent: None,
            env: vec!["A=b".into()],
            platform: None,
            pull: Pull::Missing,
            timeout: Duration::from_secs(1),
            check: Vec::new(),
        }
    }

    #[test]
    fn an_image_is_started_with_its_own_entrypoint() {
        let body = request().body("x", "cafe", true);
        assert_eq!((body.get("Entrypoint"), body.get("Cmd")), (None, None));
        assert_eq!(
            body["HostConfig"],
            json!({"Privileged": true, "Binds": ["/a:/b:ro"], "NetworkMode": "none"})
        );
        assert_eq!(
            (&body["Volumes"], &body["Labels"][LABEL]),
            (&json!({"/var/lib/docker": {}}), &json!("cafe"))
        );
        let with_args = ImageRequest { args: vec!["sh".into()], ..request() };
        assert_eq!(with_args.body("x", "cafe", true)["Cmd"], json!(["sh"]));
    }

    #[test]
    fn without_privileged_all_capabilities_are_added() {
        let body = request().body("x", "cafe", false);
        assert_eq!(body["HostConfig"]["CapAdd"], json!(["ALL"]));
    }

    #[test]
    fn the_archive_has_the_binary_as_its_one_entry() {
        let bytes = [head(3), b"abc".to_vec(), tail(3)].concat();
        let mut archive = tar::Archive::new(&bytes[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(
            (entry.path().unwrap().to_str(), entry.header().mode().unwrap()),
            (Some(".dindcheck"), 0o755)
        );
        assert_eq!(bytes.len() % 512, 0);
    }
}
