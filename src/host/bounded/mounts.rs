//! Which paths may lead to a file system that another machine or another program serves.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The mounts of the namespace of this thread.
const MOUNTINFO: &str = "/proc/thread-self/mountinfo";

/// So old may the table be, so that the many small looks of a step cost no system call more.
const AGE: Duration = Duration::from_millis(50);

/// File systems that this kernel serves by itself, from memory or from a disk. Any other may wait.
const LOCAL: &[&str] = &[
    "bcachefs",
    "binfmt_misc",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "mqueue",
    "msdos",
    "nsfs",
    "ntfs3",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
];

/// Files of /proc for which the kernel asks for the memory of the process: it waits where that process waits for a page of
/// a file system that does not answer.
const OF_MEMORY: &[&str] = &["cmdline", "environ", "maps", "smaps", "numa_maps"];
/// Links of /proc that lead to wherever a process is.
const MAGIC: &[&str] = &["root", "cwd", "exe", "fd", "map_files"];

thread_local! {
    /// The mounts as this thread last read them: another thread may be in another mount namespace.
    static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
}

/// What a call on this path may wait for: a mount, or the path itself where a link on the way may lead to a mount that
/// waits. `None` where the kernel answers at once. Where the mounts cannot be read, every path may wait.
pub(super) fn waits_for(path: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = path.components().collect();
    if is_in_proc(&parts) && is_of_another(&parts) {
        return Some(path.to_owned());
    }
    TABLE.with_borrow_mut(|table| {
        if table.as_mut().is_none_or(|table| table.refresh().is_err()) {
            *table = Table::open().ok();
        }
        table.as_ref().map_or_else(|| Some(path.to_owned()), |table| table.waits_for(path, &parts))
    })
}

/// Whether it is a file of another process that needs the memory of that process.
fn is_of_another(parts: &[Component<'_>]) -> bool {
    let named = |at: usize| parts.get(at).and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    let own = ["self", "thread-self"].contains(&named(2));
    !own && parts.len() > 3 && OF_MEMORY.contains(&named(parts.len() - 1))
}

fn is_in_proc(parts: &[Component<'_>]) -> bool {
    parts.get(1).is_some_and(|part| part.as_os_str() == "proc")
}

/// The mounts of a namespace.
struct Table {
    /// poll(2) on it reports a change of the mounts (proc_pid_mountinfo(5)).
    file: File,
    /// When it was asked last.
    asked: Instant,
    mounts: Vec<Mount>,
    /// Whether any mount may wait.
    waits: bool,
    /// Whether one outside of /proc and /sys may, to which a symbolic link of anyone may lead.
    strays: bool,
}

/// A mount point, and whether its file system may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    target: PathBuf,
    waits: bool,
}

impl Table {
    fn open() -> std::io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "the reader itself looks here where it may read")]
        let file = File::open(MOUNTINFO)?;
        let mut table = Self { file, asked: Instant::now(), mounts: Vec::new(), waits: false, strays: false };
        table.read()?;
        Ok(table)
    }

    /// Reads the mounts again where they changed, of which it learns at most [`AGE`] later.
    fn refresh(&mut self) -> std::io::Result<()> {
        if self.asked.elapsed() < AGE {
            return Ok(());
        }
        self.asked = Instant::now();
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)];
        if poll(&mut fds, PollTimeout::ZERO)? > 0 { self.read() } else { Ok(()) }
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        self.mounts = bytes.split(|byte| *byte == b'\n').filter_map(parse).collect();
        self.waits = self.mounts.iter().any(|mount| mount.waits);
        self.strays = self.mounts.iter().any(|mount| mount.waits && !is_of_kernel(&mount.target));
        Ok(())
    }

    fn waits_for(&self, path: &Path, parts: &[Component<'_>]) -> Option<PathBuf> {
        if !self.waits {
            return None;
        }
        let plain = path.is_absolute() && !parts.contains(&Component::ParentDir);
        let holding = self.mounts.iter().filter(|mount| path.starts_with(&mount.target));
        // Of several mounts at one place, the last one hides the others.
        let mount = holding.max_by_key(|mount| mount.target.as_os_str().len());
        if let Some(mount) = mount.filter(|mount| plain && mount.waits) {
            return Some(mount.target.clone());
        }
        (self.strays && !is_kernel_file(path)).then(|| path.to_owned())
    }
}

/// Whether a path is a file of the kernel itself, however it is read: below /proc or /sys, and not through a link to
/// wherever a process is.
pub(in crate::host) fn is_kernel_file(path: &Path) -> bool {
    let plain = |part: &Component<'_>| *part != Component::ParentDir && !is_magic(part);
    is_of_kernel(path) && path.components().all(|part| plain(&part))
}

fn is_of_kernel(path: &Path) -> bool {
    path.starts_with("/proc") || path.starts_with("/sys")
}

fn is_magic(part: &Component<'_>) -> bool {
    part.as_os_str().to_str().is_some_and(|part| MAGIC.contains(&part))
}

/// A line of mountinfo: the fifth field is the mount point, and the type follows ` - `.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let target = fields.nth(4)?;
    let fstype = fields.skip_while(|field| *field != b"-").nth(1)?;
    let local = std::str::from_utf8(fstype).is_ok_and(|fstype| LOCAL.contains(&fstype));
    Some(Mount { target: unescaped(target), waits: !local })
}

/// A path in which blanks and backslashes are written in octal (`\040`).
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let digits =
            after.get(..3).filter(|_| *first == b'\\').and_then(|text| std::str::from_utf8(text).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn table(mounts: &[(&str, bool)]) -> Table {
        #[expect(clippy::disallowed_methods, reason = "any file")]
        let file = File::open(MOUNTINFO).unwrap();
        let mounts: Vec<_> =
            mounts.iter().map(|(target, waits)| Mount { target: target.into(), waits: *waits }).collect();
        let waits = mounts.iter().any(|mount| mount.waits);
        let strays = mounts.iter().any(|mount| mount.waits && !is_of_kernel(&mount.target));
        Table { file, asked: Instant::now(), mounts, waits, strays }
    }

    fn asked(table: &Table, path: &str) -> Option<String> {
        let path = Path::new(path);
        let parts: Vec<_> = path.components().collect();
        table.waits_for(path, &parts).map(|at| at.display().to_string())
    }

    #[test]
    fn without_a_served_mount_no_path_waits() {
        let table = table(&[("/", false), ("/proc", false)]);
        assert_eq!(asked(&table, "/etc/../x"), None);
        assert_eq!(waits_for(Path::new("/proc/self/cmdline")), None);
        assert!(waits_for(Path::new("/proc/1/cmdline")).is_some(), "it needs the memory of process 1");
    }

    #[test]
    fn path_below_a_served_mount_waits_for_it_and_any_other_may_lead_there() {
        let table = table(&[("/", false), ("/proc", false), ("/mnt", true), ("/mnt/disk", false)]);
        assert_eq!(asked(&table, "/mnt/a/b").as_deref(), Some("/mnt"));
        assert_eq!(asked(&table, "/etc/x").as_deref(), Some("/etc/x"), "a link may lead to /mnt");
        assert_eq!(asked(&table, "/mntx").as_deref(), Some("/mntx"));
        assert_eq!(asked(&table, "/mnt/disk/../a").as_deref(), Some("/mnt/disk/../a"));
        assert_eq!(asked(&table, "/proc/7/stat"), None);
        assert_eq!(asked(&table, "/proc/7/root/x").as_deref(), Some("/proc/7/root/x"));
    }

    #[test]
    fn served_file_of_proc_slows_nothing_but_itself() {
        let table = table(&[("/", false), ("/proc", false), ("/proc/meminfo", true)]);
        assert_eq!(asked(&table, "/proc/meminfo").as_deref(), Some("/proc/meminfo"));
        assert_eq!((asked(&table, "/etc/x"), asked(&table, "/proc/stat")), (None, None));
    }

    #[test]
    fn mount_point_may_hold_blanks_and_any_byte() {
        let line = b"36 35 0:9 / /a\\040b\xff rw,noatime shared:1 - fuse.sshfs me@there rw";
        let mount = parse(line).unwrap();
        assert_eq!((mount.target.as_os_str().as_bytes(), mount.waits), (&b"/a b\xff"[..], true));
        assert!(!parse(b"1 0 8:1 / / rw - ext4 /dev/vda rw").unwrap().waits);
        assert_eq!(parse(b"1 0 8:1 /"), None);
    }
}
