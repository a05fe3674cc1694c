//! What is mounted in a world: what Docker mounts in a privileged container, with the same options.

use std::fs::FileType;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, mknod, umask};

use super::cgroups::Cgroups;

const KERNEL_FS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Nothing that is mounted from here on reaches the machine.
pub(crate) fn detach() -> anyhow::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("make / private")
}

/// An overlay like Docker's: the tree and the program under test, with a layer to write to.
pub(crate) fn root(dir: &Path, tree: &Path, tools: &Path) -> anyhow::Result<PathBuf> {
    let root = dir.join("root");
    for sub in ["root", "upper", "work", "data", "opt"] {
        std::fs::create_dir_all(dir.join(sub)).with_context(|| format!("make {}/{sub}", dir.display()))?;
    }
    std::fs::set_permissions(dir.join("opt"), std::fs::Permissions::from_mode(0o1777))?;
    let shown = |path: PathBuf| path.display().to_string();
    let layers = format!(
        "lowerdir={}:{},upperdir={},workdir={}",
        tools.display(),
        tree.display(),
        shown(dir.join("upper")),
        shown(dir.join("work"))
    );
    made("overlay", "overlay", &root, MsFlags::empty(), &layers)?;
    Ok(root)
}

/// Everything below the root but /proc.
pub(crate) fn fill(root: &Path, dir: &Path, cgroups: &Cgroups) -> anyhow::Result<()> {
    device_nodes(root)?;
    let sys = root.join("sys");
    made("sysfs", "sysfs", &sys, KERNEL_FS, "")?;
    let ground = sys.join("fs/cgroup");
    made("tmpfs", "tmpfs", &ground, KERNEL_FS, "mode=755")?;
    for (own, machine) in cgroups.shown() {
        let place = ground.join(machine.file_name().context("a hierarchy's name")?);
        std::fs::create_dir(&place)?;
        bind(&own, &place, KERNEL_FS)?;
    }
    bind(&dir.join("data"), &root.join("var/lib/docker"), MsFlags::empty())?;
    bind(&dir.join("opt"), &root.join("opt"), MsFlags::empty())?;
    etc(root)
}

/// /dev with the machine's nodes, but for its disks.
fn device_nodes(root: &Path) -> anyhow::Result<()> {
    let dev = root.join("dev");
    made("tmpfs", "tmpfs", &dev, MsFlags::MS_NOSUID, "size=65536k,mode=755")?;
    let before = umask(Mode::empty());
    let nodes = copy_nodes(Path::new("/dev"), &dev).context("device nodes");
    umask(before);
    nodes?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, dev.join(name)).with_context(|| format!("link /dev/{name}"))?;
    }
    for sub in ["pts", "shm", "mqueue"] {
        std::fs::create_dir(dev.join(sub))?;
    }
    made(
        "devpts",
        "devpts",
        &dev.join("pts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "newinstance,gid=5,mode=620,ptmxmode=666",
    )?;
    made("mqueue", "mqueue", &dev.join("mqueue"), KERNEL_FS, "")?;
    made("tmpfs", "shm", &dev.join("shm"), KERNEL_FS, "mode=1777,size=65536k")
}

/// Makes the nodes of one directory, and of /dev/net.
fn copy_nodes(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let (path, name) = {
            let entry = entry?;
            (entry.path(), entry.file_name())
        };
        let meta = std::fs::symlink_metadata(&path)?;
        if name == "net" {
            std::fs::create_dir(to.join(&name))?;
            copy_nodes(&path, &to.join(&name))?;
        } else if is_node(meta.file_type(), &name.to_string_lossy()) {
            let kind = if meta.file_type().is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            mknod(&to.join(&name), kind, Mode::from_bits_truncate(meta.mode()), meta.rdev())?;
        }
    }
    Ok(())
}

fn is_node(kind: FileType, name: &str) -> bool {
    (kind.is_char_device() && name != "ptmx" && name != "console")
        || (kind.is_block_device() && name.starts_with("loop"))
}

/// The files that Docker writes into a container.
fn etc(root: &Path) -> anyhow::Result<()> {
    let files = [
        ("etc/resolv.conf", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
        ("etc/hostname", "sandbox\n"),
        ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n172.17.0.2\tsandbox\n"),
        (".dockerenv", ""),
    ];
    for (path, text) in files {
        std::fs::write(root.join(path), text).with_context(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Makes it the root of this thread, and leaves the machine's behind.
pub(crate) fn enter(root: &Path) -> anyhow::Result<()> {
    std::env::set_current_dir(root).context("enter the root")?;
    nix::unistd::pivot_root(".", ".").context("pivot_root")?;
    umount2(".", MntFlags::MNT_DETACH).context("leave the machine's root")?;
    std::env::set_current_dir("/").context("enter /")
}

fn bind(from: &Path, to: &Path, flags: MsFlags) -> anyhow::Result<()> {
    let call = |flags| mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | flags, None::<&str>);
    call(MsFlags::empty()).with_context(|| format!("bind {} to {}", from.display(), to.display()))?;
    if !flags.is_empty() {
        call(MsFlags::MS_REMOUNT | flags).with_context(|| format!("set the options of {}", to.display()))?;
    }
    Ok(())
}

fn made(fstype: &str, source: &str, target: &Path, flags: MsFlags, data: &str) -> anyhow::Result<()> {
    mount(Some(source), target, Some(fstype), flags, Some(data))
        .with_context(|| format!("mount {fstype} on {}", target.display()))
}
