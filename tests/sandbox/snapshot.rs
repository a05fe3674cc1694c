//! What a check must not change in a world: mounts, cgroups, sysctls, files, interfaces, rules, processes.

use std::collections::BTreeMap;

use crate::world::World;

/// Prints the state, one fact a line, without the times of directories: a trial makes a directory of its own.
const SCRIPT: &str = r"
cat /proc/1/mountinfo
find /sys/fs/cgroup -type d -not -path '*/dindcheck-sandbox-*' -not -path '*/dindcheck-bed-*'
find /sys/fs/cgroup -not -path '*/dindcheck-sandbox-*' -not -path '*/dindcheck-bed-*' \( -name cgroup.subtree_control -o -name cgroup.type -o -name cpuset.cpus -o -name cpuset.mems \) -exec grep -H . {} +
cd /proc/sys
find net/ipv4 net/bridge kernel/keys -type f -perm /444 -exec grep -sH . {} +
find /run/ /etc /tmp /root /home /var/lib/docker/ /var/lib/containerd /var/tmp /var/log /usr/local /lib/modules -not -path '*/docker/buildkit/*' \( -type d -printf '%p %y %m %U:%G\n' -o -printf '%p %y %m %U:%G %s %T@ %l\n' \) 2>&-
find /dev -not -path '/dev/pts/*' -printf '%p %y %m %l\n'
ip -o link; ip -o -4 address; ip route show table all type unicast; ip rule
nft list ruleset 2>&1; iptables-legacy-save 2>&1; ip6tables-legacy-save 2>&1; cat /proc/1/net/ip_tables_names
cat /proc/[0-9]*/comm 2>&-
";

/// The state of a world.
pub(crate) struct Snapshot(Vec<String>);

/// How often each line occurs.
fn counted(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut all = BTreeMap::new();
    for line in lines {
        *all.entry(line.as_str()).or_default() += 1;
    }
    all
}

impl Snapshot {
    /// The state now.
    pub(crate) fn of(world: &World) -> Self {
        let printed = world.run(crate::world::Line::new(["/bin/sh", "-c", SCRIPT]));
        // Comments have the counters of rules and the time.
        Self(printed.stdout.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect())
    }

    /// The lines that were removed and added since.
    pub(crate) fn differences(&self, later: &Self) -> Vec<String> {
        let without = |lines: &[String], others: &[String], sign: &str| {
            let mut others = counted(others);
            let mut left = Vec::new();
            for line in lines {
                match others.get_mut(line.as_str()) {
                    Some(count) if *count > 0 => *count -= 1,
                    _ => left.push(format!("{sign} {line}")),
                }
            }
            left
        };
        let mut all = without(&self.0, &later.0, "-");
        all.extend(without(&later.0, &self.0, "+"));
        all
    }
}
