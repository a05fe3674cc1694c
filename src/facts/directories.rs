//! Finds what keeps a program from making a directory with all its parents.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::filesystem;
use crate::finding::{Finding, quoted};
use crate::host::{FileKind, HostResult, SystemReader};

/// What stands in the way. Go's `os.MkdirAll` and mkdir(2) fail at each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// A link whose target is missing: `EEXIST`, since mkdir(2) does not follow it.
    Dangling {
        /// The link.
        link: PathBuf,
        /// Its target as it is written in it.
        target: PathBuf,
    },
    /// A link that leads back to itself: `ELOOP`.
    Loop(PathBuf),
    /// Something else than a directory: `ENOTDIR`.
    NotADirectory(PathBuf),
}

impl Obstacle {
    /// Looks for one on the way to an absolute path. `None` where the directory exists, or where its missing parts can be
    /// made as far as names matter.
    pub fn find(host: &dyn SystemReader, path: &Path) -> HostResult<Option<Self>> {
        match filesystem::nearest(host, path) {
            Err(error) if error.errno() == Errno::ELOOP => return Ok(Some(Self::in_a_loop(host, path))),
            Err(error) => return Err(error),
            Ok((real, _)) if host.stat(&real)?.kind != FileKind::Dir => {
                return Ok(Some(Self::NotADirectory(real)));
            }
            Ok((_, true)) => return Ok(None),
            Ok((_, false)) => {}
        }
        // The first part that does not exist is either to be made, or the link that leads nowhere.
        let mut parts: Vec<&Path> = path.ancestors().collect();
        parts.reverse();
        for part in parts {
            if host.exists(part)? {
                continue;
            }
            return match host.lstat(part) {
                Ok(_) => Self::dangling(host, part).map(Some),
                Err(error) if error.is_absent() => Ok(None),
                Err(error) => Err(error),
            };
        }
        Ok(None)
    }

    /// The first part of a path that is in a loop.
    fn in_a_loop(host: &dyn SystemReader, path: &Path) -> Self {
        let loops = |part: &&Path| filesystem::nearest(host, part).is_err();
        let mut parts: Vec<&Path> = path.ancestors().collect();
        parts.reverse();
        Self::Loop(parts.into_iter().find(loops).unwrap_or(path).into())
    }

    /// The link that leads nowhere: this one, or one that its target leads through.
    fn dangling(host: &dyn SystemReader, link: &Path) -> HostResult<Self> {
        let target = host.read_link(link)?;
        let next = Self::find(host, &link.parent().unwrap_or(Path::new("/")).join(&target))?;
        Ok(next.unwrap_or(Self::Dangling { link: link.into(), target }))
    }

    /// What is wrong, as the end of a sentence.
    pub fn why(&self) -> String {
        match self {
            Self::Dangling { link, target } => {
                format!("{} is a link to {}, which does not exist", link.display(), target.display())
            }
            Self::Loop(path) => format!("{} is a link that leads back to itself", path.display()),
            Self::NotADirectory(path) => format!("{} is not a directory", path.display()),
        }
    }

    /// The command that mends it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Dangling { link, target } => {
                let target = link.parent().unwrap_or(Path::new("/")).join(target);
                format!("mkdir -p {}", quoted(&target))
            }
            Self::Loop(path) => {
                let path = quoted(path);
                format!("rm {path}; mkdir -p {path}")
            }
            Self::NotADirectory(path) => {
                let path = quoted(path);
                format!("mv {path} {path}.old; mkdir -p {path}")
            }
        }
    }

    /// Adds it to a finding as evidence, with the errno that mkdir(2) has there, and the remedy.
    pub fn add_to(&self, finding: Finding) -> Finding {
        let (at, errno) = match self {
            Self::Dangling { link, .. } => (link, Errno::EEXIST),
            Self::Loop(path) => (path, Errno::ELOOP),
            Self::NotADirectory(path) => (path, Errno::ENOTDIR),
        };
        finding.with("obstacle", at.display()).with("errno", format!("{errno:?}")).hint(self.remedy())
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "directories of this test")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::host::live::Live;

    /// What is found for each path, and whether `create_dir_all` fails there.
    fn tried(root: &Path, path: &str) -> (Option<Obstacle>, bool) {
        let path = root.join(path);
        let found = Obstacle::find(&Live::default(), &path).unwrap();
        (found, std::fs::create_dir_all(path).is_err())
    }

    #[test]
    fn obstacle_is_found_where_making_the_directory_fails_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("there")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        for (target, link) in [
            ("there", "link"),
            ("nowhere", "dangling"),
            ("loop", "loop"),
            ("file", "to-file"),
            ("dangling", "twice"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        for path in ["there", "there/a/b", "link/c", "link", "x/y/z", "there/../q"] {
            assert_eq!(tried(root, path), (None, false), "{path}");
        }
        let dangling =
            |link: &str, target: &str| Obstacle::Dangling { link: root.join(link), target: target.into() };
        for (path, obstacle) in [
            ("dangling", dangling("dangling", "nowhere")),
            ("dangling/below", dangling("dangling", "nowhere")),
            ("twice/below", dangling("dangling", "nowhere")),
            ("file", Obstacle::NotADirectory(root.join("file"))),
            ("file/below", Obstacle::NotADirectory(root.join("file"))),
            ("to-file", Obstacle::NotADirectory(root.join("file"))),
            ("loop/below", Obstacle::Loop(root.join("loop"))),
        ] {
            assert_eq!(tried(root, path), (Some(obstacle), true), "{path}");
        }
    }

    #[test]
    fn remedy_of_a_dangling_link_makes_its_target() {
        let link = |target: &str| Obstacle::Dangling { link: "/var/run".into(), target: target.into() };
        assert_eq!(link("/run").remedy(), "mkdir -p /run");
        assert_eq!(link("../x y").remedy(), "mkdir -p '/var/../x y'");
    }
}
