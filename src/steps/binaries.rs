//! Programs of the engine: is each that dockerd will start found in its PATH, and does it run here?

use std::path::PathBuf;

use crate::diagnosis::CauseId;
use crate::facts::cgroup::{Cgroups, Mode};
use crate::facts::daemon::{Containerd, Daemon, Firewall, Settings};
use crate::facts::programs::{self, Dockerd, Place, SHIM_VERSION, Said, VERSION};
use crate::facts::version::Version;
use crate::host::Host;
use crate::step::{Cx, Finding, Level, Phase, Step};

/// See the ladder in `steps/mod.rs`.
pub const STEP: Step = Step {
    id: "binaries",
    title: "Programs of the engine",
    why: "dockerd starts containerd, runc, docker-proxy and iptables by name: each must be found in its PATH and run here.",
    phase: Phase::Environment,
    check,
    repair: None,
};

/// A program that is there and does not run.
const NOT_RUNNABLE: CauseId = CauseId::new("binary-not-runnable");

/// A program that this engine, with these settings, will start.
struct Need {
    /// What it is, in the evidence.
    role: &'static str,
    /// Its name, or its path where an option says it.
    name: String,
    args: &'static [&'static str],
    dirs: Vec<PathBuf>,
    /// How its absence counts.
    level: Level,
    cause: CauseId,
    /// What does not work without it.
    breaks: &'static str,
}

/// A need and what was seen.
struct Seen {
    need: Need,
    place: Place,
    said: Option<Said>,
}

fn check(cx: &Cx<'_>) -> anyhow::Result<Vec<Finding>> {
    if let Some(endpoint) = &cx.plan.attach {
        return Ok(vec![Finding::pass(format!(
            "a daemon that runs already is used ({endpoint}): nothing is started here"
        ))]);
    }
    let dockerd = Dockerd::read(cx.host, cx.plan)?;
    if let Some(problem) = judge_dockerd(&cx.plan.profile.daemon.command, &dockerd, cx.host) {
        return Ok(vec![problem]);
    }
    let version = dockerd.version();
    cx.learned.borrow_mut().engine = version.map(|version| version.to_string());
    // A configuration that cannot be read is the next step's matter; here its defaults count.
    let settings = Daemon::read(cx.host, cx.plan).ok().map(|daemon| daemon.settings);
    let assumed = version.unwrap_or(Version::new(28, 0, 0));
    let seen = look(cx.host, needs(cx.host, assumed, settings.as_ref()))?;
    let mut findings = vec![found(&dockerd, &seen)];
    findings.extend(seen.iter().filter_map(judge));
    findings.extend(bad_pairs(cx.host, assumed, &seen)?);
    Ok(findings)
}

/// Asks all of them at once.
fn look(host: &dyn Host, needs: Vec<Need>) -> anyhow::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for need in needs {
        let place = programs::find(host, &need.name, &need.dirs)?;
        if let Place::At(path) = &place {
            host.ask_ahead(path, need.args);
        }
        seen.push(Seen { need, place, said: None });
    }
    for seen in &mut seen {
        if let Place::At(path) = &seen.place {
            seen.said = Some(programs::ask(host, path, seen.need.args, &[0, 2]));
        }
    }
    Ok(seen)
}

/// What this version starts with these settings (the defaults, where they are not known).
fn needs(host: &dyn Host, version: Version, settings: Option<&Settings>) -> Vec<Need> {
    let path = programs::path_dirs(host);
    let need = |role: &'static str, level, cause, breaks| Need {
        role,
        name: role.to_owned(),
        args: VERSION,
        dirs: path.clone(),
        level,
        cause: CauseId::new(cause),
        breaks,
    };
    let asks = |pick: fn(&Settings) -> bool, default| settings.map_or(default, pick);
    let mut needs = Vec::new();
    if asks(|s| s.containerd == Containerd::Managed, true) {
        needs.push(need("containerd", Level::Fail, "containerd-program-missing", "dockerd does not start"));
        needs.push(Need {
            args: SHIM_VERSION,
            ..need(
                "containerd-shim-runc-v2",
                Level::Fail,
                "containerd-shim-program-missing",
                "no container starts",
            )
        });
    }
    needs.push(need("runc", Level::Fail, "runc-program-missing", "dockerd does not start"));
    if asks(|s| s.userland_proxy, true) {
        let given = settings.and_then(|s| s.values.text("userland-proxy-path"));
        let name = given.unwrap_or("docker-proxy").to_owned();
        let dirs = programs::helper_dirs(host, "docker-proxy", version);
        let (level, breaks) = if version >= Version::new(28, 0, 0) {
            (Level::Fail, "dockerd does not start")
        } else {
            (Level::Warn, "no port can be published")
        };
        needs.push(Need {
            name,
            dirs,
            ..need("docker-proxy", level, "docker-proxy-program-missing", breaks)
        });
    }
    let name = settings.and_then(|s| s.values.text("init-path")).unwrap_or("docker-init").to_owned();
    let dirs = programs::helper_dirs(host, "docker-init", version);
    let breaks = "containers with --init do not start";
    needs.push(Need {
        name,
        dirs,
        ..need("docker-init", Level::Warn, "docker-init-program-missing", breaks)
    });
    let nftables = asks(|s| s.firewall == Firewall::Nftables, false);
    if asks(|s| s.iptables, true) && nftables {
        needs.push(need("nft", Level::Fail, "nft-tool-missing", "dockerd does not start"));
    } else if asks(|s| s.iptables, true) {
        needs.push(need("iptables", Level::Fail, "iptables-program-missing", "dockerd does not start"));
    }
    if asks(|s| s.ip6tables, version >= Version::new(27, 0, 0)) && !nftables {
        needs.push(need(
            "ip6tables",
            Level::Warn,
            "iptables-program-missing",
            "containers have no IPv6 rules",
        ));
    }
    if settings.and_then(|s| s.store.driver()) == Some("fuse-overlayfs") {
        let breaks = "the storage driver does not start";
        needs.push(need("fuse-overlayfs", Level::Fail, "fuse-overlayfs-program-missing", breaks));
    }
    needs
}

/// What is wrong with dockerd itself, before anything else can be said.
fn judge_dockerd(command: &str, dockerd: &Dockerd, host: &dyn Host) -> Option<Finding> {
    let missing = CauseId::new("docker-program-missing");
    let path = || host.env("PATH").unwrap_or_default();
    match (&dockerd.place, &dockerd.said) {
        (Place::Nowhere, _) if command.contains('/') => {
            Some(Finding::fail(missing, format!("{command} is not there")).with("path", command))
        }
        (Place::Nowhere, _) => {
            Some(Finding::fail(missing, format!("{command} is not in PATH")).with("PATH", path()))
        }
        (Place::NotExecutable(at), _) => Some(not_executable(at, "dockerd does not start", Level::Fail)),
        (Place::At(at), Some(Said::Broken(why, error))) => {
            Some(not_runnable(at, why, error.as_ref(), "dockerd does not start", Level::Fail))
        }
        _ => None,
    }
}

/// What is wrong with a helper.
fn judge(seen: &Seen) -> Option<Finding> {
    let Need { name, level, breaks, cause, .. } = &seen.need;
    match (&seen.place, &seen.said) {
        (Place::Nowhere, _) => {
            let what = format!("{name} is not in dockerd's PATH: {breaks}");
            let dirs =
                seen.need.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(":");
            Some(Finding { level: *level, ..Finding::fail(*cause, what) }.with("searched", dirs))
        }
        (Place::NotExecutable(path), _) => Some(not_executable(path, breaks, *level)),
        (Place::At(path), Some(Said::Broken(why, error))) => {
            Some(not_runnable(path, why, error.as_ref(), breaks, *level))
        }
        (Place::At(path), Some(Said::Answered(Some(version), words)))
            if is_broken_iptables(name, *version, words) =>
        {
            let what = format!(
                "{name} {version} (nf_tables) is known to lose and double rules; 1.8.4 is the first sound one"
            );
            Some(
                Finding::warn(CauseId::new("iptables-version-broken"), what)
                    .with("path", path.display())
                    .with("says", words),
            )
        }
        _ => None,
    }
}

/// A file without permission to run.
fn not_executable(path: &std::path::Path, breaks: &str, level: Level) -> Finding {
    let what = format!("{} is not executable: {breaks}", path.display());
    Finding { level, ..Finding::fail(NOT_RUNNABLE, what) }
        .with("path", path.display())
        .hint(format!("chmod +x {}", path.display()))
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
    match error {
        Some(error) => finding.with("errno", format!("{:?}", error.errno())),
        None => finding,
    }
}

/// The first iptables of the nf_tables kind (kubernetes-sigs/iptables-wrappers refuses them, too).
fn is_broken_iptables(name: &str, version: Version, words: &str) -> bool {
    let broken = Version::new(1, 8, 0)..Version::new(1, 8, 4);
    (name == "iptables" || name == "ip6tables") && words.contains("nf_tables") && broken.contains(&version)
}

/// Programs that are sound by themselves and do not go together, or not with this kernel.
fn bad_pairs(host: &dyn Host, dockerd: Version, seen: &[Seen]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if dockerd < Version::new(20, 10, 0) && Cgroups::read(host)?.mode == Mode::V2 {
        let what = format!("dockerd {dockerd} does not know cgroup v2, and there is no other here");
        findings.push(Finding::fail(CauseId::new("cgroup-v2-unsupported-by-docker"), what));
    }
    let containerd = seen.iter().find(|seen| seen.need.role == "containerd").and_then(version_of);
    if containerd.is_some_and(|version| version >= Version::new(2, 3, 0)) && lacks_erofs_tool(host)? {
        let what =
            "containerd 2.3 and later prepares erofs where the kernel has it, and mkfs.erofs is not here";
        findings.push(Finding::warn(CauseId::new("erofs-snapshotter-mkfs-missing"), what));
    }
    Ok(findings)
}

/// The kernel has erofs, and its tool is missing.
fn lacks_erofs_tool(host: &dyn Host) -> anyhow::Result<bool> {
    let known = host.read_if_there("/proc/filesystems".as_ref())?.unwrap_or_default();
    let has = known.lines().any(|line| line.trim().ends_with("erofs"));
    Ok(has && programs::find(host, "mkfs.erofs", &programs::path_dirs(host))? == Place::Nowhere)
}

/// The version a helper told.
fn version_of(seen: &Seen) -> Option<Version> {
    match seen.said {
        Some(Said::Answered(version, _)) => version,
        _ => None,
    }
}

/// What was found, as one finding: each program with its path and what it says.
fn found(dockerd: &Dockerd, seen: &[Seen]) -> Finding {
    let mut told = Vec::new();
    if let (Place::At(path), Some(Said::Answered(_, words))) = (&dockerd.place, &dockerd.said) {
        told.push(("dockerd", path.clone(), words.clone()));
    }
    for seen in seen {
        if let (Place::At(path), Some(Said::Answered(version, words))) = (&seen.place, &seen.said) {
            // The usage of an old docker-proxy is no answer.
            told.push((
                seen.need.role,
                path.clone(),
                if version.is_some() { words.clone() } else { "found".to_owned() },
            ));
        }
    }
    let engine =
        dockerd.version().map_or_else(|| "dockerd".to_owned(), |version| format!("dockerd {version}"));
    let what =
        format!("{engine} and {} of the programs it starts are found and run", told.len().saturating_sub(1));
    told.into_iter().fold(Finding::pass(what), |finding, (role, path, words)| {
        finding.with(role, format!("{}: {words}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::host::fake::Fake;
    use crate::testing::{self, check_with};

    /// A machine with everything that this version of dockerd needs.
    fn machine(version: &str) -> Fake {
        let says = |name: &str| format!("/usr/bin/{name} --version");
        Fake::new()
            .variable("PATH", "/usr/bin")
            .program(&says("dockerd"), 0, &format!("Docker version {version}, build 1"))
            .program(&says("containerd"), 0, "containerd github.com/containerd/containerd 1.7.24 x")
            .program(
                "/usr/bin/containerd-shim-runc-v2 -v",
                0,
                "containerd-shim-runc-v2:\n  Version: 1.7.24\n",
            )
            .program(&says("runc"), 0, "runc version 1.1.15\n")
            .program(&says("docker-proxy"), 0, "docker-proxy (commit x) version 26.1.5")
            .program(&says("docker-init"), 0, "tini version 0.19.0")
            .program(&says("iptables"), 0, "iptables v1.8.9 (nf_tables)")
            .program(&says("ip6tables"), 0, "ip6tables v1.8.9 (nf_tables)")
    }

    fn findings(host: &Fake, args: &[&str]) -> Vec<Finding> {
        check_with(&STEP, host, args).unwrap()
    }

    fn problems(host: &Fake, args: &[&str]) -> Vec<(Level, &'static str)> {
        testing::problems(&findings(host, args))
    }

    #[test]
    fn a_whole_engine_is_one_finding_with_every_version() {
        for version in ["20.10.24", "26.1.5", "28.5.2"] {
            let found = findings(&machine(version), &[]);
            assert!(
                found.len() == 1 && found[0].what.starts_with(&format!("dockerd {version} and")),
                "{found:?}"
            );
        }
    }

    #[test]
    fn absence_counts_by_version() {
        let without = |version, name: &str| {
            let gone = format!("/usr/bin/{name}");
            problems(&machine(version).fails("stat", &gone, Errno::ENOENT, None), &[])
        };
        assert_eq!(without("26.1.5", "dockerd"), [(Level::Fail, "docker-program-missing")]);
        assert_eq!(without("26.1.5", "containerd"), [(Level::Fail, "containerd-program-missing")]);
        assert_eq!(without("26.1.5", "runc"), [(Level::Fail, "runc-program-missing")]);
        assert_eq!(without("26.1.5", "docker-proxy"), [(Level::Warn, "docker-proxy-program-missing")]);
        assert_eq!(without("28.5.2", "docker-proxy"), [(Level::Fail, "docker-proxy-program-missing")]);
        assert_eq!(without("28.5.2", "docker-init"), [(Level::Warn, "docker-init-program-missing")]);
        assert_eq!(without("28.5.2", "ip6tables"), [(Level::Warn, "iptables-program-missing")]);
        assert_eq!(without("26.1.5", "ip6tables"), []);
    }

    #[test]
    fn what_the_settings_switch_off_is_not_needed() {
        let host = || {
            ["docker-proxy", "iptables"].iter().fold(machine("28.5.2"), |host, name| {
                host.fails("stat", &format!("/usr/bin/{name}"), Errno::ENOENT, None)
            })
        };
        assert_eq!(problems(&host(), &["--userland-proxy=false", "--iptables=false"]), []);
        let nft = machine("29.7.2");
        assert_eq!(problems(&nft, &["--firewall-backend=nftables"]), [(Level::Fail, "nft-tool-missing")]);
        let system = machine("28.5.2").fails("stat", "/usr/bin/containerd", Errno::ENOENT, None);
        assert_eq!(problems(&system, &["--containerd=/run/c.sock"]), []);
    }

    #[test]
    fn a_program_that_does_not_run_is_told_from_one_that_is_not_there() {
        let host = machine("26.1.5").fails("run", "/usr/bin/runc", Errno::ENOEXEC, None);
        let found = findings(&host, &[]).remove(1);
        assert_eq!(found.cause.unwrap().as_str(), "binary-not-runnable");
        assert!(found.what.contains("/usr/bin/runc does not run: it is an empty file"), "{}", found.what);
        let host = machine("26.1.5").stat_of("/usr/bin/runc", |stat| stat.mode = 0o644);
        assert_eq!(findings(&host, &[])[1].hint.as_deref(), Some("chmod +x /usr/bin/runc"));
        let host = machine("26.1.5").program("/usr/bin/dockerd --version", 139, "");
        assert_eq!(problems(&host, &[]), [(Level::Fail, "binary-not-runnable")]);
    }

    #[test]
    fn known_bad_versions_are_named() {
        let host = machine("26.1.5").program("/usr/bin/iptables --version", 0, "iptables v1.8.2 (nf_tables)");
        assert_eq!(problems(&host, &[]), [(Level::Warn, "iptables-version-broken")]);
        let host = machine("26.1.5").program("/usr/bin/iptables --version", 0, "iptables v1.8.2 (legacy)");
        assert_eq!(problems(&host, &[]), []);
        let host = machine("29.7.2")
            .program("/usr/bin/containerd --version", 0, "containerd v2.3.3")
            .file("/proc/filesystems", "nodev\ttmpfs\n\terofs\n");
        assert_eq!(problems(&host, &[]), [(Level::Warn, "erofs-snapshotter-mkfs-missing")]);
    }
}
