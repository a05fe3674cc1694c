//! `entrypoint`: verifies, keeps the inner daemon, and is the init of a command.

use std::os::unix::process::CommandExt;

use anyhow::Context;

use super::verify::{self, Recovers, SummaryStyle};
use crate::cli;
use crate::entrypoint::firewall::{self, Choice};
use crate::entrypoint::task::Task;
use crate::entrypoint::{self, CheckRequest, EntrypointRequest, say, tls};
use crate::host::SystemReader;
use crate::host::live::Live;
use crate::options::PlanRequest;
use crate::plan::Plan;

/// Set in the environment once iptables was chosen.
const CHOSEN: &str = "DINDCHECK_IPTABLES_CHOSEN";

/// Runs the entrypoint. Every mistake in the arguments is found before anything starts.
pub fn entrypoint(host: &Live, args: &cli::Entrypoint) -> anyhow::Result<u8> {
    let task = Task::read(host, &args.argv, &args.dockerd_arg);
    let request = PlanRequest {
        keep_daemon: true,
        quiet_daemon: true,
        daemon_args: task.daemon_args.clone(),
        ..verify::checks_request(&args.checks)
    };
    let plan = Plan::new(host, &request)?;
    if let Some(notice) = &task.notice {
        say(notice);
    }
    let check = CheckRequest {
        plan: request,
        outputs: args.checks.output.iter().map(|(format, path)| (format.clone(), path.into())).collect(),
        certificates: task.certificates.clone(),
        restart: false,
    };
    let on_death = args.on_daemon_death.unwrap_or(plan.options.profile.daemon.on_death);
    let (on_failure, stop_timeout) = (args.on_failure, args.stop_timeout);
    entrypoint::run(host, EntrypointRequest { task, check, on_failure, on_death, stop_timeout })
}

/// `__check`: the child of an entrypoint.
pub fn check(host: &Live, request: &str) -> anyhow::Result<u8> {
    let request: CheckRequest = serde_json::from_str(request).context("__check: invalid JSON")?;
    if host.env(CHOSEN).is_none() {
        if let Some(dir) = &request.certificates {
            tls::provide(host, host, dir)?;
        }
        if let Choice::Legacy(why) = firewall::choose(host) {
            return Err(restart_with_legacy(host, why));
        }
    }
    let outputs = request.outputs.iter().map(|(format, path)| (format.clone(), path.to_path_buf()));
    let recovers = if request.restart { Recovers::No } else { Recovers::AsPlanned };
    let outputs: Vec<_> = outputs.collect();
    verify::check(host, &request.plan, &outputs, SummaryStyle::BriefWhereSound, recovers)
}

/// Replaces this process by itself, with a PATH in which the legacy iptables comes first. Returns only on failure.
#[expect(clippy::disallowed_methods, reason = "this program itself, with its own arguments")]
fn restart_with_legacy(host: &Live, why: &str) -> anyhow::Error {
    say(&format!("dockerd uses the legacy iptables: {why}"));
    let path = match firewall::path_with_legacy(host) {
        Ok(path) => path,
        Err(error) => return error.context("make links to the legacy iptables"),
    };
    let mut command = std::process::Command::new("/proc/self/exe");
    let error = command.args(std::env::args_os().skip(1)).env("PATH", path).env(CHOSEN, "legacy").exec();
    crate::talk::survive_broken_pipe();
    anyhow::Error::new(error).context("restart the check")
}
