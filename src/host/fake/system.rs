//! [`SystemReader`] and [`SystemWriter`] of the machine in memory.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::Fake;
use crate::host::trial::{Trial, TrialReport};
use crate::host::{
    FileKind, FsInfo, HostError, HostResult, Identity, MountCall, Ran, Stat, SystemReader, SystemWriter,
};

impl SystemReader for Fake {
    fn read(&self, path: &Path) -> HostResult<Vec<u8>> {
        let node = self.find("read", path, true)?;
        match node.stat.kind {
            FileKind::Dir => Err(HostError::new("read", path, Errno::EISDIR)),
            _ => Ok(node.bytes),
        }
    }

    fn list(&self, path: &Path) -> HostResult<Vec<OsString>> {
        self.find("list", path, true)?;
        let dir = self.resolved(path, true);
        let nodes = self.nodes.borrow();
        let inside = nodes.keys().filter(|p| p.parent() == Some(&dir));
        Ok(inside.filter_map(|p| Some(p.file_name()?.to_owned())).collect())
    }

    fn stat(&self, path: &Path) -> HostResult<Stat> {
        Ok(self.find("stat", path, true)?.stat)
    }

    fn lstat(&self, path: &Path) -> HostResult<Stat> {
        Ok(self.find("lstat", path, false)?.stat)
    }

    fn read_link(&self, path: &Path) -> HostResult<PathBuf> {
        let node = self.find("read the link", path, false)?;
        match node.stat.kind {
            FileKind::Link => Ok(node.target),
            _ => Err(HostError::new("read the link", path, Errno::EINVAL)),
        }
    }

    fn statfs(&self, path: &Path) -> HostResult<FsInfo> {
        self.fault("statfs", path)?;
        let filesystems = self.filesystems.borrow();
        let nearest = path.ancestors().find_map(|above| filesystems.get(above));
        nearest.cloned().ok_or_else(|| HostError::new("statfs", path, Errno::ENOENT))
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn env_os(&self, name: &str) -> Option<OsString> {
        self.env.get(name).cloned()
    }

    fn run(&self, program: &Path, args: &[&str], _within: Duration) -> HostResult<Ran> {
        self.fault("run", program)?;
        let command = [&[program.to_string_lossy().as_ref()], args].concat().join(" ");
        self.runs.borrow().get(&command).cloned().ok_or_else(|| HostError::new("run", program, Errno::ENOENT))
    }

    fn connect(&self, socket: &Path) -> HostResult<()> {
        self.find("connect to", socket, true).map(drop)
    }

    fn is_locked(&self, path: &Path) -> HostResult<bool> {
        self.find("lock", path, true)?;
        Ok(self.locked.contains(path))
    }

    fn trial(&self, trial: &Trial) -> HostResult<TrialReport> {
        self.fault("try", Path::new("/"))?;
        let answer = self.trials.borrow_mut().pop_front();
        answer.ok_or_else(|| HostError::new(format!("try {trial:?} with"), "/", Errno::ENOSYS))
    }
}

impl SystemWriter for Fake {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        self.fault("mount", &call.target)?;
        let source = call.source.as_deref().unwrap_or("-");
        let fstype = call.fstype.as_deref().unwrap_or("-");
        let data = call.data.as_deref().unwrap_or("-");
        self.changed(format!("mount {} {source} {fstype} {:#x} {data}", call.target.display(), call.flags));
        Ok(())
    }

    fn unmount(&self, path: &Path) -> HostResult<()> {
        self.fault("unmount", path)?;
        self.changed(format!("unmount {}", path.display()));
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> HostResult<()> {
        self.fault("create_dir", path)?;
        if self.nodes.borrow().contains_key(path) {
            return Err(HostError::new("create_dir", path, Errno::EEXIST));
        }
        self.put(path, FileKind::Dir, &[]);
        self.changed(format!("create_dir {}", path.display()));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        self.fault("remove_dir", path)?;
        if self.holds_something(path) {
            return Err(HostError::new("remove_dir", path, Errno::ENOTEMPTY));
        }
        self.nodes
            .borrow_mut()
            .remove(path)
            .ok_or_else(|| HostError::new("remove_dir", path, Errno::ENOENT))?;
        self.changed(format!("remove_dir {}", path.display()));
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        self.fault("write", path)?;
        let kernel = path.starts_with("/proc") || path.starts_with("/sys");
        if !kernel && self.nodes.borrow().get(path).is_some_and(|node| !node.bytes.is_empty()) {
            return Err(HostError::new("write", path, Errno::EEXIST));
        }
        self.put(path, FileKind::File, bytes);
        self.changed(format!("write {} {}", path.display(), String::from_utf8_lossy(bytes)));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> HostResult<()> {
        self.fault("remove_file", path)?;
        let at = self.resolved(path, false);
        let removed = self.nodes.borrow_mut().remove(&at);
        removed.ok_or_else(|| HostError::new("remove_file", path, Errno::ENOENT))?;
        self.changed(format!("remove_file {}", path.display()));
        Ok(())
    }

    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        self.fault("symlink", link)?;
        self.put(link, FileKind::Link, &[]);
        self.nodes.borrow_mut().get_mut(link).expect("just put").target = target.to_owned();
        self.changed(format!("symlink {} {}", link.display(), target.display()));
        Ok(())
    }

    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        self.fault("make_char_device", path)?;
        self.put(path, FileKind::Char, &[]);
        self.changed(format!("mknod {} {mode:o} {major}:{minor}", path.display()));
        Ok(())
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        self.fault("request_module", Path::new(name))?;
        self.changed(format!("request_module {name}"));
        Ok(())
    }

    fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        self.fault("delete_link", Path::new(name))?;
        let dir = Path::new("/sys/class/net").join(name);
        let now = self.find("delete_link", &dir.join("ifindex"), true);
        let now = now.map_err(|_| HostError::new("delete_link", name, Errno::ENODEV))?;
        if String::from_utf8_lossy(&now.bytes).trim() != index.to_string() {
            return Err(HostError::new("delete_link", name, Errno::ESTALE));
        }
        self.nodes.borrow_mut().retain(|path, _| !path.starts_with(&dir));
        self.changed(format!("delete_link {name} {index}"));
        Ok(())
    }

    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        let ran = self.run(program, args, within)?;
        self.changed(format!("execute {} {}", program.display(), args.join(" ")));
        Ok(ran)
    }
}
