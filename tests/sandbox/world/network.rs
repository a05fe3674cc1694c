//! A world's network: a veth pair as Docker makes it, to a gateway that answers and leads nowhere.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Played in the world once it stands.
pub(crate) const ADDRESSES: &str = "ip -batch - <<END
link set lo up
link set eth0 up
addr add 172.17.0.2/16 brd + dev eth0
route add default via 172.17.0.1
END";

/// Played beside the world, below its root.
const OUTSIDE: &str = "ip -batch - <<END
link set lo up
link add gateway type veth peer name eth0 netns /run/world
link set gateway up
addr add 172.17.0.1/16 dev gateway
END";

/// Gives this thread the world's network namespace, connected to the one that is returned. Whatever leaves the world
/// is refused there at once: it has no route, and says so without a limit to its refusals.
pub(crate) fn connect(root: &Path) -> anyhow::Result<File> {
    let own = |what| File::open("/proc/thread-self/ns/net").context(what);
    unshare(CloneFlags::CLONE_NEWNET).context("a network namespace")?;
    let world = own("the world's network namespace")?;
    let handle = root.join("run/world");
    File::create(&handle)?;
    mount(Some("/proc/thread-self/ns/net"), &handle, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context("name it")?;
    unshare(CloneFlags::CLONE_NEWNET).context("a second network namespace")?;
    let outside = own("the outside's network namespace")?;
    sysctl("ip_forward", "1")?;
    sysctl("icmp_ratelimit", "0")?;
    sysctl("icmp_msgs_per_sec", "100000").ok();
    let played = Command::new("chroot")
        .arg(root)
        .args(["/bin/sh", "-ec", OUTSIDE])
        .output()
        .context("start chroot")?;
    ensure!(played.status.success(), "the outside: {}", String::from_utf8_lossy(&played.stderr));
    setns(&world, CloneFlags::CLONE_NEWNET).context("return to the world's network namespace")?;
    umount2(&handle, MntFlags::MNT_DETACH)?;
    std::fs::remove_file(&handle)?;
    sysctl("ip_forward", "0")?;
    Ok(outside)
}

/// Sets one of this network namespace.
fn sysctl(name: &str, value: &str) -> anyhow::Result<()> {
    std::fs::write(Path::new("/proc/sys/net/ipv4").join(name), value).with_context(|| format!("set {name}"))
}
