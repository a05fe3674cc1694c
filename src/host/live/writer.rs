//! Changes to the machine that this process runs on.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags};

use super::{Live, at, on};
use crate::host::bounded::is_kernel_file;
use crate::host::netlink::Route;
use crate::host::spawn::{MAX_OUTPUT, Order, run};
use crate::host::{HostError, HostResult, MountCall, Ran, SystemWriter};

/// Opens a file of the kernel, or an empty or new one: what holds data is somebody's.
fn open(path: &Path) -> std::io::Result<File> {
    let (mut existing, mut new) = (OpenOptions::new(), OpenOptions::new());
    match existing.write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) if is_kernel_file(path) => Ok(file),
        Ok(file) => {
            let meta = file.metadata()?;
            if meta.is_file() && meta.len() == 0 { Ok(file) } else { Err(Errno::EEXIST.into()) }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => new.write(true).create_new(true).open(path),
        Err(error) => Err(error),
    }
}

impl SystemWriter for Live {
    fn mount(&self, call: &MountCall) -> HostResult<()> {
        let op = match (&call.fstype, MsFlags::from_bits_truncate(call.flags)) {
            (Some(fstype), _) => format!("mount {fstype} on"),
            (None, flags) if flags.contains(MsFlags::MS_REMOUNT) => "remount".to_owned(),
            (None, _) => format!("bind {} to", call.source.as_deref().unwrap_or_default()),
        };
        nix::mount::mount(
            call.source.as_deref(),
            &call.target,
            call.fstype.as_deref(),
            MsFlags::from_bits_retain(call.flags),
            call.data.as_deref(),
        )
        .map_err(|errno| HostError::new(op, &call.target, errno))
    }

    fn unmount(&self, path: &Path) -> HostResult<()> {
        nix::mount::umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
            .map_err(at("unmount", path))
    }

    fn create_dir(&self, path: &Path) -> HostResult<()> {
        std::fs::create_dir(path).map_err(on("make the directory", path))
    }

    fn remove_dir(&self, path: &Path) -> HostResult<()> {
        std::fs::remove_dir(path).map_err(on("remove the directory", path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> HostResult<()> {
        let mut file = open(path).map_err(on("open for writing", path))?;
        file.write_all(bytes).map_err(on("write", path))
    }

    fn remove_file(&self, path: &Path) -> HostResult<()> {
        std::fs::remove_file(path).map_err(on("remove", path))
    }

    fn symlink(&self, target: &Path, link: &Path) -> HostResult<()> {
        std::os::unix::fs::symlink(target, link).map_err(on("make the link", link))
    }

    fn make_char_device(&self, path: &Path, mode: u32, major: u32, minor: u32) -> HostResult<()> {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(mode), makedev(major.into(), minor.into()))
            .map_err(at("make the device node", path))
    }

    fn request_module(&self, name: &str) -> HostResult<()> {
        match nix::net::if_::if_nametoindex(name) {
            Ok(_) | Err(Errno::ENODEV) => Ok(()),
            Err(errno) => Err(HostError::new("request the module", name, errno)),
        }
    }

    fn delete_link(&self, name: &str, index: u32) -> HostResult<()> {
        Route::open()?.delete_link(name, index)
    }

    fn execute(&self, program: &Path, args: &[&str], within: Duration) -> HostResult<Ran> {
        run(Order { program, args, env: &[], within, keep: MAX_OUTPUT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::SystemReader;

    #[test]
    fn file_that_holds_data_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (path, host) = (dir.path().join("file"), Live::default());
        host.write(&path, b"").unwrap();
        host.write(&path, b"theirs").unwrap();
        assert_eq!(host.write(&path, b"x").unwrap_err().errno(), Errno::EEXIST);
        assert_eq!(host.read(&path).unwrap(), b"theirs");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(
            host.write(&pipe, b"x").unwrap_err().errno(),
            Errno::ENXIO,
            "it does not wait for a reader"
        );
    }
}
