//! Version numbers, found in the output of programs.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// A version; a suffix (`+dfsg1`, `-rc.1`) is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 28 of 28.5.2.
    pub major: u32,
    /// 5 of 28.5.2.
    pub minor: u32,
    /// 2 of 28.5.2; 0 where it is missing.
    pub patch: u32,
}

impl Version {
    /// The version `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The first version in a text: `Docker version 26.1.5+dfsg1, build 411e817`, `iptables v1.8.9 (nf_tables)`.
    pub fn find(text: &str) -> Option<Self> {
        static NUMBERS: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\b[vV]?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?").ok());
        let found = NUMBERS.as_ref()?.captures(text)?;
        let number = |index| found.get(index).map_or(Some(0), |part| part.as_str().parse().ok());
        Some(Self { major: number(1)?, minor: number(2)?, patch: number(3)? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_the_output_of_each_program() {
        for (text, version) in [
            ("Docker version 20.10.24+dfsg1, build 5d6db84", Version::new(20, 10, 24)),
            ("Docker version 29.0.0-rc.1, build x", Version::new(29, 0, 0)),
            ("containerd github.com/containerd/containerd/v2 2.1.9+unknown ", Version::new(2, 1, 9)),
            ("runc version 1.1.5+ds1\ncommit: 1.1.5", Version::new(1, 1, 5)),
            ("iptables v1.8.9 (nf_tables)", Version::new(1, 8, 9)),
            ("iptables v1.4", Version::new(1, 4, 0)),
        ] {
            assert_eq!(Version::find(text), Some(version), "{text}");
        }
        assert_eq!(Version::find("Docker version dev, build 5d6db84"), None);
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(
            Version::new(1, 8, 10) > Version::new(1, 8, 9) && Version::new(9, 0, 0) < Version::new(10, 0, 0)
        );
    }
}
