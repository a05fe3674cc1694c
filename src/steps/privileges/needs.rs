//! The capabilities that an inner engine needs, and what breaks without each.
//!
//! Measured with inner engines 20.10.24, 26.1.5 and 28.5.2, by removing one capability at a time from an outer container
//! that has all others: with any of these missing dockerd does not start, or no container does. Every inner container asks
//! for those of Docker's default set, and runc fails with `unable to apply caps` if one of them is missing.

use crate::facts::caps::{Cap, CapSet};

/// The effect of a missing capability of the default set.
const EVERY_CONTAINER: &str = "every inner container asks for it, and runc cannot apply it";

/// Capability, and what breaks without it.
pub(super) const NEEDS: &[(Cap, &str)] = &[
    (Cap::SYS_ADMIN, "mounts and namespaces are refused: images cannot be unpacked, containers cannot start"),
    (Cap::NET_ADMIN, "dockerd exits: it can create neither its firewall chains nor the bridge docker0"),
    (Cap(0), "dockerd exits: it cannot give its socket to the group docker"),
    (Cap(1), "dockerd exits: it cannot create the sockets of its network controller"),
    (Cap(3), EVERY_CONTAINER),
    (Cap(4), EVERY_CONTAINER),
    (Cap(5), EVERY_CONTAINER),
    (Cap(6), "runc cannot set the groups of any inner container"),
    (Cap(7), EVERY_CONTAINER),
    (Cap(8), EVERY_CONTAINER),
    (Cap(10), EVERY_CONTAINER),
    (Cap(13), EVERY_CONTAINER),
    (
        Cap(18),
        "every inner container asks for it, and a recent runc cannot join a mount namespace without it",
    ),
    (Cap(27), EVERY_CONTAINER),
    (Cap(29), EVERY_CONTAINER),
    (Cap(31), EVERY_CONTAINER),
];

/// The needed capabilities that are not in the set.
pub(super) fn unmet(held: CapSet) -> Vec<(Cap, &'static str)> {
    NEEDS.iter().filter(|(cap, _)| !held.has(*cap)).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::facts::caps::names;

    /// moby v28.5.2 oci/caps/defaults.go
    const DOCKER_DEFAULT: CapSet = CapSet(0xa804_25fb);

    #[test]
    fn default_set_lacks_only_sys_admin_and_net_admin() {
        let lacking: Vec<Cap> = unmet(DOCKER_DEFAULT).into_iter().map(|(cap, _)| cap).collect();
        assert_eq!(names(&lacking), "CAP_SYS_ADMIN, CAP_NET_ADMIN");
    }

    #[test]
    fn each_capability_is_listed_once_with_what_breaks() {
        let once: BTreeSet<Cap> = NEEDS.iter().map(|(cap, _)| *cap).collect();
        assert_eq!(once.len(), NEEDS.len());
        assert!(NEEDS.iter().all(|(cap, breaks)| breaks.len() > 20 && *cap <= Cap::LAST_OF_20_10));
        assert!(!once.contains(&Cap::SYS_RESOURCE));
    }
}
