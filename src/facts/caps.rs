//! Capabilities by number and name, and the kernel's sets of them (capabilities(7)).
//!
//! The table is our own: a step names capabilities by the number that stands in /proc, also those that a crate built for
//! an older kernel does not know, and needs nothing else of such a crate.

use std::fmt;

/// The names by number (include/uapi/linux/capability.h, Linux 5.9); a newer kernel may have more.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// One capability, by the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cap(pub u8);

impl Cap {
    /// Configures interfaces, bridges and packet filters.
    pub const NET_ADMIN: Self = Self(12);
    /// Mounts, makes namespaces, loads device filters.
    pub const SYS_ADMIN: Self = Self(21);
    /// Raises hard resource limits.
    pub const SYS_RESOURCE: Self = Self(24);
    /// The last one that Docker 20.10 knows, `CAP_AUDIT_READ`: its `--privileged` gives none above (moby
    /// v20.10.24 oci/caps/utils.go).
    pub const LAST_OF_20_10: Self = Self(37);
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => write!(f, "CAP_{name}"),
            None => write!(f, "capability {}", self.0),
        }
    }
}

/// A set of capabilities: the kernel's bit mask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSet(pub u64);

impl CapSet {
    /// Parses the hexadecimal mask of /proc/PID/status; `None` where it is not hexadecimal or has more than 64 bits.
    pub fn parse(hex: &str) -> Option<Self> {
        u64::from_str_radix(hex, 16).ok().map(Self)
    }

    /// Whether the set holds this capability.
    pub fn has(self, cap: Cap) -> bool {
        self.0.checked_shr(u32::from(cap.0)).is_some_and(|bits| bits & 1 == 1)
    }

    /// The capabilities from 0 to `last` that are missing from the set.
    pub fn lacks_up_to(self, last: Cap) -> Vec<Cap> {
        (0..=last.0).map(Cap).filter(|cap| !self.has(*cap)).collect()
    }
}

impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// `CAP_MKNOD, CAP_SETFCAP`.
pub fn names(caps: &[Cap]) -> String {
    caps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_of_the_kernel_is_parsed() {
        let all_but_resource = CapSet::parse("000001fffeffffff").unwrap();
        assert_eq!(all_but_resource.lacks_up_to(Cap(40)), [Cap::SYS_RESOURCE]);
        assert_eq!(all_but_resource.to_string(), "000001fffeffffff");
        assert!(CapSet::parse("").is_none() && CapSet::parse("xyz").is_none());
    }

    #[test]
    fn number_has_its_name_and_an_unknown_one_its_number() {
        assert_eq!(names(&[Cap::NET_ADMIN, Cap::SYS_ADMIN]), "CAP_NET_ADMIN, CAP_SYS_ADMIN");
        assert_eq!(Cap::LAST_OF_20_10.to_string(), "CAP_AUDIT_READ");
        assert_eq!(Cap(40).to_string(), "CAP_CHECKPOINT_RESTORE");
        assert_eq!(Cap(41).to_string(), "capability 41");
    }

    #[test]
    fn number_beyond_the_mask_is_not_held() {
        assert!(!CapSet(u64::MAX).has(Cap(64)));
    }
}
