//! The programs that dockerd starts, by version and settings, and what breaks without each.

use std::path::PathBuf;

use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{Containerd, Firewall, Settings};
use crate::facts::programs::{self, SHIM_VERSION, VERSION};
use crate::facts::version::Version;
use crate::finding::Level;
use crate::host::SystemReader;

/// A program that dockerd starts with these settings.
pub(super) struct NeededProgram {
    /// Its role, the key of the evidence.
    pub(super) role: &'static str,
    /// Its name, or its path if an option gives it.
    pub(super) name: String,
    /// The arguments that print its version.
    pub(super) args: &'static [&'static str],
    /// Whether it is run. Of the others only the file is checked: a run costs milliseconds of CPU, and their versions add
    /// nothing (containerd has the version of its shim).
    pub(super) run: bool,
    pub(super) dirs: Vec<PathBuf>,
    /// The level of the finding if it is missing.
    pub(super) level: Level,
    pub(super) cause: CauseId,
    /// What does not work without it.
    pub(super) breaks: &'static str,
}

/// The programs that this version starts with these settings (the defaults if they are unknown).
pub(super) fn needs(
    host: &dyn SystemReader,
    version: Version,
    settings: Option<&Settings>,
) -> Vec<NeededProgram> {
    let path = programs::path_dirs(host);
    let need = |role: &'static str, level, cause, breaks| NeededProgram {
        role,
        name: role.to_owned(),
        args: VERSION,
        run: true,
        dirs: path.clone(),
        level,
        cause,
        breaks,
    };
    let asks = |pick: fn(&Settings) -> bool, default| settings.map_or(default, pick);
    let mut needs = Vec::new();
    if asks(|s| s.containerd == Containerd::Managed, true) {
        needs.push(NeededProgram {
            run: false,
            ..need("containerd", Level::Fail, causes::CONTAINERD_PROGRAM_MISSING, "dockerd does not start")
        });
        needs.push(NeededProgram {
            args: SHIM_VERSION,
            ..need(
                "containerd-shim-runc-v2",
                Level::Fail,
                causes::CONTAINERD_SHIM_PROGRAM_MISSING,
                "no container starts",
            )
        });
    }
    needs.push(need("runc", Level::Fail, causes::RUNC_PROGRAM_MISSING, "dockerd does not start"));
    if asks(|s| s.userland_proxy, true) {
        let given = settings.and_then(|s| s.values.text("userland-proxy-path"));
        let name = given.unwrap_or("docker-proxy").to_owned();
        let dirs = programs::helper_dirs(host, "docker-proxy", version);
        // Measured: 26.1.5 and 28.5.2 exit at once, 20.10.24 fails at the first published port.
        let breaks = if version >= Version::new(26, 0, 0) {
            "dockerd does not start"
        } else {
            "no port can be published"
        };
        needs.push(NeededProgram {
            name,
            dirs,
            run: false,
            ..need("docker-proxy", Level::Fail, causes::DOCKER_PROXY_PROGRAM_MISSING, breaks)
        });
    }
    let name = settings.and_then(|s| s.values.text("init-path")).unwrap_or("docker-init").to_owned();
    let dirs = programs::helper_dirs(host, "docker-init", version);
    let (level, breaks) = match settings.and_then(|s| s.values.switch("init")) {
        Some(true) => (Level::Fail, "no container starts, since the option init is on"),
        _ => (Level::Warn, "containers with --init do not start"),
    };
    needs.push(NeededProgram {
        name,
        dirs,
        run: false,
        ..need("docker-init", level, causes::DOCKER_INIT_PROGRAM_MISSING, breaks)
    });
    let nftables = asks(|s| s.firewall == Firewall::Nftables, false);
    if asks(|s| s.iptables, true) && nftables {
        needs.push(need("nft", Level::Fail, causes::NFT_TOOL_MISSING, "dockerd does not start"));
    } else if asks(|s| s.iptables, true) {
        needs.push(need("iptables", Level::Fail, causes::IPTABLES_PROGRAM_MISSING, "dockerd does not start"));
    }
    if asks(|s| s.ip6tables, version >= Version::new(27, 0, 0)) && !nftables {
        // Usually the same file as iptables under another name.
        let breaks = "containers have no IPv6 rules";
        needs.push(NeededProgram {
            run: false,
            ..need("ip6tables", Level::Warn, causes::IPTABLES_PROGRAM_MISSING, breaks)
        });
    }
    if settings.and_then(|s| s.store.driver()) == Some("fuse-overlayfs") {
        let breaks = "the storage driver does not start";
        let cause = causes::FUSE_OVERLAYFS_PROGRAM_MISSING;
        needs.push(NeededProgram { run: false, ..need("fuse-overlayfs", Level::Fail, cause, breaks) });
    }
    needs
}
