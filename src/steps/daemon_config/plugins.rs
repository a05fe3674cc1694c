//! Finds plugins by name as dockerd does, and checks the authorization plugins, without which it answers no request.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::values::refused;
use crate::diagnosis::causes;
use crate::facts::daemon::given::given_member;
use crate::facts::daemon::{Daemon, Settings};
use crate::finding::Finding;
use crate::host::{HostResult, SystemReader};

/// Where plugins that are processes of their own have their sockets, and files that name them (moby pkg/plugins,
/// discovery.go).
const SOCKETS: &str = "/run/docker/plugins";
const SPECS: &[&str] = &["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// What was found of a plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Something listens at its socket.
    Listens,
    /// A file names its address, or dockerd starts it itself.
    Named(PathBuf),
    /// A socket at which nothing listens.
    Dead(PathBuf),
    /// Nothing.
    Nowhere,
}

impl Found {
    /// Whether it may work, as far as is known before dockerd is started.
    pub(super) fn may_work(&self) -> bool {
        matches!(self, Self::Listens | Self::Named(_))
    }
}

/// Looks for a plugin.
pub(super) fn find(host: &dyn SystemReader, settings: &Settings, name: &str) -> HostResult<Found> {
    if let Some(file) = named(host, settings, name)? {
        return Ok(Found::Named(file));
    }
    let dir = Path::new(SOCKETS);
    for socket in [dir.join(format!("{name}.sock")), dir.join(name).join(format!("{name}.sock"))] {
        match host.connect(&socket) {
            Ok(()) => return Ok(Found::Listens),
            Err(error) if error.is_absent() || error.errno() == Errno::ENODATA => {}
            Err(error) if error.errno() == Errno::ECONNREFUSED => return Ok(Found::Dead(socket)),
            Err(error) => return Err(error),
        }
    }
    Ok(Found::Nowhere)
}

/// A file that names the address of a plugin, or the directory of those that dockerd starts itself: their names are in the
/// database of dockerd.
fn named(host: &dyn SystemReader, settings: &Settings, name: &str) -> HostResult<Option<PathBuf>> {
    for dir in SPECS {
        for end in ["spec", "json"] {
            let file = format!("{name}.{end}");
            for path in [Path::new(dir).join(&file), Path::new(dir).join(name).join(&file)] {
                if host.exists(&path)? {
                    return Ok(Some(path));
                }
            }
        }
    }
    let installed = settings.data_root.join("plugins");
    let names = match host.list(&installed) {
        Err(error) if error.is_absent() => Vec::new(),
        names => names?,
    };
    // Besides one directory a plugin, dockerd keeps `storage` and `tmp` there.
    let is_plugin = |name: &std::ffi::OsString| name.len() == 64;
    Ok(names.iter().any(is_plugin).then_some(installed))
}

/// The authorization plugins: dockerd asks each of them for every request, `_ping` included.
pub(super) fn judge(host: &dyn SystemReader, daemon: &Daemon) -> HostResult<Vec<Finding>> {
    let key = "authorization-plugins";
    let mut findings = Vec::new();
    for name in daemon.settings.values.list(key) {
        let why = match find(host, &daemon.settings, name)? {
            Found::Listens | Found::Named(_) => continue,
            Found::Dead(socket) => format!("nothing listens at its socket {}", socket.display()),
            Found::Nowhere => format!("it has no socket in {SOCKETS}, and no file in {}", SPECS.join(" or ")),
        };
        let what = format!(
            "the authorization plugin {name} does not run: {why}; dockerd answers no request without it"
        );
        let cause = Some(causes::AUTHORIZATION_PLUGIN_UNAVAILABLE);
        let hint = format!("start the plugin before dockerd; or {}", given_member(daemon, key, name).undo);
        findings.push(Finding { cause, ..refused(daemon, key, what) }.with("plugin", name).hint(hint));
    }
    Ok(findings)
}
