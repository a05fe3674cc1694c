//! `verify`: every step here, the first that fails, and the report in every format that was asked for.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use crate::cli;
use crate::engine::NoEngine;
use crate::engine::live::LiveEngine;
use crate::exit::Verdict;
use crate::host::live::Live;
use crate::host::recorded::Replay;
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::plan::Plan;
use crate::profile::Format;
use crate::report::files::Outputs;
use crate::report::live::Live as Watcher;
use crate::report::{Event, Report, formats};
use crate::runner::{self, Doors};
use crate::step::Phase;

use super::recording;

/// How the report is told on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// In the format of the plan.
    AsPlanned,
    /// In a line where all is well: nobody reads a ladder at every start.
    BriefWhereSound,
}

/// Runs it; the exit code is the verdict's.
pub fn verify(host: &Live, args: &cli::Verify) -> anyhow::Result<u8> {
    if let Some(file) = &args.replay {
        return replay(&recording::load(file)?, args);
    }
    let wishes = wishes(args);
    let Some(file) = args.record.as_deref() else {
        return check(host, &wishes, &args.checks.output, Told::AsPlanned);
    };
    let recorder = recording::Saved::open(file, host)?;
    let (run, code) = through(recorder.doors(), host, &wishes, &args.checks.output, Told::AsPlanned)?;
    recorder.save(&run, &wishes)?;
    Ok(code)
}

/// A run on this machine.
pub fn check(
    host: &Live,
    wishes: &PlanRequest,
    outputs: &[(Format, PathBuf)],
    told: Told,
) -> anyhow::Result<u8> {
    through((host, host), host, wishes, outputs, told).map(|(_, code)| code)
}

/// A run through these doors; its id and its exit code.
fn through(
    (seen, machine): (&dyn SystemReader, &dyn SystemWriter),
    host: &Live,
    wishes: &PlanRequest,
    outputs: &[(Format, PathBuf)],
    told: Told,
) -> anyhow::Result<(String, u8)> {
    let plan = Plan::new(seen, wishes)?;
    let outputs = Outputs::open(outputs)?;
    let interrupt = Interrupt::listen().context("listen to SIGINT and SIGTERM")?;
    let engine = LiveEngine::new(host.clone(), interrupt.clone()).context("make the runtime")?;
    if plan.reaches(Phase::Daemon) {
        engine.recover();
    }
    let doors = Doors { host: seen, machine, engine: &engine, interrupt: &interrupt };
    let code = carry_out(&plan, &doors, outputs, told)?;
    Ok((plan.options.run, code))
}

/// Plays the environment phase of a recording.
fn replay(replay: &Replay, args: &cli::Verify) -> anyhow::Result<u8> {
    let plan = recording::plan(replay, args.format)?;
    let outputs = Outputs::open(&args.checks.output)?;
    let doors = Doors { host: replay, machine: replay, engine: &NoEngine, interrupt: &Interrupt::default() };
    carry_out(&plan, &doors, outputs, Told::AsPlanned)
}

/// Runs the plan, and reports.
fn carry_out(plan: &Plan, doors: &Doors<'_>, mut outputs: Outputs, told: Told) -> anyhow::Result<u8> {
    let mut live = Watcher::new(plan.options.profile.format);
    let report = runner::run(plan, doors, &mut |event| {
        if let Event::Concluded(report) = event {
            outputs.write(report);
        }
        live.see(event);
    });
    outputs.write(&report);
    let brief = told == Told::BriefWhereSound && report.verdict() == Verdict::Sound;
    let format = if brief { Format::Brief } else { plan.options.profile.format };
    print(&report, format).context("write the report to stdout")?;
    Ok(report.verdict().exit_code())
}

/// What was typed, in the plan's words.
pub fn wishes(args: &cli::Verify) -> PlanRequest {
    PlanRequest {
        keep_daemon: args.keep_daemon,
        attach: args.attach.clone(),
        format: args.format,
        daemon_args: args.daemon_args.clone(),
        ..checks(&args.checks)
    }
}

/// The part of it that says what is checked.
pub fn checks(args: &cli::Checks) -> PlanRequest {
    PlanRequest {
        profile: args.profile.clone(),
        repair: args.repair,
        until: args.until.clone(),
        only: args.only.clone(),
        keep_going: args.keep_going,
        image: args.image.clone(),
        ..PlanRequest::default()
    }
}

/// The report on stdout. A reader that went away is no failure of ours.
fn print(report: &Report, format: Format) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let written = formats::render(report, format, &mut out).and_then(|()| out.flush());
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
