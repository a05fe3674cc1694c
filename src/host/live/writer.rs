//! Changes to the machine that this process runs on.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};

use super::{Live, at, on};
use crate::host::netlink::Route;
use crate::host::spawn::run;
use crate::host::{HostError, HostResult, MountCall, Ran, SystemWriter};

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
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .create(true)
            .open(path)
            .map_err(on("open for writing", path))?;
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
        run(program, args, &[], within)
    }
}
