//! Checks the kernel for what containers need.
//!
//! Namespaces, file systems and quotas are read. A child process requests what a module may provide, as dockerd would.
//! The kernel's build options are evidence only and decide nothing: a kernel for nf_tables alone lacks half of the options
//! that lists of requirements name, and Docker works on it.

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::daemon::{self, Daemon, Store};
use crate::facts::kernel::{Built, Config, Release};
use crate::finding::{Finding, Level, Reach};
use crate::host::trial::Trial;
use crate::host::{HostResult, SystemReader};
use crate::kernel_modules;
use crate::step::{Cx, Phase, Repair, Step};

mod limits;

const TOO_OLD: CauseId = causes::KERNEL_TOO_OLD;
const WSL1: CauseId = causes::WSL1_KERNEL_UNSUPPORTED;
const NO_NAMESPACES: CauseId = causes::KERNEL_LACKS_NAMESPACES;
const NO_FILESYSTEM: CauseId = causes::KERNEL_LACKS_FILESYSTEM;
const NO_OVERLAY: CauseId = causes::KERNEL_LACKS_OVERLAYFS;
const NO_SECCOMP: CauseId = causes::KERNEL_LACKS_SECCOMP;
const NO_USER_NAMESPACES: CauseId = causes::USER_NAMESPACES_DISABLED;

/// The oldest that dockerd accepts (moby daemon/daemon_unix.go, `checkKernel`).
const OLDEST: (u32, u32) = (3, 10);
/// What runc unshares for every container.
const NAMESPACES: &[&str] = &["ipc", "mnt", "net", "pid", "uts"];
/// A limit of a machine with 2 GiB (kernel/fork.c, `fork_init`: half of the limit of threads).
const ENOUGH_NAMESPACES: u32 = 7_500;
/// What runc mounts in every container, and the build option of each (config-linux.md of the OCI runtime-spec).
const FILESYSTEMS: &[(&str, &str)] = &[
    ("proc", "PROC_FS"),
    ("sysfs", "SYSFS"),
    ("tmpfs", "TMPFS"),
    ("devpts", "UNIX98_PTYS"),
    ("mqueue", "POSIX_MQUEUE"),
];

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "kernel",
    title: "Kernel features",
    why: "Containers need namespaces, overlay and kernel keys, which only the host's kernel can provide.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[],
    rests_on: &[],
    check,
    repair: Some(Repair {
        title: "Load the missing modules into the host's kernel",
        reach: Reach::Host,
        apply: |cx, log| {
            let failed = check(cx)?.into_iter().filter(|finding| finding.level == Level::Fail);
            for cause in failed.filter_map(|finding| finding.cause) {
                kernel_modules::load(cx, log, kernel_modules::behind(cause))?;
            }
            Ok(())
        },
    }),
};

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    let release = Release::read(cx.host)?;
    cx.environment.borrow_mut().kernel = Some(release.text.clone());
    let config = Config::read(cx.host, &release.text)?;
    let mut findings = Vec::new();
    findings.extend(version(&release));
    findings.extend(namespaces(cx.host)?);
    findings.extend(filesystems(cx, config.as_ref())?);
    findings.extend(seccomp(cx.host)?);
    findings.extend(limits::judge(cx.host)?);
    findings.extend(user_namespaces(cx.host)?);
    findings.push(summary(&release, config.as_ref()));
    Ok(findings)
}

fn version(release: &Release) -> Option<Finding> {
    let finding = if release.text.ends_with("-Microsoft") {
        Finding::fail(WSL1, "this is WSL 1, whose kernel cannot run containers")
    } else if release.version.is_some_and(|version| version < OLDEST) {
        Finding::fail(TOO_OLD, format!("the kernel is {}, but Docker needs 3.10 or later", release.text))
    } else {
        return None;
    };
    Some(finding.with("release", &release.text))
}

/// A kind that the kernel was built without has no file; a limit of 0 has the same effect.
fn namespaces(host: &dyn SystemReader) -> HostResult<Option<Finding>> {
    let (mut lacking, mut limits) = (Vec::new(), Vec::new());
    for kind in NAMESPACES {
        let limit = host.read_if_there(Path::new(&format!("/proc/sys/user/max_{kind}_namespaces")))?;
        if limit.is_some_and(|limit| limit.trim() == "0") {
            lacking.push(format!("{kind} (user.max_{kind}_namespaces is 0)"));
            limits.push(format!("user.max_{kind}_namespaces={ENOUGH_NAMESPACES}"));
        } else if host
            .read_link(Path::new(&format!("/proc/self/ns/{kind}")))
            .is_err_and(|error| error.is_absent())
        {
            lacking.push((*kind).to_owned());
        }
    }
    Ok((!lacking.is_empty()).then(|| {
        let what = format!("the kernel does not make these namespaces: {}", lacking.join(", "));
        let finding = Finding::fail(NO_NAMESPACES, what).with("path", "/proc/self/ns");
        if limits.is_empty() {
            return finding;
        }
        let command = format!("`sysctl -w {}`", limits.join(" "));
        finding.hint(format!("{command}, on the host or in the user namespace that this container is in"))
    }))
}

/// Reads /proc/filesystems, and tries overlay, since a request may load its module.
fn filesystems(cx: &Cx<'_>, config: Option<&Config>) -> anyhow::Result<Vec<Finding>> {
    let table = cx.host.read_text(Path::new("/proc/filesystems"))?;
    let known = |name: &str| table.lines().any(|line| line.trim_start_matches("nodev").trim() == name);
    let mut findings = Vec::new();
    for (name, option) in FILESYSTEMS.iter().filter(|(name, _)| !known(name)) {
        let what = format!("the kernel has no {name}, which every inner container mounts");
        findings.push(
            built(Finding::fail(NO_FILESYSTEM, what), config, option).with("path", "/proc/filesystems"),
        );
    }
    if !known("overlay") {
        let tried = cx.host.trial(&Trial::Filesystem { name: "overlay".to_owned() })?;
        if let Some(error) = tried.first_failed().and_then(|attempt| attempt.error.as_ref()) {
            let finding = without_overlay(cx).hint(kernel_modules::hint(NO_OVERLAY)).with("tried", error);
            findings.push(built(finding, config, "OVERLAY_FS"));
        }
    }
    Ok(findings)
}

/// dockerd falls back to another graphdriver unless overlay is configured by name.
fn without_overlay(cx: &Cx<'_>) -> Finding {
    let what = "the kernel has no overlay, and no module provides it";
    let store = Daemon::read(cx.host, &cx.options.daemon()).ok().map(|daemon| daemon.settings.store);
    match store {
        Some(Store::Graph(Some(driver))) if !driver.starts_with("overlay") => {
            Finding::pass(format!("{what}; the storage driver is {driver}"))
        }
        Some(Store::Graph(None)) => {
            Finding::warn(NO_OVERLAY, format!("{what}: dockerd falls back to vfs, which copies every layer"))
        }
        Some(Store::Snapshotter { name, .. }) if name != "overlayfs" => {
            Finding::pass(format!("{what}; the snapshotter is {name}"))
        }
        _ => Finding::fail(NO_OVERLAY, what),
    }
}

/// Adds how an option was built: a module can be loaded, an option that is not set takes another kernel.
fn built(finding: Finding, config: Option<&Config>, option: &str) -> Finding {
    let Some(config) = config else { return finding };
    let how = match config.option(option) {
        Built::In => "y",
        Built::Module => "m",
        Built::Not => "not set",
    };
    finding.with("config", format!("CONFIG_{option} is {how} in {}", config.path))
}

/// Without it dockerd drops the default profile of inner containers (moby pkg/sysinfo).
fn seccomp(host: &dyn SystemReader) -> HostResult<Option<Finding>> {
    let path = "/proc/self/status";
    let reported = host.read_text(Path::new(path))?.lines().any(|line| line.starts_with("Seccomp:"));
    Ok((!reported).then(|| {
        Finding::warn(
            NO_SECCOMP,
            "the kernel has no seccomp: inner containers run without a system call filter",
        )
        .with("path", path)
    }))
}

/// Only a rootless daemon makes user namespaces; Debian and Ubuntu have an additional sysctl for them.
fn user_namespaces(host: &dyn SystemReader) -> HostResult<Option<Finding>> {
    if !daemon::is_rootless(host) {
        return Ok(None);
    }
    for path in ["/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone"] {
        if host.read_if_there(Path::new(path))?.is_some_and(|value| value.trim() == "0") {
            let what = "a rootless daemon needs user namespaces, which a sysctl disables";
            return Ok(Some(Finding::fail(NO_USER_NAMESPACES, what).with("path", path).with("value", 0)));
        }
    }
    Ok(None)
}

/// The finding of a passed step.
fn summary(release: &Release, config: Option<&Config>) -> Finding {
    let finding = Finding::pass(format!("the kernel is {}", release.text));
    match config {
        Some(config) => finding.with("config", &config.path),
        None => finding.with("config", "build options are not visible here"),
    }
}

#[cfg(test)]
mod tests;
