//! What confines this process besides capabilities: the label of a security module and the user namespace.

use std::path::Path;

use anyhow::Context;
use nix::errno::Errno;

use crate::host::{HostResult, SystemReader};

/// The label of a security module on this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// No module labels processes here.
    None,
    /// `AppArmor` leaves it alone.
    Unconfined,
    /// An `AppArmor` profile, and whether it is enforced (`complain` only logs).
    AppArmor(String, bool),
    /// An `SELinux` (or Smack) context.
    Context(String),
}

impl Label {
    /// Reads it. Without an active module the kernel answers EINVAL; a kernel built without any has no such file.
    pub fn read(host: &dyn SystemReader) -> HostResult<Self> {
        // Since Linux 5.8 AppArmor has a file of its own, which names its profile when modules are stacked.
        for path in ["/proc/self/attr/apparmor/current", "/proc/self/attr/current"] {
            match host.read_text(Path::new(path)) {
                Ok(text) => return Ok(Self::parse(&text)),
                Err(error) if error.is_absent() || error.errno() == Errno::EINVAL => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::None)
    }

    /// Parses `docker-default (enforce)`, `unconfined`, `system_u:system_r:container_t:s0`.
    fn parse(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let profile = text.rsplit_once(" (").and_then(|(name, mode)| Some((name, mode.strip_suffix(')')?)));
        match (text, profile) {
            ("", _) => Self::None,
            ("unconfined", _) => Self::Unconfined,
            (_, Some((name, mode))) => Self::AppArmor(name.to_owned(), mode != "complain"),
            (context, None) => Self::Context(context.to_owned()),
        }
    }
}

/// The user namespace that this process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserNamespace {
    /// The host's own, or one that maps every id to itself.
    Initial,
    /// Another: the lines of its map, joined by `, `.
    Mapped(String),
}

impl UserNamespace {
    /// Reads /proc/self/uid_map, which a kernel without user namespaces does not have. An error where it is empty.
    pub fn read(host: &dyn SystemReader) -> anyhow::Result<Self> {
        let path = Path::new("/proc/self/uid_map");
        match host.read_if_there(path)? {
            None => Ok(Self::Initial),
            Some(text) => Self::parse(&text).with_context(|| format!("{} is empty", path.display())),
        }
    }

    /// The initial one has the one line `0 0 4294967295` (user_namespaces(7)).
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        match lines.as_slice() {
            [] => None,
            [one] if one == "0 0 4294967295" => Some(Self::Initial),
            more => Some(Self::Mapped(more.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::Fake;

    #[test]
    fn label_is_parsed_for_each_module() {
        let label = Label::parse;
        assert_eq!(label("unconfined\n"), Label::Unconfined);
        assert_eq!(label("docker-default (enforce)\n"), Label::AppArmor("docker-default".into(), true));
        assert_eq!(label("/usr/bin/x (y) (complain)"), Label::AppArmor("/usr/bin/x (y)".into(), false));
        assert_eq!(label("u:r:container_t:s0\0"), Label::Context("u:r:container_t:s0".into()));
        assert_eq!(label(""), Label::None);
    }

    #[test]
    fn einval_is_no_label_and_eacces_is_an_error() {
        let host = Fake::new().file("/proc/self/attr/current", "").fails(
            "read",
            "/proc/self/attr/current",
            Errno::EINVAL,
            None,
        );
        assert_eq!(Label::read(&host).unwrap(), Label::None);
        let host = Fake::new().fails("read", "/proc/self/attr/current", Errno::EACCES, None);
        assert!(Label::read(&host).is_err());
    }

    #[test]
    fn identity_map_is_the_initial_namespace() {
        assert_eq!(UserNamespace::parse("         0          0 4294967295\n"), Some(UserNamespace::Initial));
        let mapped = UserNamespace::parse("0 1000 1\n1 100000 65536\n");
        assert_eq!(mapped, Some(UserNamespace::Mapped("0 1000 1, 1 100000 65536".into())));
        assert_eq!(UserNamespace::parse(""), None);
    }
}
