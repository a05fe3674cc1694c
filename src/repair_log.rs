//! How repairs change the machine, and how each change is undone.
//!
//! A repair acts through a [`RepairLog`], which records every lasting change together with its undo *after* it succeeded.
//! The runner undoes a repair that fails half-way, in reverse order.

use crate::finding::Change;
use crate::finding::Undo;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::MsFlags;

use crate::finding::Reach;
use crate::host::{HostError, HostResult, MountCall, Ran, SystemWriter};

/// `nosuid,nodev,noexec`: what engines mount proc, sysfs and cgroup with (OCI runtime-spec, default mounts).
pub const KERNEL_FS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Makes the changes of one repair and records them.
pub struct RepairLog<'a> {
    machine: &'a dyn SystemWriter,
    changes: Vec<Change>,
    reach: Reach,
}

impl<'a> RepairLog<'a> {
    /// An empty log of changes to this machine.
    pub fn new(machine: &'a dyn SystemWriter) -> Self {
        Self { machine, changes: Vec::new(), reach: Reach::Container }
    }

    /// The machine itself, for temporary changes that the repair undoes before it ends.
    pub fn scaffold(&self) -> &'a dyn SystemWriter {
        self.machine
    }

    /// The changes so far, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Records that the repair reaches this far. The repair has checked that the plan permits it.
    pub fn reaches(&mut self, reach: Reach) {
        self.reach = self.reach.max(reach);
    }

    /// The farthest reach that was recorded.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The changes, in order.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    /// Records a change that was made by other means.
    pub fn note(&mut self, did: impl Into<String>, undo: Undo) {
        self.changes.push(Change { did: did.into(), undo });
    }

    /// Mounts a file system, with the flags that container engines give kernel file systems.
    pub fn mount(&mut self, fstype: &str, source: &str, target: &Path, data: &str) -> HostResult<()> {
        self.machine.mount(&MountCall {
            source: Some(source.to_owned()),
            target: target.to_owned(),
            fstype: Some(fstype.to_owned()),
            flags: KERNEL_FS.bits(),
            data: (!data.is_empty()).then(|| data.to_owned()),
        })?;
        self.note(format!("mounted {fstype} on {}", target.display()), Undo::Unmount(target.to_owned()));
        Ok(())
    }

    /// Bind-mounts a directory or file on another path.
    pub fn bind(&mut self, source: &Path, target: &Path, did: impl Into<String>) -> HostResult<()> {
        self.machine.mount(&MountCall {
            source: Some(source.to_string_lossy().into_owned()),
            target: target.to_owned(),
            fstype: None,
            flags: MsFlags::MS_BIND.bits(),
            data: None,
        })?;
        self.note(did, Undo::Unmount(target.to_owned()));
        Ok(())
    }

    /// Makes one mount writable by a bind remount: only the per-mount flag changes, never the superblock that
    /// the host shares. `kept` are the other per-mount `MS_*` bits, which a remount would drop otherwise.
    pub fn remount_writable(&mut self, target: &Path, kept: u64) -> HostResult<()> {
        self.machine.mount(&remount(target, kept))?;
        self.note(
            format!("made the mount of {} writable", target.display()),
            Undo::Remount(target.to_owned(), kept | MsFlags::MS_RDONLY.bits()),
        );
        Ok(())
    }

    /// Creates a directory.
    pub fn create_dir(&mut self, path: &Path) -> HostResult<()> {
        self.machine.create_dir(path)?;
        self.note(format!("made {}", path.display()), Undo::RemoveDir(path.to_owned()));
        Ok(())
    }

    /// Creates a symbolic link.
    pub fn symlink(&mut self, target: &Path, link: &Path) -> HostResult<()> {
        self.machine.symlink(target, link)?;
        self.note(
            format!("linked {} to {}", link.display(), target.display()),
            Undo::RemoveFile(link.to_owned()),
        );
        Ok(())
    }

    /// Writes a value to a kernel file that held `before`.
    pub fn write(&mut self, path: &Path, value: &str, before: &str) -> HostResult<()> {
        self.machine.write(path, value.as_bytes())?;
        self.note(
            format!("wrote {value} to {}", path.display()),
            Undo::Restore(path.to_owned(), before.into()),
        );
        Ok(())
    }

    /// Removes a file that held `before`.
    pub fn remove_file(&mut self, path: &Path, before: &[u8]) -> HostResult<()> {
        self.machine.remove_file(path)?;
        self.note(format!("removed {}", path.display()), Undo::Restore(path.to_owned(), before.to_vec()));
        Ok(())
    }

    /// Creates a character device node.
    pub fn make_char_device(&mut self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.machine.make_char_device(path, mode, major, minor)?;
        self.note(
            format!("made the device node {} ({major}:{minor})", path.display()),
            Undo::RemoveFile(path.to_owned()),
        );
        Ok(())
    }

    /// Makes the kernel load a module by the host's own modprobe. The caller checks whether it did, and records it.
    pub fn request_module(&mut self, name: &str) -> HostResult<()> {
        self.machine.request_module(name)
    }

    /// Runs a program that changes something. The caller records what it changed.
    pub fn execute(&mut self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        self.machine.execute(program, args, within)
    }

    /// Undoes the changes in reverse order. Those that cannot be undone stay in the log.
    pub fn take_back(&mut self) {
        let mut stays = Vec::new();
        while let Some(change) = self.changes.pop() {
            if undo(self.machine, &change.undo).is_err() {
                stays.insert(0, change);
            }
        }
        self.changes = stays;
    }
}

/// A bind remount of `target` with exactly these per-mount flags.
fn remount(target: &Path, flags: u64) -> MountCall {
    MountCall {
        source: None,
        target: target.to_owned(),
        fstype: None,
        flags: (MsFlags::MS_REMOUNT | MsFlags::MS_BIND).bits() | flags,
        data: None,
    }
}

/// Undoes one change.
fn undo(machine: &dyn SystemWriter, undo: &Undo) -> HostResult<()> {
    match undo {
        Undo::Unmount(path) => machine.unmount(path),
        Undo::RemoveDir(path) => machine.remove_dir(path),
        Undo::RemoveFile(path) => machine.remove_file(path),
        Undo::Restore(path, bytes) => machine.write(path, bytes),
        Undo::MakeDir(path) => machine.create_dir(path),
        Undo::MoveBack(pids, procs) => move_back(machine, pids, procs),
        Undo::Remount(path, flags) => machine.mount(&remount(path, *flags)),
        Undo::Manual(command) => Err(HostError::new("undo by hand", command, Errno::ENOTSUP)),
    }
}

/// Moves processes back to their cgroup; those that ended meanwhile are skipped.
fn move_back(machine: &dyn SystemWriter, pids: &[i32], procs: &Path) -> HostResult<()> {
    let mut refused = Ok(());
    for pid in pids {
        match machine.write(procs, pid.to_string().as_bytes()) {
            Err(error) if error.errno() != Errno::ESRCH => refused = Err(error),
            _ => {}
        }
    }
    refused
}
