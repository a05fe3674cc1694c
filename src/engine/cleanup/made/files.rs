//! Files and directories that dockerd leaves outside its data root.
//!
//! They are its exec root and that of its containerd, its pid file and socket (after SIGKILL), the key of 20.10 in
//! /etc/docker, the directory of containerd's `opt` plug-in, the lock of legacy iptables, and temporary files of containerd
//! and its shims.

use std::path::{Path, PathBuf};

use super::{Node, Removal, Thing, names_in};
use crate::engine::cleanup::paths::real;
use crate::facts::daemon::Layout;
use crate::facts::daemon::settings::SYSTEM_CONTAINERD;
use crate::facts::endpoint::Endpoint;
use crate::finding::quoted;
use crate::host::{HostError, HostResult, SystemReader, SystemWriter};

/// A directory with more entries than this is not the one that dockerd writes to.
const MAX_ENTRIES: usize = 20_000;
/// The lock of legacy iptables, which every program that uses it shares.
const XTABLES_LOCK: &str = "/run/xtables.lock";
/// Where containerd writes its stacks at SIGUSR1 (containerd `cmd/containerd/command/main_unix.go`, `dumpStacks`), and its
/// shims the process of an exec (go-runc, `Exec`).
const TEMPORARY: &str = "/tmp";
/// The default exec root, with the directory of plug-ins.
const PLUGINS: &str = "/run/docker";
/// Directories in the exec root with everything in them, and files. Plugins of other makers listen in `plugins`.
const EXEC_ROOT: &[&str] =
    &["containerd", "netns", "libnetwork", "swarm", "metrics.sock", "unmount-on-shutdown"];

/// A directory that dockerd makes, and which paths in it are its own.
struct Root {
    path: PathBuf,
    is_dockers: fn(&Path) -> bool,
}

/// The files with names that dockerd gives, a directory before what is in it.
pub(super) fn look(host: &dyn SystemReader, layout: &Layout) -> HostResult<Vec<Thing>> {
    let mut found = Vec::new();
    for root in roots(host, layout)? {
        let path = real(host, &root.path)?;
        if let Some(node) = Node::at(host, &path)? {
            let root = Root { path, ..root };
            collect(host, &root, node, &mut found)?;
        }
    }
    for name in names_in(host, Path::new(TEMPORARY))? {
        if is_temporary(&name.to_string_lossy()) {
            found.extend(Node::at(host, &Path::new(TEMPORARY).join(name))?.map(Thing::File));
        }
    }
    Ok(found)
}

/// Whether it is a temporary file of a containerd or a shim. Those of any other have the same names, and lie in the same
/// directory.
pub(super) fn is_anybodys(path: &Path) -> bool {
    path.parent() == Some(Path::new(TEMPORARY))
}

/// The pid of the containerd that wrote its stacks here.
pub(super) fn writer(path: &Path) -> Option<i32> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("containerd.")?.strip_suffix(".stacks.log")?.parse().ok()
}

fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.strip_prefix("runc-process").is_some_and(is_number) || writer(Path::new(name)).is_some()
}

fn roots(host: &dyn SystemReader, layout: &Layout) -> HostResult<Vec<Root>> {
    let root = |path: &Path, is_dockers| Root { path: path.to_owned(), is_dockers };
    let mut roots = vec![
        root(&layout.exec_root, is_in_exec_root),
        root(&layout.pidfile, |_| false),
        root(Path::new("/etc/docker"), |path| path == Path::new("key.json")),
        root(Path::new("/opt/containerd"), |path| path == Path::new("bin") || path == Path::new("lib")),
        root(Path::new(XTABLES_LOCK), |_| false),
    ];
    if let Endpoint::Unix(socket) = &layout.endpoint {
        roots.push(root(socket, |_| false));
    }
    // Whatever its exec root is, dockerd looks for plug-ins here (moby `pkg/plugins/discovery_unix.go`).
    if real(host, &layout.exec_root)? != Path::new(PLUGINS) {
        roots.push(root(Path::new(PLUGINS), |path| path == Path::new("plugins")));
    }
    // What lies beside a containerd that is not dockerd's own is not ours.
    if layout.containerd.is_none() && !host.exists(Path::new(SYSTEM_CONTAINERD))? {
        roots.push(root(Path::new("/run/containerd"), is_socket_of_shim));
    }
    // An empty path is no file, as of a daemon without a pid file.
    roots.retain(|root| !root.path.as_os_str().is_empty());
    Ok(roots)
}

/// Whether a path in the exec root is dockerd's.
fn is_in_exec_root(path: &Path) -> bool {
    let first = path.iter().next().unwrap_or_default().to_string_lossy();
    path == Path::new("plugins") || first.starts_with("runtime-") || EXEC_ROOT.contains(&first.as_ref())
}

/// Whether it is the directory of the shims' sockets, or one of them: a SHA-256 in hexadecimal digits.
fn is_socket_of_shim(path: &Path) -> bool {
    let is_digest = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    path == Path::new("s") || path.strip_prefix("s").is_ok_and(|name| is_digest(&name.to_string_lossy()))
}

/// Collects a node and what is dockerd's in it, without following links and without leaving its file system: what is
/// mounted there is a container's.
fn collect(host: &dyn SystemReader, root: &Root, node: Node, found: &mut Vec<Thing>) -> HostResult<()> {
    if found.len() >= MAX_ENTRIES {
        return Err(HostError::new("list all files in", &root.path, nix::errno::Errno::EFBIG));
    }
    let (path, dev, dir) = (node.path.clone(), node.dev, node.dir);
    found.push(Thing::File(node));
    for name in if dir { names_in(host, &path)? } else { Vec::new() } {
        let inside = path.join(name);
        let is_dockers = inside.strip_prefix(&root.path).is_ok_and(root.is_dockers);
        if let Some(node) = Node::at(host, &inside)?.filter(|node| is_dockers && node.dev == dev) {
            collect(host, root, node, found)?;
        }
    }
    Ok(())
}

/// Removes files, and directories that are empty then.
pub(super) fn remove(
    ours: &[Thing],
    host: &dyn SystemReader,
    machine: &dyn SystemWriter,
    done: &mut Removal,
) {
    let mut gone: Vec<&Path> = Vec::new();
    for thing in ours.iter().rev() {
        let Thing::File(node) = thing else { continue };
        match remove_one(host, machine, node) {
            Err(error) if !error.is_absent() => {
                let program = if node.dir { "rmdir" } else { "rm" };
                let command = format!("{program} {}", quoted(&node.path));
                done.note(node.path.display().to_string(), &command, Err(error));
            }
            _ => gone.push(&node.path),
        }
    }
    gone.reverse();
    let mut above: Option<&Path> = None;
    for path in gone {
        if above.is_none_or(|above| !path.starts_with(above)) {
            done.removed.push(path.display().to_string());
            above = Some(path);
        }
    }
}

fn remove_one(host: &dyn SystemReader, machine: &dyn SystemWriter, node: &Node) -> HostResult<()> {
    // It may have been replaced since it was looked at.
    if Node::at(host, &node.path)?.as_ref() != Some(node) {
        return Err(HostError::new("find the same file at", &node.path, nix::errno::Errno::ESTALE));
    }
    match node.dir {
        true => machine.remove_dir(&node.path),
        false if node.path == Path::new(XTABLES_LOCK) && host.is_locked(&node.path)? => {
            Err(HostError::new("remove the lock that a program holds,", &node.path, nix::errno::Errno::EBUSY))
        }
        false => machine.remove_file(&node.path),
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::host::fake::Fake;

    fn machine() -> Fake {
        Fake::new().link("/var/run", "/run").file("/etc/docker/daemon.json", "{}")
    }

    fn found(host: &Fake, args: &[&str]) -> Vec<Thing> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        look(host, &Layout::read(host, &args)).unwrap()
    }

    fn removed(ours: &[Thing], host: &Fake) -> Removal {
        let mut done = Removal::default();
        remove(ours, host, host, &mut done);
        done
    }

    #[test]
    fn only_names_that_dockerd_gives_are_found() {
        let host = machine();
        let socket = "0123456789abcdef".repeat(4);
        for path in [
            "/run/docker/containerd/containerd.pid",
            "/run/docker/plugins/theirs.sock",
            "/run/docker/theirs",
            "/run/docker.pid",
            "/run/containerd/io.containerd.grpc.v1.cri/theirs",
            &format!("/run/containerd/s/{socket}"),
            "/run/containerd/s/theirs",
            "/etc/docker/key.json",
            "/etc/docker/certs.d/theirs/ca.crt",
            "/opt/containerd/bin/theirs",
        ] {
            host.set(path, "");
        }
        let found: Vec<_> = found(&host, &[]).iter().map(ToString::to_string).collect();
        assert!(
            !found.iter().any(|path| path.contains("theirs") || path.contains("daemon.json")),
            "{found:?}"
        );
        for path in ["/run/docker/containerd/containerd.pid", "/run/docker.pid", "/etc/docker/key.json"] {
            assert!(found.iter().any(|known| known == path), "{path} in {found:?}");
        }
        assert!(found.contains(&format!("/run/containerd/s/{socket}")));
    }

    #[test]
    fn temporary_files_of_containerd_are_found_among_those_of_others() {
        let host = machine();
        let known = ["/tmp/containerd.123.stacks.log", "/tmp/runc-process3141592"];
        let others =
            ["/tmp/containerd.log", "/tmp/runc-process", "/tmp/runc-process12.old", "/tmp/x/runc-process1"];
        for path in known.iter().chain(&others) {
            host.set(path, "");
        }
        let found: Vec<_> = found(&host, &[])
            .iter()
            .map(ToString::to_string)
            .filter(|path| path.starts_with("/tmp"))
            .collect();
        assert_eq!(found, known);
    }

    #[test]
    fn a_directory_with_something_else_in_it_stays() {
        let host = machine().file("/run/docker/containerd/x", "").file("/run/docker/plugins/theirs.sock", "");
        let done = removed(&found(&host, &[]), &host);
        assert!(host.exists(Path::new("/run/docker/plugins/theirs.sock")).unwrap());
        assert!(!host.exists(Path::new("/run/docker/containerd")).unwrap());
        assert!(done.left.iter().any(|left| left.contains("`rmdir /run/docker`")), "{done:?}");
    }

    #[test]
    fn a_file_that_was_replaced_stays() {
        let host = machine().file("/run/docker.pid", "7");
        let ours = found(&host, &[]);
        let host = host.stat_of("/run/docker.pid", |stat| stat.ino += 1);
        let done = removed(&ours, &host);
        assert!(host.exists(Path::new("/run/docker.pid")).unwrap());
        assert!(done.left.iter().any(|left| left.contains("ESTALE")), "{done:?}");
    }

    #[test]
    fn a_daemon_without_a_pid_file_does_not_make_the_root_directory_its_own() {
        let host = machine().file("/theirs", "");
        assert!(found(&host, &["--pidfile="]).iter().all(|thing| thing.to_string() != "/"));
    }

    #[test]
    fn the_directory_of_a_system_containerd_is_left_alone() {
        let host = machine().file(SYSTEM_CONTAINERD, "").dir("/run/containerd/s");
        assert!(found(&host, &[]).iter().all(|thing| thing.to_string() != "/run/containerd/s"));
    }

    #[test]
    fn a_directory_that_cannot_be_listed_is_an_error() {
        let host = machine().dir("/run/docker").fails("list", "/run/docker", Errno::EIO, None);
        assert!(look(&host, &Layout::read(&host, &[])).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_removed_is_reported() {
        let host = machine().file("/run/docker.pid", "7").fails(
            "remove_file",
            "/run/docker.pid",
            Errno::EROFS,
            None,
        );
        let done = removed(&found(&host, &[]), &host);
        assert!(done.left.iter().any(|left| left.contains("EROFS")), "{done:?}");
    }
}
