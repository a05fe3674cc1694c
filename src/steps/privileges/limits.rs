//! Checks the limits of this container against what dockerd and one inner container take.
//!
//! Measured with 20.10 and 28.5: with 48 files or 40 processes no container starts or none has a network, with 128 files
//! and 150 processes everything works; with 32 MiB of memory and no swap dockerd is killed while it starts.

use std::path::{Path, PathBuf};

use crate::diagnosis::causes;
use crate::facts::cgroup::{Cgroups, Mode};
use crate::finding::{Finding, Level};
use crate::host::recorded::if_recorded;
use crate::host::{HostResult, SystemReader};

/// Files that a process may open: below the first figure Docker does not work, below the second it soon has too few.
const FILES: (u64, u64) = (64, 512);
/// Processes and threads of the container, likewise.
const PROCESSES: (u64, u64) = (50, 150);
/// Memory of dockerd and its containerd without a container, in MiB (`RssAnon` of both: 33 with 20.10, 29 with 28.5).
const ENGINE: u64 = 33;
/// Memory in MiB, likewise.
const MEMORY: (u64, u64) = (36, 96);

/// The findings.
pub(super) fn judge(host: &dyn SystemReader) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    findings.extend(if_recorded(files(host))?.flatten());
    let Ok(cgroups) = Cgroups::read(host) else { return Ok(findings) };
    findings.extend(if_recorded(processes(host, &cgroups))?.flatten());
    findings.extend(if_recorded(memory(host, &cgroups))?.flatten());
    Ok(findings)
}

/// The level of a limit; `None` where it is enough.
fn level(limit: u64, (least, enough): (u64, u64)) -> Option<Level> {
    match limit {
        limit if limit < least => Some(Level::Fail),
        limit if limit < enough => Some(Level::Warn),
        _ => None,
    }
}

/// What comes of it.
fn consequence(level: Level) -> &'static str {
    if level == Level::Fail {
        "Docker does not work with so few"
    } else {
        "a few inner containers use them up"
    }
}

/// The hard limit of open files: dockerd and containerd raise their soft limit to it.
fn files(host: &dyn SystemReader) -> HostResult<Option<Finding>> {
    let path = Path::new("/proc/self/limits");
    let text = host.read_if_there(path)?.unwrap_or_default();
    let row = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(hard) = row.and_then(|row| row.split_whitespace().nth(1)?.parse().ok()) else { return Ok(None) };
    Ok(level(hard, FILES).map(|level| {
        let what = format!("a process may open {hard} files: {}", consequence(level));
        let finding = Finding { level, ..Finding::fail(causes::OPEN_FILES_LIMIT_REACHED, what) };
        finding
            .with("path", path.display())
            .with("limit", hard)
            .hint("start the outer container with `--ulimit nofile=1048576:1048576`")
    }))
}

/// A number in a file of the cgroup of this container; `None` for `max`, and where the file is missing.
fn number(host: &dyn SystemReader, dir: &Path, file: &str) -> HostResult<Option<(PathBuf, u64)>> {
    let path = dir.join(file);
    let text = host.read_if_there(&path)?.unwrap_or_default();
    Ok(text.trim().parse().ok().map(|number| (path, number)))
}

/// The directory of a controller's cgroup of this container.
fn dir(cgroups: &Cgroups, controller: &str) -> Option<PathBuf> {
    if cgroups.mode == Mode::V2 {
        return Some(cgroups.v2_dir());
    }
    let hierarchy = cgroups.hierarchy_of(controller)?;
    let mount = cgroups.mounts.0.iter().rev().find(|mount| hierarchy.is_shown_by(mount))?;
    Some(mount.target.clone())
}

/// The limit of processes.
fn processes(host: &dyn SystemReader, cgroups: &Cgroups) -> HostResult<Option<Finding>> {
    let Some(dir) = dir(cgroups, "pids") else { return Ok(None) };
    let Some((path, most)) = number(host, &dir, "pids.max")? else { return Ok(None) };
    Ok(level(most, PROCESSES).map(|level| {
        let what = format!("this container may have {most} processes and threads: {}", consequence(level));
        let finding = Finding { level, ..Finding::fail(causes::PIDS_LIMIT_REACHED, what) };
        finding
            .with("path", path.display())
            .with("limit", most)
            .hint("start the outer container with `--pids-limit=-1`")
    }))
}

/// The limit of memory. With swap a limit is only slow.
fn memory(host: &dyn SystemReader, cgroups: &Cgroups) -> HostResult<Option<Finding>> {
    let Some(dir) = dir(cgroups, "memory") else { return Ok(None) };
    let (most, with_swap) = if cgroups.mode == Mode::V2 {
        (
            number(host, &dir, "memory.max")?,
            number(host, &dir, "memory.swap.max")?.is_none_or(|(_, swap)| swap > 0),
        )
    } else {
        let most = number(host, &dir, "memory.limit_in_bytes")?;
        let both = number(host, &dir, "memory.memsw.limit_in_bytes")?;
        let swaps = both.is_none_or(|(_, both)| most.as_ref().is_some_and(|(_, most)| both > *most));
        (most, swaps)
    };
    let Some((path, most)) = most else { return Ok(None) };
    let mib = most >> 20;
    let found = level(mib, MEMORY).map(|found| if with_swap { Level::Warn } else { found });
    Ok(found.map(|level| {
        let then = match level {
            Level::Fail => format!("the kernel kills dockerd while it starts; {} MiB is the least", MEMORY.1),
            _ => {
                format!("dockerd and containerd alone take about {ENGINE} MiB of it that cannot be reclaimed")
            }
        };
        let what = format!("this container has {mib} MiB of memory: {then}");
        let finding = Finding { level, ..Finding::fail(causes::MEMORY_LIMIT_LOW, what) };
        finding
            .with("path", path.display())
            .with("limit_bytes", most)
            .hint("start the outer container with `--memory=512m`, or without a limit")
    }))
}
