//! Paths with their links resolved.

use std::path::{Path, PathBuf};

use crate::host::{HostResult, SystemReader};

/// Whether two paths lead to the same place, as far as can be seen: where a link cannot be read, they may.
pub fn may_be_same(host: &dyn SystemReader, one: &Path, other: &Path) -> bool {
    match (real(host, one), real(host, other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => true,
    }
}

/// A path with all links in it resolved: `/var/run` is mostly a link to `/run`. What is missing is no link.
pub fn real(host: &dyn SystemReader, path: &Path) -> HostResult<PathBuf> {
    let mut at = PathBuf::from("/");
    let mut left: Vec<_> = path.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == "/" {
            continue;
        }
        match host.read_link(&at.join(&part)) {
            Ok(target) if links < 16 => {
                links += 1;
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
            }
            Err(error) if !error.is_absent() && error.errno() != nix::errno::Errno::EINVAL => {
                return Err(error);
            }
            _ if part == ".." => {
                at.pop();
            }
            _ if part == "." => {}
            _ => at.push(part),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn links_in_a_path_are_resolved() {
        let host = Fake::new().dir("/run/docker").link("/var/run", "../run").link("/a", "/var/run/docker");
        let real = |path: &str| real(&host, Path::new(path)).unwrap();
        assert_eq!(real("/var/run/docker"), Path::new("/run/docker"));
        assert_eq!(real("/a/x"), Path::new("/run/docker/x"));
        assert_eq!(real("/none/x"), Path::new("/none/x"));
    }

    #[test]
    fn where_a_link_cannot_be_read_paths_may_be_the_same() {
        let host = Fake::new().fails("read the link", "/a", nix::errno::Errno::EIO, None);
        assert!(real(&host, Path::new("/a/x")).is_err());
        assert!(may_be_same(&host, Path::new("/a/x"), Path::new("/b")));
        assert!(!may_be_same(&host, Path::new("/c"), Path::new("/b")));
    }
}
