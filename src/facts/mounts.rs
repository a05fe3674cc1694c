//! The mounts of this mount namespace, from /proc/self/mountinfo (proc_pid_mountinfo(5)).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::mount::MsFlags;
use procfs::FromRead;
use procfs::process::{MountInfos, MountOptFields};

use crate::host::SystemReader;

/// The table of mounts.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The mount ID.
    pub id: i32,
    /// The ID of the mount on which it is mounted.
    pub parent: i32,
    /// `major:minor` of the file system.
    pub device: String,
    /// The directory of the file system that is mounted.
    pub root: PathBuf,
    /// The mount point.
    pub target: PathBuf,
    /// File system type.
    pub fstype: String,
    /// The mount source: a device, or any text.
    pub source: String,
    /// Options of this mount: `ro`, `nosuid`, ...
    pub options: BTreeSet<String>,
    /// Options of the superblock, which every mount of it shares: `ro`, `cpu`, `name=systemd`, `upperdir=...`.
    pub super_options: BTreeSet<String>,
    /// It propagates to a peer group.
    pub shared: bool,
    /// It receives from a peer group.
    pub slave: bool,
}

/// Every mount of this namespace, in mount order; a later one may hide earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts(pub Vec<Mount>);

impl Mount {
    /// Read-only by the per-mount flag, which a bind remount clears.
    pub fn is_read_only(&self) -> bool {
        self.options.contains("ro")
    }

    /// Read-only by the superblock, which all mounts of the file system share.
    pub fn is_super_read_only(&self) -> bool {
        self.super_options.contains("ro")
    }

    /// The per-mount `MS_*` bits without `MS_RDONLY`, which a bind remount must repeat to keep them.
    pub fn kept_flags(&self) -> u64 {
        let known = [
            ("nosuid", MsFlags::MS_NOSUID),
            ("nodev", MsFlags::MS_NODEV),
            ("noexec", MsFlags::MS_NOEXEC),
            ("noatime", MsFlags::MS_NOATIME),
            ("nodiratime", MsFlags::MS_NODIRATIME),
            ("relatime", MsFlags::MS_RELATIME),
        ];
        known.iter().filter(|(word, _)| self.options.contains(*word)).map(|(_, flag)| flag.bits()).sum()
    }
}

impl Mounts {
    /// Reads /proc/self/mountinfo. An error where it cannot be read or parsed.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        Self::parse(&host.read(Path::new(MOUNTINFO))?)
            .with_context(|| format!("{MOUNTINFO} is not as expected"))
    }

    /// Parses the bytes of a mountinfo file. An error where a line is malformed.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let infos = MountInfos::from_read(bytes)
            .map_err(|_| anyhow::anyhow!("a line has a form that is not known"))?;
        Ok(Self(infos.0.into_iter().map(Mount::from).collect()))
    }

    /// The topmost mount at exactly this path, if it is a mount point.
    pub fn at(&self, target: &Path) -> Option<&Mount> {
        self.holding(target).filter(|mount| mount.target == target)
    }

    /// The mount that holds a path, resolved as the kernel does: from the root, onto the topmost mount at each component.
    /// A mount that is hidden by a later one above it is never reached.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        let mut prefixes: Vec<&Path> = path.ancestors().collect();
        prefixes.reverse();
        prefixes.into_iter().fold(None, |mut current, step| {
            while let Some(next) = self.on_top_of(current, step) {
                current = Some(next);
            }
            current
        })
    }

    /// The mount whose parent is `under`, at this path. A mount whose parent is missing from the table (it is outside of
    /// our root directory) counts as a mount without parent.
    fn on_top_of(&self, under: Option<&Mount>, path: &Path) -> Option<&Mount> {
        let known = |id: i32| self.0.iter().any(|mount| mount.id == id);
        self.0.iter().find(|mount| {
            let lies = match under {
                Some(under) => mount.parent == under.id && mount.id != under.id,
                None => !known(mount.parent) || mount.parent == mount.id,
            };
            mount.target == path && lies
        })
    }

    /// Whether a mount can be reached by its own path.
    pub fn is_visible(&self, mount: &Mount) -> bool {
        self.at(&mount.target).is_some_and(|seen| seen.id == mount.id)
    }

    /// Visible mounts at or below a path.
    pub fn below<'m>(&'m self, path: &'m Path) -> impl Iterator<Item = &'m Mount> {
        self.0.iter().filter(move |mount| mount.target.starts_with(path) && self.is_visible(mount))
    }
}

impl From<procfs::process::MountInfo> for Mount {
    fn from(info: procfs::process::MountInfo) -> Self {
        let as_text = |map: std::collections::HashMap<String, Option<String>>| {
            map.into_iter().map(|(key, value)| match value {
                Some(value) => unescape(Path::new(&format!("{key}={value}"))).to_string_lossy().into_owned(),
                None => key,
            })
        };
        Self {
            id: info.mnt_id,
            parent: info.pid,
            device: info.majmin,
            root: unescape(Path::new(&info.root)),
            target: unescape(&info.mount_point),
            fstype: info.fs_type,
            source: info.mount_source.unwrap_or_default(),
            options: as_text(info.mount_options).collect(),
            super_options: as_text(info.super_options).collect(),
            shared: info.opt_fields.iter().any(|field| matches!(field, MountOptFields::Shared(_))),
            slave: info.opt_fields.iter().any(|field| matches!(field, MountOptFields::Master(_))),
        }
    }
}

/// The kernel writes space, tab, newline and backslash as `\ooo` (fs/proc_namespace.c, `mangle`).
fn unescape(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\').and_then(octal);
        plain.push(octal.unwrap_or(bytes[at]));
        at += if octal.is_some() { 4 } else { 1 };
    }
    PathBuf::from(OsString::from_vec(plain))
}

/// Three octal digits.
fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"\
20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 20 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 /docker/ab /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
40 20 0:38 / /mnt/a\\040b rw master:3 - cgroup cgroup rw,xattr,name=systemd
";

    #[test]
    fn targets_roots_and_options_are_read() {
        let mounts = Mounts::parse(SAMPLE).unwrap();
        let cpu = mounts.at(Path::new("/sys/fs/cgroup/cpu,cpuacct")).unwrap();
        assert_eq!(cpu.root, Path::new("/docker/ab"));
        assert!(cpu.super_options.contains("cpuacct") && !cpu.is_read_only());
        let cgroup = mounts.at(Path::new("/sys/fs/cgroup")).unwrap();
        assert!(cgroup.is_read_only() && !cgroup.is_super_read_only());
        let kept = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RELATIME;
        assert_eq!(cgroup.kept_flags(), kept.bits());
    }

    #[test]
    fn escaped_path_and_named_hierarchy_are_read() {
        let mounts = Mounts::parse(SAMPLE).unwrap();
        let named = mounts.at(Path::new("/mnt/a b")).unwrap();
        assert!(named.super_options.contains("name=systemd") && named.slave && !named.shared);
    }

    #[test]
    fn deepest_mount_holds_a_path() {
        let mounts = Mounts::parse(SAMPLE).unwrap();
        assert_eq!(mounts.holding(Path::new("/sys/fs/cgroup/cpu,cpuacct/x")).unwrap().id, 33);
        assert_eq!(mounts.holding(Path::new("/var/lib/docker")).unwrap().id, 20);
    }

    #[test]
    fn mount_below_a_later_mount_is_hidden() {
        let over = "60 20 0:44 / /sys/fs rw - tmpfs none rw\n";
        let mounts = Mounts::parse(&[SAMPLE, over.as_bytes()].concat()).unwrap();
        let cpu = mounts.0.iter().find(|mount| mount.id == 33).unwrap();
        assert!(!mounts.is_visible(cpu));
        assert_eq!(mounts.at(Path::new("/sys/fs/cgroup/cpu,cpuacct")), None);
        assert_eq!(mounts.holding(Path::new("/sys/fs/cgroup")).unwrap().id, 60);
        assert_eq!(mounts.below(Path::new("/sys")).map(|mount| mount.id).collect::<Vec<_>>(), [60]);
    }

    #[test]
    fn malformed_table_is_an_error() {
        assert!(Mounts::parse(b"not a mount table\n").is_err());
    }
}
