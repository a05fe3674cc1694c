//! Checks that what the options name exists (users, groups, certificates, systemd), and environment variables that change
//! what dockerd does.

use std::path::Path;

use super::values::refused;
use crate::diagnosis::causes;
use crate::facts::cgroup::{Cgroups, Mode};
use crate::facts::daemon::hosts::Listen;
use crate::facts::daemon::{Daemon, Settings};
use crate::facts::version::Version;
use crate::finding::{Finding, quoted_text};
use crate::host::SystemReader;

/// Checks each.
pub(super) fn judge(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(certificates(host, &daemon.settings)?);
    findings.extend(group(host, daemon)?);
    findings.extend(remap(host, &daemon.settings)?);
    findings.extend(cgroup_driver(host, &daemon.settings)?);
    findings.extend(activation(daemon));
    findings.extend(variables(host, daemon));
    Ok(findings)
}

/// The name of the CA in findings.
const CA: &str = "CA (tlscacert)";

/// Certificate, key and (with verification) CA must be readable files.
fn certificates(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Option<Finding>> {
    let tls = &settings.tls;
    let cause = causes::DAEMON_TLS_CONFIG_INVALID;
    if !tls.on {
        return Ok(None);
    }
    let names = [CA, "certificate (tlscert)", "key (tlskey)"];
    let required = names.iter().zip(&tls.files).skip(usize::from(!tls.verify));
    for (name, file) in required {
        let Some(path) = file else {
            // Without its own CA dockerd uses those of the system.
            if *name == CA {
                continue;
            }
            return Ok(Some(Finding::fail(cause, format!("TLS is on, but the {name} is not configured"))));
        };
        if !host.exists(path)? {
            let what = format!("TLS is on, but the {name} {} does not exist", path.display());
            return Ok(Some(Finding::fail(cause, what).with("path", path.display())));
        }
    }
    Ok(None)
}

/// A configured group must exist; the default one need not.
fn group(host: &dyn SystemReader, daemon: &Daemon) -> anyhow::Result<Option<Finding>> {
    let Some(name) = daemon.settings.values.text("group").filter(|name| *name != "docker") else {
        return Ok(None);
    };
    let known = host.read_if_there(Path::new("/etc/group"))?.unwrap_or_default();
    let exists =
        name.parse::<u32>().is_ok() || known.lines().any(|line| line.split(':').next() == Some(name));
    let unix = daemon.settings.hosts.iter().any(|listen| matches!(listen, Listen::Unix(_)));
    Ok((unix && !exists).then(|| {
        refused(daemon, "group", format!("the group `{name}` of the socket does not exist"))
            .hint(format!("groupadd {}, or remove the option", quoted_text(name)))
    }))
}

/// `--userns-remap USER`: for `default` dockerd makes the user `dockremap` itself; any other must exist and
/// have subordinate ids.
fn remap(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Option<Finding>> {
    let Some(user) = settings.userns_remap.as_deref().and_then(|spec| spec.split(':').next()) else {
        return Ok(None);
    };
    if user == "default" {
        return Ok(None);
    }
    let mut lacking = Vec::new();
    for file in ["/etc/subuid", "/etc/subgid"] {
        let ranges = host.read_if_there(Path::new(file))?.unwrap_or_default();
        // The owner is a name or a number.
        if user.parse::<u32>().is_err() && !ranges.lines().any(|line| line.split(':').next() == Some(user)) {
            lacking.push(file);
        }
    }
    let Some(first) = lacking.first() else { return Ok(None) };
    let what = format!("userns-remap is `{user}`, but {} has no ids for that user", lacking.join(" and "));
    let range = quoted_text(&format!("{user}:100000:65536"));
    let commands: Vec<_> = lacking.iter().map(|file| format!("echo {range} >> {file}")).collect();
    let finding = Finding::fail(causes::SUBUID_RANGE_MISSING, what).with("path", first);
    Ok(Some(finding.hint(format!("`{}`", commands.join("; ")))))
}

/// The systemd cgroup driver needs systemd (`/run/systemd/system`), and a slice as parent.
fn cgroup_driver(host: &dyn SystemReader, settings: &Settings) -> anyhow::Result<Option<Finding>> {
    let running = host.exists(Path::new("/run/systemd/system"))?;
    let systemd = match settings.cgroup_driver.as_deref() {
        Some(name) => name == "systemd",
        None => running && Cgroups::read(host)?.mode == Mode::V2,
    };
    if systemd && !running {
        let what = "native.cgroupdriver is systemd, but systemd does not run here: no container starts";
        return Ok(Some(
            Finding::fail(causes::SYSTEMD_CGROUP_DRIVER_WITHOUT_SYSTEMD, what)
                .with("path", "/run/systemd/system")
                .hint("set `\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]` in daemon.json"),
        ));
    }
    let parent = settings.cgroup_parent.as_deref().filter(|parent| systemd && !is_slice(parent));
    Ok(parent.map(|parent| {
        let what = format!("cgroup-parent is `{parent}`, but the systemd driver accepts only slices");
        Finding::fail(causes::CGROUP_PARENT_NOT_A_SLICE, what)
            .hint(format!("name it {parent}.slice, or use cgroupfs"))
    }))
}

/// `xxx.slice`.
fn is_slice(name: &str) -> bool {
    name.strip_suffix(".slice").is_some_and(|rest| !rest.is_empty())
}

/// `fd://`, copied from a systemd unit: nothing passes sockets to dockerd here.
fn activation(daemon: &Daemon) -> Option<Finding> {
    let listen = daemon.settings.hosts.iter().find(|listen| matches!(listen, Listen::Fd(_)))?;
    let what = format!("dockerd will listen on {listen}, but systemd does not pass it sockets here");
    Some(refused(daemon, "hosts", what).hint("listen on unix:///var/run/docker.sock instead of fd://"))
}

/// Variables that change what dockerd does, or have no effect although they seem to.
fn variables(host: &dyn SystemReader, daemon: &Daemon) -> Vec<Finding> {
    let set = |name: &str| host.env(name).filter(|value| !value.is_empty());
    let misleads = causes::ENVIRONMENT_VARIABLE_MISLEADS_DAEMON;
    let warn = |name: &'static str, value: &str, what: String| {
        Finding::warn(misleads, what).with(name, value).hint(format!("`unset {name}`"))
    };
    let mut findings = Vec::new();
    let option = daemon.settings.values.text("storage-driver");
    if let (Some(env), Some(option)) =
        (set("DOCKER_DRIVER"), option.filter(|o| set("DOCKER_DRIVER").as_deref() != Some(o)))
    {
        let what = format!("DOCKER_DRIVER={env} overrides the option storage-driver, which is {option}");
        findings.push(warn("DOCKER_DRIVER", &env, what));
    }
    if let Some(value) = set("DOCKER_RAMDISK") {
        let what =
            "DOCKER_RAMDISK is set: containers start without pivot_root and can escape their root directory";
        findings.push(warn("DOCKER_RAMDISK", &value, what.to_owned()));
    }
    if let Some(value) = set("DOCKER_FIREWALL_BACKEND") {
        let why = if daemon.version.major == 28 {
            "it is experimental in dockerd 28, and the Debian build supports only iptables"
        } else {
            "only dockerd 28 reads it"
        };
        let what = format!("DOCKER_FIREWALL_BACKEND={value} has no effect here: {why}");
        findings.push(warn("DOCKER_FIREWALL_BACKEND", &value, what));
    }
    findings.extend(set("DOCKER_MIN_API_VERSION").and_then(|value| {
        let why = bad_api_version(daemon.version, &value)?;
        let what = format!("DOCKER_MIN_API_VERSION is `{value}`: {why}");
        Some(
            Finding::fail(misleads, what)
                .with("DOCKER_MIN_API_VERSION", value)
                .hint("unset DOCKER_MIN_API_VERSION"),
        )
    }));
    findings
}

/// `ValidateMinAPIVersion`, since 25.0; none of them serves less than 1.24.
fn bad_api_version(daemon: Version, text: &str) -> Option<&'static str> {
    if daemon < Version::new(25, 0, 0) {
        return None;
    }
    let number = |part: &str| part.parse::<u32>().ok();
    match text.split_once('.').map(|(major, minor)| (number(major), number(minor))) {
        _ if text.starts_with(['v', 'V']) => Some("remove the `v`"),
        Some((Some(major), Some(minor))) if (major, minor) < (1, 24) => {
            Some("1.24 is the oldest version that dockerd serves")
        }
        Some((Some(_), Some(_))) => None,
        _ => Some("it is not a version such as 1.40"),
    }
}
