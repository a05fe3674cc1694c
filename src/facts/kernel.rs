//! The release and the build configuration of the kernel.
//!
//! A container sees the options in /proc/config.gz, if the kernel was built to show them; /boot and /lib/modules
//! belong to the host as a rule.

use std::path::Path;

use nix::errno::Errno;

use crate::host::{HostError, HostResult, SystemReader};

/// The release, the same text as in uname(2).
const RELEASE: &str = "/proc/sys/kernel/osrelease";
/// The largest configuration that is unpacked, in bytes; those of current kernels have 300 KiB.
const MAX_CONFIG: usize = 2 << 20;

/// A kernel release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// `6.1.0-18-amd64`.
    pub text: String,
    /// `(6, 1)`; `None` where the text does not begin with two numbers.
    pub version: Option<(u32, u32)>,
}

impl Release {
    /// Reads /proc/sys/kernel/osrelease.
    pub fn read(host: &dyn SystemReader) -> HostResult<Self> {
        Ok(Self::parse(&host.read_line(Path::new(RELEASE))?))
    }

    /// Parses `MAJOR.MINOR...`.
    fn parse(text: &str) -> Self {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        let version = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        Self { text: text.to_owned(), version }
    }
}

/// How an option of the kernel was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Built {
    /// `=y`, or a value.
    In,
    /// `=m`: a module, which may or may not be loaded.
    Module,
    /// `is not set`, or missing.
    Not,
}

/// The build configuration of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file from which it was read.
    pub path: String,
    text: String,
}

impl Config {
    /// Reads the first of the known files that exists, or `None`. An unreadable file is an error, and so is a config.gz that
    /// is not gzip (`EBADMSG`).
    pub fn read(host: &dyn SystemReader, release: &str) -> HostResult<Option<Self>> {
        let packed = "/proc/config.gz";
        match host.read(Path::new(packed)) {
            Ok(bytes) => {
                let text = unpack(&bytes).ok_or_else(|| HostError::new("unpack", packed, Errno::EBADMSG))?;
                return Ok(Some(Self { path: packed.to_owned(), text }));
            }
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
        for path in [
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
            format!("/usr/lib/kernel/config-{release}"),
        ] {
            if let Some(text) = host.read_if_there(Path::new(&path))? {
                return Ok(Some(Self { path, text }));
            }
        }
        Ok(None)
    }

    /// How `CONFIG_<name>` is set.
    pub fn option(&self, name: &str) -> Built {
        let of = |line: &str| {
            line.strip_prefix("CONFIG_")?
                .strip_prefix(name)?
                .strip_prefix('=')
                .map(|value| value.trim() == "m")
        };
        match self.text.lines().find_map(of) {
            Some(true) => Built::Module,
            Some(false) => Built::In,
            None => Built::Not,
        }
    }
}

/// Unpacks a gzip file of one member (RFC 1952). The check sum is not verified, since the kernel wrote the file.
fn unpack(bytes: &[u8]) -> Option<String> {
    let (header, mut rest) = bytes.split_at_checked(10)?;
    let flags = (header.starts_with(&[0x1f, 0x8b, 8])).then(|| header[3])?;
    if flags & 4 != 0 {
        let length = usize::from(u16::from_le_bytes(rest.get(..2)?.try_into().ok()?));
        rest = rest.get(2 + length..)?;
    }
    for named in [8, 16] {
        if flags & named != 0 {
            rest = rest.get(rest.iter().position(|byte| *byte == 0)? + 1..)?;
        }
    }
    rest = rest.get(if flags & 2 != 0 { 2 } else { 0 }..)?;
    let text = miniz_oxide::inflate::decompress_to_vec_with_limit(rest, MAX_CONFIG).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn version_is_the_first_two_numbers() {
        assert_eq!(Release::parse("6.1.0-18-amd64").version, Some((6, 1)));
        assert_eq!(Release::parse("4.4.0-19041-Microsoft").version, Some((4, 4)));
        assert_eq!(Release::parse("6").version, None);
        assert_eq!(Release::parse("").version, None);
    }

    const CONFIG: &str = "CONFIG_VETH=m\nCONFIG_BRIDGE=y\n# CONFIG_KEYS is not set\nCONFIG_HZ=250\n";

    #[test]
    fn option_is_found_by_its_whole_name() {
        let config = Config { path: String::new(), text: CONFIG.into() };
        assert_eq!(config.option("VETH"), Built::Module);
        assert_eq!(config.option("BRIDGE"), Built::In);
        assert_eq!(config.option("KEYS"), Built::Not);
        assert_eq!(config.option("BRIDGE_NETFILTER"), Built::Not);
        assert_eq!(config.option("H"), Built::Not);
    }

    #[test]
    fn configuration_of_the_running_release_is_read() {
        let host = Fake::new().file("/boot/config-6.1.0", CONFIG);
        assert_eq!(Config::read(&host, "6.1.0").unwrap().unwrap().path, "/boot/config-6.1.0");
        assert_eq!(Config::read(&host, "6.2.0").unwrap(), None);
        let denied = host.fails("read", "/proc/config.gz", Errno::EACCES, None);
        assert!(Config::read(&denied, "6.1.0").is_err());
    }

    #[test]
    fn gzip_is_unpacked_with_and_without_a_name() {
        let packed = miniz_oxide::deflate::compress_to_vec(CONFIG.as_bytes(), 6);
        let plain = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &packed].concat();
        assert_eq!(unpack(&plain).unwrap(), CONFIG);
        let named = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 2, 3][..], b"config\0", &packed].concat();
        assert_eq!(unpack(&named).unwrap(), CONFIG);
        for junk in [&b""[..], b"no gzip at all", &plain[..20], &plain[..10]] {
            assert_eq!(unpack(junk), None);
        }
    }

    #[test]
    fn configuration_beyond_the_limit_is_refused() {
        let packed = miniz_oxide::deflate::compress_to_vec(&vec![b'x'; MAX_CONFIG + 1], 6);
        assert_eq!(unpack(&[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &packed].concat()), None);
    }
}
