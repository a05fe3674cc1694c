//! Names of file systems, and the nearest existing directory of a path that dockerd will create.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::host::{FileKind, FsInfo, HostError, HostResult, SystemReader};

/// statfs magic of overlayfs.
pub const OVERLAY: i64 = 0x794c_7630;
/// statfs magic of btrfs.
pub const BTRFS: i64 = 0x9123_683e;
/// statfs magic of ZFS, which is not part of the kernel tree.
pub const ZFS: i64 = 0x2fc1_2fc1;
/// statfs magic of tmpfs.
pub const TMPFS: i64 = 0x0102_1994;
/// statfs magic of xfs.
pub const XFS: i64 = 0x5846_5342;
/// statfs magic of FUSE, which virtiofs has as well.
pub const FUSE: i64 = 0x6573_5546;

/// Names by magic number (linux/magic.h and statfs(2)).
const NAMES: &[(i64, &str)] = &[
    (OVERLAY, "overlay"),
    (0xef53, "ext4"),
    (XFS, "xfs"),
    (BTRFS, "btrfs"),
    (ZFS, "zfs"),
    (TMPFS, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x6969, "nfs"),
    (FUSE, "fuse"),
    (0x0102_1997, "9p"),
    (0x6a65_6a63, "virtiofs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0xf15f, "ecryptfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x7371_7368, "squashfs"),
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
    (0x00c3_6400, "ceph"),
    (0x4750_4653, "gpfs"),
    (0x6173_7546, "aufs"),
    (0x786f_4256, "vboxsf"),
    (0x5346_544e, "ntfs"),
];

/// The name of a file system by its statfs magic; the number in hexadecimal where it has none here.
pub fn name(magic: i64) -> String {
    // A kernel may have sign-extended a 32-bit magic.
    let magic = magic & 0xffff_ffff;
    let known = NAMES.iter().find(|(number, _)| *number == magic);
    known.map_or_else(|| format!("{magic:#x}"), |(_, name)| (*name).to_owned())
}

/// Resolves every link of a path up to the nearest ancestor that exists. Returns that ancestor, in which files below the
/// path will be created, and whether the path itself exists. `ELOOP` after 40 links, as in the kernel.
pub fn nearest(host: &dyn SystemReader, path: &Path) -> HostResult<(PathBuf, bool)> {
    let mut real = PathBuf::from("/");
    let mut ahead: Vec<PathBuf> = parts(path);
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part == Path::new("..") {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        match host.lstat(&next) {
            Ok(stat) if stat.kind == FileKind::Link => {
                links += 1;
                if links > 40 {
                    return Err(HostError::new("follow the links of", path, Errno::ELOOP));
                }
                let target = host.read_link(&next)?;
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                ahead.extend(parts(&target));
            }
            Ok(_) => real = next,
            Err(error) if error.is_absent() => return Ok((real, false)),
            Err(error) => return Err(error),
        }
    }
    Ok((real, true))
}

/// The components of a path in reverse order.
fn parts(path: &Path) -> Vec<PathBuf> {
    let all = path.components().map(|part| PathBuf::from(part.as_os_str()));
    let mut parts: Vec<_> = all.filter(|part| part != Path::new("/") && part != Path::new(".")).collect();
    parts.reverse();
    parts
}

/// The free space of a file system: in GiB from 10 GiB on, else in MiB.
pub fn free(info: &FsInfo) -> String {
    match info.free >> 20 {
        mib if mib >= 10 * 1024 => format!("{} GiB", mib >> 10),
        mib => format!("{mib} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn unknown_magic_is_shown_as_a_number() {
        assert_eq!(
            (name(OVERLAY).as_str(), name(0xef53).as_str(), name(0x1234).as_str()),
            ("overlay", "ext4", "0x1234")
        );
        assert_eq!(name(i64::from(0x9123_683e_u32.cast_signed())), "btrfs");
    }

    #[test]
    fn nearest_existing_directory_is_found_through_links() {
        let host = Fake::new().dir("/data/docker").link("/var/lib", "../data").link("/loop", "/loop");
        let nearest = |path| nearest(&host, Path::new(path));
        assert_eq!(nearest("/var/lib/docker").unwrap(), ("/data/docker".into(), true));
        assert_eq!(nearest("/var/lib/docker/overlay2/l").unwrap(), ("/data/docker".into(), false));
        assert_eq!(nearest("/no/where").unwrap(), ("/".into(), false));
        assert_eq!(nearest("/loop").unwrap_err().errno(), Errno::ELOOP);
    }
}
