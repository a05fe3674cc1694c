//! Checks that the default mounts and device nodes of a container are as an inner engine needs them.
//!
//! Measured with 20.10, 26.1 and 28.5: a read-only /proc/sys or /run, or a missing /dev/null, stops the engine, and a
//! read-only /tmp stops `docker exec`; the other problems affect some inner containers only.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::confinement::UserNamespace;
use crate::facts::daemon::{Daemon, Running};
use crate::facts::mounts::{Mount, Mounts};
use crate::facts::version::Version;
use crate::finding::{Finding, Level, Reach, quoted};
use crate::host::environ::WithEnviron;
use crate::host::recorded::if_recorded;
use crate::host::{HostResult, SystemReader};
use crate::step::{Cx, Phase, Repair, Step};

mod devices;
mod repair;
mod scratch;

const PROC_SYS_READ_ONLY: CauseId = causes::PROC_SYS_READ_ONLY;
const SYS_READ_ONLY: CauseId = causes::SYS_READ_ONLY;
const PROC_MASKED: CauseId = causes::PROC_MASKED;
const NO_PROC_MOUNT: CauseId = causes::MASKED_PROC_BLOCKS_PROC_MOUNT;
const NO_SECURITYFS: CauseId = causes::SECURITYFS_NOT_MOUNTED;
const NOT_WRITABLE: CauseId = causes::TMP_NOT_WRITABLE;

const PROC_SYS: &str = "/proc/sys";
const SECURITYFS: &str = "/sys/kernel/security";
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "mounts",
    title: "Mounts and device nodes of the outer container",
    why: "dockerd writes sysctls and makes sockets and device nodes; what is read-only or missing here stops it or its containers.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Make /proc/sys writable, and the missing device nodes",
        reach: Reach::Container,
        apply: repair::apply,
    }),
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let mounts = Mounts::read(cx.host)?;
    // Read only for a problem, since dockerd answers slowly. If dockerd does not print its version, the strictest one is
    // assumed, and `binaries` reports that.
    let daemon = || Daemon::read(cx.host, &cx.options.daemon()).ok();
    let mut findings = Vec::new();
    findings.extend(proc_sys(cx.host, &mounts, daemon));
    findings.extend(masked_proc(&mounts, &UserNamespace::read(cx.host)?));
    findings.extend(sys(&mounts));
    findings.extend(securityfs(cx.host, &mounts)?);
    findings.extend(devices::judge(cx.host, &mounts)?);
    findings.extend(if_recorded(temporary(cx, &mounts))?.unwrap_or_default());
    findings.push(propagation(&mounts));
    Ok(findings)
}

/// The directories for temporary files of the daemon: with `--attach` those of a daemon that is visible here.
fn temporary(cx: &Cx<'_>, mounts: &Mounts) -> HostResult<Vec<Finding>> {
    let Some(endpoint) = &cx.options.attach else {
        return scratch::judge(cx.host, mounts, || Daemon::read(cx.host, &cx.options.daemon()).ok());
    };
    match Running::find(cx.host, endpoint) {
        Running::Here(command) => {
            let host = WithEnviron::of(cx.host, command.pid);
            scratch::of_running(&host, mounts, || Daemon::read(&host, &command.invocation()).ok())
        }
        Running::Elsewhere(_) => Ok(Vec::new()),
    }
}

/// Whether a mount is read-only, by either flag.
fn is_read_only(mount: &Mount) -> bool {
    mount.is_read_only() || mount.is_super_read_only()
}

/// dockerd sets `ip_forward`, and from 26 on sysctls of each container's interface; Docker 20.10 works if forwarding is
/// on already.
fn proc_sys(
    host: &dyn SystemReader,
    mounts: &Mounts,
    daemon: impl FnOnce() -> Option<Daemon>,
) -> Option<Finding> {
    let mount = mounts.holding(Path::new(PROC_SYS)).filter(|mount| is_read_only(mount))?;
    let old = daemon().is_some_and(|daemon| daemon.version < Version::new(24, 0, 0));
    let forwards = host.read_line(Path::new("/proc/sys/net/ipv4/ip_forward")).is_ok_and(|value| value == "1");
    let finding = if old && forwards {
        Finding::warn(
            PROC_SYS_READ_ONLY,
            "/proc/sys is read-only: dockerd works because IP forwarding is already on",
        )
    } else {
        Finding::fail(
            PROC_SYS_READ_ONLY,
            "/proc/sys is read-only: dockerd cannot enable IP forwarding or set the sysctls of a container's interface",
        )
    };
    Some(seen(finding, mount).hint(format!("`mount -o remount,bind,rw {}`", quoted(&mount.target))))
}

/// Mounts over parts of /proc. They matter only to a user namespace below (fs/namespace.c, `mount_too_revealing`).
fn masked_proc(mounts: &Mounts, user_namespace: &UserNamespace) -> Option<Finding> {
    let covers = |mount: &&Mount| {
        let own = mount.target == Path::new("/proc") || mount.target.starts_with(PROC_SYS);
        !own && (mount.fstype == "tmpfs" || mount.fstype == "devtmpfs" || mount.fstype == "proc")
    };
    let covered: Vec<String> = mounts
        .below(Path::new("/proc"))
        .filter(covers)
        .map(|mount| mount.target.display().to_string())
        .collect();
    if covered.is_empty() {
        return None;
    }
    let list = covered.join(", ");
    let finding = match user_namespace {
        UserNamespace::Initial => Finding::warn(
            PROC_MASKED,
            format!(
                "{} parts of /proc are masked: an inner container with its own user namespace cannot mount proc",
                covered.len()
            ),
        ),
        UserNamespace::Mapped(_) => Finding::fail(
            NO_PROC_MOUNT,
            format!(
                "{} parts of /proc are masked: in a user namespace no inner container can mount proc",
                covered.len()
            ),
        ),
    };
    Some(finding.with("covered", list).hint(
        "start the outer container with `--privileged`, or with `--security-opt systempaths=unconfined`",
    ))
}

/// dockerd does not write to /sys for bridges and cgroups; only other programs do.
fn sys(mounts: &Mounts) -> Option<Finding> {
    let mount = mounts.holding(Path::new("/sys")).filter(|mount| is_read_only(mount))?;
    Some(
        seen(
            Finding::warn(
                SYS_READ_ONLY,
                "/sys is read-only: dockerd works, but no inner container can change devices",
            ),
            mount,
        )
        .hint("start the outer container with `--privileged`, or `mount -o remount,bind,rw /sys`"),
    )
}

/// dockerd assumes that `AppArmor` is absent where securityfs is not mounted (pkg/sysinfo), and containers then run without
/// their profile.
fn securityfs(host: &dyn SystemReader, mounts: &Mounts) -> HostResult<Option<Finding>> {
    Ok(lacks_securityfs(host, mounts)?.then(|| {
        Finding::warn(
            NO_SECURITYFS,
            "AppArmor is enabled but securityfs is not mounted: inner containers run without an AppArmor profile",
        )
        .with("path", SECURITYFS)
        .hint(format!("mount -t securityfs none {SECURITYFS}, and have apparmor_parser in the image"))
    }))
}

/// Whether the kernel has `AppArmor` enabled and a directory for securityfs, which is empty.
fn lacks_securityfs(host: &dyn SystemReader, mounts: &Mounts) -> HostResult<bool> {
    let on = host.read_if_there(Path::new(APPARMOR))?.is_some_and(|text| text.starts_with('Y'));
    let path = Path::new(SECURITYFS);
    Ok(on && mounts.at(path).is_none() && host.exists(path)?)
}

/// Most outer containers have private mounts; only a container that asks for shared ones needs others.
fn propagation(mounts: &Mounts) -> Finding {
    let root = mounts.holding(Path::new("/"));
    match root {
        Some(mount) if mount.shared => Finding::pass("mounts are writable where needed, and shared"),
        _ => Finding::pass(
            "mounts are writable where needed; they are private, so inner containers do not share mounts",
        ),
    }
}

/// Adds the mount as evidence.
fn seen(finding: Finding, mount: &Mount) -> Finding {
    let by = if mount.is_super_read_only() { "the file system" } else { "this mount" };
    finding.with("mount", mount.target.display()).with("type", &mount.fstype).with("read-only by", by)
}

#[cfg(test)]
mod tests;
