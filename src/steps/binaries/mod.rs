//! Checks that each program that dockerd starts is in its PATH and runs here.

mod clock;
mod needs;
mod packages;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::diagnosis::{CauseId, causes};
use crate::facts::cgroup::{Cgroups, Mode};
use crate::facts::daemon::given::given;
use crate::facts::daemon::{Daemon, Running};
use crate::facts::endpoint::Endpoint;
use crate::facts::programs::{self, Dockerd, Place, Said};
use crate::facts::version::Version;
use crate::finding::{Finding, Level, quoted};
use crate::host::SystemReader;
use crate::host::environ::WithEnviron;
use crate::options::Need;
use crate::step::{Cx, Phase, Step};

use needs::{NeededProgram, needs};

/// The step; its place in the ladder is in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "binaries",
    title: "Programs of the engine",
    why: "dockerd starts containerd, runc, docker-proxy and iptables by name: each must be found in its PATH and run here.",
    phase: Phase::Environment,
    worst: Level::Fail,
    needs: &[Need::DockerdVersion],
    rests_on: &[],
    check,
    repair: None,
};

/// A program that exists but does not run.
const NOT_RUNNABLE: CauseId = causes::BINARY_NOT_RUNNABLE;

/// A program, where it was found, and its answer.
struct Seen {
    need: NeededProgram,
    place: Place,
    said: Option<Said>,
}

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.options.attach {
        return attached(cx, endpoint);
    }
    let dockerd = Dockerd::read(cx.host, &cx.options.profile.daemon.command)?;
    if let Some(problem) = judge_dockerd(&cx.options.profile.daemon.command, &dockerd, cx.host) {
        return Ok(vec![problem]);
    }
    let version = dockerd.version();
    cx.environment.borrow_mut().engine = version.map(|version| version.to_string());
    // `daemon-config` reports an unreadable configuration; here its defaults count.
    let daemon = Daemon::read(cx.host, &cx.options.daemon()).ok();
    let assumed = version.unwrap_or(Version::new(28, 0, 0));
    let seen = look(cx.host, needs(cx.host, assumed, daemon.as_ref().map(|daemon| &daemon.settings)))?;
    let mut findings = vec![found(&dockerd, &seen)];
    findings.extend(seen.iter().filter_map(judge).map(|finding| match &daemon {
        Some(daemon) => with_driver(finding, daemon),
        None => finding,
    }));
    findings.extend(bad_pairs(cx.host, assumed, &seen)?);
    findings.extend(clock::judge(cx.host, &dockerd));
    Ok(findings)
}

/// The programs that a running daemon starts for each container. It was not hindered by the lack of any other so far.
const OF_CONTAINERS: &[&str] = &["runc", "containerd-shim-runc-v2"];

/// The programs of a daemon that is running already, in its own PATH.
fn attached(cx: &Cx<'_>, endpoint: &Endpoint) -> anyhow::Result<Vec<Finding>> {
    let command = match Running::find(cx.host, endpoint) {
        Running::Here(command) => command,
        Running::Elsewhere(why) => {
            let what = format!("not checked: the daemon at {endpoint} is already running, and {why}");
            return Ok(vec![Finding::pass(what)]);
        }
    };
    let host = &WithEnviron::of(cx.host, command.pid);
    let dockerd = Dockerd::read(host, &command.program)?;
    let Some(version) = dockerd.version() else {
        let what = format!("not checked: the version of dockerd, process {}, is unknown", command.pid);
        return Ok(vec![Finding::pass(what)]);
    };
    let settings = Daemon::read(host, &command.invocation()).ok().map(|daemon| daemon.settings);
    let mut needs = needs(host, version, settings.as_ref());
    for need in needs.iter_mut().filter(|need| !OF_CONTAINERS.contains(&need.role)) {
        need.level = Level::Warn;
    }
    let seen = look(host, needs)?;
    let mut findings = vec![found(&dockerd, &seen)];
    findings.extend(seen.iter().filter_map(judge));
    Ok(findings)
}

/// Asks all programs for their versions at once.
fn look(host: &dyn SystemReader, needs: Vec<NeededProgram>) -> anyhow::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for need in needs {
        let place = programs::find(host, &need.name, &need.dirs)?;
        if let (Place::At(path), true) = (&place, need.run) {
            host.ask_ahead(path, need.args);
        }
        seen.push(Seen { need, place, said: None });
    }
    for seen in &mut seen {
        if let Place::At(path) = &seen.place {
            let put = if seen.need.run { programs::ask } else { programs::inspect };
            seen.said = Some(put(host, path, seen.need.args, &[0, 2]));
        }
    }
    Ok(seen)
}

/// The finding on dockerd itself, without which nothing else is known.
fn judge_dockerd(command: &str, dockerd: &Dockerd, host: &dyn SystemReader) -> Option<Finding> {
    let missing = causes::DOCKER_PROGRAM_MISSING;
    let path = || host.env("PATH").unwrap_or_default();
    match (&dockerd.place, &dockerd.said) {
        (Place::Nowhere, _) if command.contains('/') => Some(with_hint(
            Finding::fail(missing, format!("{command} does not exist")).with("path", command),
            packages::install("dockerd"),
        )),
        (Place::Nowhere, _) => Some(with_hint(
            Finding::fail(missing, format!("{command} is not in PATH")).with("PATH", path()),
            elsewhere(host, command).or_else(|| packages::install("dockerd")),
        )),
        (Place::NotExecutable(at), _) => Some(not_executable(at, "dockerd does not start", Level::Fail)),
        (Place::At(at), Some(Said::Broken(why, error))) => {
            Some(not_runnable(at, why, error.as_ref(), "dockerd does not start", Level::Fail))
        }
        _ => None,
    }
}

/// Adds a hint, where there is one.
fn with_hint(finding: Finding, hint: Option<String>) -> Finding {
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

/// Directories of programs that the PATH of a user or of cron leaves out (login.defs(5), ENV_SUPATH).
const OF_ROOT: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How a program is reached that is where PATH does not look.
fn elsewhere(host: &dyn SystemReader, command: &str) -> Option<String> {
    let has = |dir: &&&str| host.exists(&Path::new(dir).join(command)).unwrap_or(false);
    let dir = OF_ROOT.iter().find(has)?;
    Some(format!("it is in {dir}: `export PATH=$PATH:{dir}`"))
}

/// The finding on one of the other programs.
fn judge(seen: &Seen) -> Option<Finding> {
    let NeededProgram { name, level, breaks, cause, .. } = &seen.need;
    match (&seen.place, &seen.said) {
        (Place::Nowhere, _) => {
            let what = format!("{name} is not in dockerd's PATH: {breaks}");
            let dirs =
                seen.need.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(":");
            let finding = Finding { level: *level, ..Finding::fail(*cause, what) }.with("searched", dirs);
            let hint = packages::install(seen.need.role);
            Some(with_hint(finding, hint.map(|hint| format!("{hint}{}", without(seen.need.role)))))
        }
        (Place::NotExecutable(path), _) => Some(not_executable(path, breaks, *level)),
        (Place::At(_), Some(Said::Broken(why, None))) if is_the_kernels_refusal(why) => None,
        (Place::At(path), Some(Said::Broken(why, error))) => {
            Some(not_runnable(path, why, error.as_ref(), breaks, *level))
        }
        (Place::At(path), Some(Said::Answered(Some(version), words)))
            if is_broken_iptables(name, *version, words) =>
        {
            let what = format!("{name} {version} (nf_tables) loses and duplicates rules; use 1.8.4 or later");
            Some(
                Finding::warn(causes::IPTABLES_VERSION_BROKEN, what)
                    .with("path", path.display())
                    .with("says", words)
                    .hint("update it (`apt-get install iptables`), or use the other kind: `update-alternatives --set iptables /usr/sbin/iptables-legacy`"),
            )
        }
        _ => None,
    }
}

/// Adds how dockerd starts without the driver whose program is missing.
fn with_driver(finding: Finding, daemon: &Daemon) -> Finding {
    match (finding.cause, &finding.hint) {
        (Some(causes::FUSE_OVERLAYFS_PROGRAM_MISSING), Some(hint)) => {
            let hint = format!("{hint}; or {}", given(daemon, "storage-driver").undo);
            finding.hint(hint)
        }
        _ => finding,
    }
}

/// How dockerd starts without a program.
fn without(role: &str) -> &'static str {
    match role {
        "docker-proxy" => "; or start dockerd with `--userland-proxy=false`",
        "iptables" => {
            "; without networks for inner containers dockerd also starts with `--iptables=false --bridge=none`"
        }
        _ => "",
    }
}

/// iptables-nft asks the kernel before it prints its version. If that fails, the program is sound, and `network` reports
/// what the kernel lacks.
fn is_the_kernels_refusal(why: &str) -> bool {
    why.contains("Failed to initialize nft")
}

/// A file without the permission to execute.
fn not_executable(path: &std::path::Path, breaks: &str, level: Level) -> Finding {
    let what = format!("{} is not executable: {breaks}", path.display());
    Finding { level, ..Finding::fail(NOT_RUNNABLE, what) }
        .with("path", path.display())
        .hint(format!("chmod +x {}", quoted(path)))
}

/// A program that does not run.
fn not_runnable(
    path: &std::path::Path,
    why: &str,
    error: Option<&crate::host::HostError>,
    breaks: &str,
    level: Level,
) -> Finding {
    let what = format!("{} does not run: {why}: {breaks}", path.display());
    let finding = Finding { level, ..Finding::fail(NOT_RUNNABLE, what) }.with("path", path.display());
    let finding = match error {
        Some(error) => finding.with("errno", format!("{:?}", error.errno())),
        None => finding,
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    with_hint(finding, packages::reinstall(&name))
}

/// The first releases of iptables-nft (kubernetes-sigs/iptables-wrappers refuses them, too).
fn is_broken_iptables(name: &str, version: Version, words: &str) -> bool {
    let broken = Version::new(1, 8, 0)..Version::new(1, 8, 4);
    (name == "iptables" || name == "ip6tables") && words.contains("nf_tables") && broken.contains(&version)
}

/// Programs that do not work together, or not with this kernel.
fn bad_pairs(host: &dyn SystemReader, dockerd: Version, seen: &[Seen]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if dockerd < Version::new(20, 10, 0) && Cgroups::read(host)?.mode == Mode::V2 {
        let what = format!("dockerd {dockerd} does not support cgroup v2, but only v2 is mounted here");
        findings.push(Finding::fail(causes::CGROUP_V2_UNSUPPORTED_BY_DOCKER, what));
    }
    let containerd =
        seen.iter().find(|seen| seen.need.role == "containerd-shim-runc-v2").and_then(version_of);
    if containerd.is_some_and(|version| version >= Version::new(2, 3, 0)) && lacks_erofs_tool(host)? {
        let what = "containerd 2.3 and later uses erofs where the kernel has it, but mkfs.erofs is missing";
        findings.push(Finding::warn(causes::EROFS_SNAPSHOTTER_MKFS_MISSING, what));
    }
    Ok(findings)
}

/// Whether the kernel has erofs but mkfs.erofs is missing.
fn lacks_erofs_tool(host: &dyn SystemReader) -> anyhow::Result<bool> {
    let known = host.read_if_there("/proc/filesystems".as_ref())?.unwrap_or_default();
    let has = known.lines().any(|line| line.trim().ends_with("erofs"));
    Ok(has && programs::find(host, "mkfs.erofs", &programs::path_dirs(host))? == Place::Nowhere)
}

/// The version that a program printed.
fn version_of(seen: &Seen) -> Option<Version> {
    match seen.said {
        Some(Said::Answered(version, _)) => version,
        _ => None,
    }
}

/// One finding with each program, its path and its version.
fn found(dockerd: &Dockerd, seen: &[Seen]) -> Finding {
    let mut programs = Vec::new();
    if let (Place::At(path), Some(Said::Answered(_, words))) = (&dockerd.place, &dockerd.said) {
        programs.push(("dockerd", path.clone(), words.clone()));
    }
    for seen in seen {
        let words = match &seen.said {
            Some(Said::Answered(Some(_), words)) => words.clone(),
            // An old docker-proxy prints its usage instead of a version.
            Some(Said::Answered(None, _)) => "it runs".to_owned(),
            Some(Said::Whole) => "a complete executable for this machine".to_owned(),
            _ => continue,
        };
        if let Place::At(path) = &seen.place {
            programs.push((seen.need.role, path.clone(), words));
        }
    }
    let engine =
        dockerd.version().map_or_else(|| "dockerd".to_owned(), |version| format!("dockerd {version}"));
    let what = format!(
        "{engine} and {} programs that it starts are present and run",
        programs.len().saturating_sub(1)
    );
    programs.into_iter().fold(Finding::pass(what), |finding, (role, path, words)| {
        finding.with(role, format!("{}: {words}", path.display()))
    })
}
