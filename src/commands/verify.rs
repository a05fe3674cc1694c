//! `verify`: runs every step here, and reports the first that fails in every format that was asked for.

use std::path::PathBuf;

use anyhow::Context;

use crate::cli;
use crate::engine::NoEngine;
use crate::engine::live::{LiveEngine, Recovery};
use crate::exit::{self, Verdict};
use crate::facts::daemon::{Layout, command_line};
use crate::host::live::Live;
use crate::host::recorded::Replay;
use crate::host::{SystemReader, SystemWriter};
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::plan::Plan;
use crate::profile::Grant;
use crate::report::files::Outputs;
use crate::report::formats::{Format, brief};
use crate::report::progress::Progress;
use crate::report::{Event, Report};
use crate::runner::{self, Doors};
use crate::step::Phase;
use crate::talk::{self, say_error};
use crate::text::any_path::AnyPath;

use super::recording;

/// The report on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryStyle {
    /// In the format of the plan. A report that cannot be written is never sound.
    AsPlanned,
    /// `brief` where the verdict is sound: an entrypoint prints it at every start, on stderr. What becomes of it does not
    /// matter for the command.
    BriefWhereSound,
}

/// Whether what killed runs left is removed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovers {
    /// As far as the plan permits.
    AsPlanned,
    /// Not at all.
    No,
}

/// Runs the steps; the exit code is the verdict's.
pub fn verify(host: &Live, args: &cli::Verify) -> anyhow::Result<u8> {
    if let Some(file) = &args.replay {
        return replay(&recording::load(file)?, args);
    }
    let request = request(args);
    let Some(file) = args.record.as_deref() else {
        return check(host, &request, &args.checks.output, SummaryStyle::AsPlanned, Recovers::AsPlanned);
    };
    let recorder = recording::Saved::open(file, host)?;
    let (run, code) = run_live(
        recorder.doors(),
        host,
        &request,
        &args.checks.output,
        SummaryStyle::AsPlanned,
        Recovers::AsPlanned,
    )?;
    match recorder.save(&run, &request) {
        Ok(()) => Ok(code),
        Err(error) => {
            say_error(&error);
            Ok(exit::unwritten(code))
        }
    }
}

/// Runs the steps on this machine; returns the exit code.
pub fn check(
    host: &Live,
    request: &PlanRequest,
    outputs: &[(String, PathBuf)],
    style: SummaryStyle,
    recovers: Recovers,
) -> anyhow::Result<u8> {
    run_live((host, host), host, request, outputs, style, recovers).map(|(_, code)| code)
}

/// Runs the steps through these doors, with a real engine; returns the run's id and the exit code.
fn run_live(
    (reader, machine): (&dyn SystemReader, &dyn SystemWriter),
    host: &Live,
    request: &PlanRequest,
    outputs: &[(String, PathBuf)],
    style: SummaryStyle,
    recovers: Recovers,
) -> anyhow::Result<(String, u8)> {
    let plan = Plan::new(reader, request)?;
    let outputs = Outputs::open(outputs)?;
    let interrupt = Interrupt::listen().context(exit::CannotCheck).context("listen to SIGINT and SIGTERM")?;
    let engine = LiveEngine::new(host.clone(), interrupt.clone());
    let engine = engine.context(exit::CannotCheck).context("make the runtime")?;
    if let Some(recovery) = recovery(&plan).filter(|_| recovers == Recovers::AsPlanned) {
        engine.recover(recovery);
        if recovery != Recovery::ObjectsOnly {
            let argv = command_line(host, &plan.options.daemon());
            engine.recover_trials(&Layout::read(host, argv.get(1..).unwrap_or_default()).data_root);
        }
    }
    let doors = Doors { host: reader, machine, engine: &engine, interrupt: &interrupt };
    let code = run_and_report(&plan, &doors, outputs, style);
    Ok((plan.options.run, code))
}

/// What of killed runs is removed before the steps: nothing where nothing may be changed, and with a daemon of somebody
/// else only our objects in it.
fn recovery(plan: &Plan) -> Option<Recovery> {
    let options = &plan.options;
    match (options.profile.repair, &options.attach) {
        _ if !plan.reaches(Phase::Daemon) => None,
        (Grant::None, _) => None,
        (_, Some(_)) => Some(Recovery::ObjectsOnly),
        _ if options.keep_daemon => Some(Recovery::SparingEtc),
        _ => Some(Recovery::Machine),
    }
}

/// Replays the environment phase of a recording.
fn replay(replay: &Replay, args: &cli::Verify) -> anyhow::Result<u8> {
    let plan = recording::plan(replay, args.format)?;
    let outputs = Outputs::open(&args.checks.output)?;
    let doors = Doors { host: replay, machine: replay, engine: &NoEngine, interrupt: &Interrupt::default() };
    Ok(run_and_report(&plan, &doors, outputs, SummaryStyle::AsPlanned))
}

/// Runs the plan, and reports.
fn run_and_report(plan: &Plan, doors: &Doors<'_>, mut outputs: Outputs, style: SummaryStyle) -> u8 {
    let mut progress = Progress::new(plan.format);
    let report = runner::run(plan, doors, &mut |event| {
        if let Event::Concluded(report) = event {
            outputs.write(report);
        }
        progress.show(event);
    });
    outputs.write(&report);
    let is_brief = style == SummaryStyle::BriefWhereSound && report.verdict() == Verdict::Sound;
    let printed = print(&report, if is_brief { &brief::FORMAT } else { plan.format });
    if let Err(error) = &printed {
        say_error(error);
    }
    let code = report.verdict().exit_code();
    let written = printed.is_ok() && outputs.all_written();
    if written || style == SummaryStyle::BriefWhereSound { code } else { exit::unwritten(code) }
}

/// The request that was typed.
pub fn request(args: &cli::Verify) -> PlanRequest {
    PlanRequest {
        keep_daemon: args.keep_daemon,
        attach: args.attach.clone(),
        format: args.format.map(|format| format.name.to_owned()),
        daemon_args: args.daemon_args.clone(),
        ..checks_request(&args.checks)
    }
}

/// The part of a request that `verify` and `entrypoint` share.
pub fn checks_request(args: &cli::Checks) -> PlanRequest {
    PlanRequest {
        profile: args.profile.clone().map(AnyPath::from),
        repair: args.repair,
        until: args.until.clone(),
        only: args.only.clone(),
        keep_going: args.keep_going,
        image: args.image.clone(),
        ..PlanRequest::default()
    }
}

/// Prints the report on stdout. A reader that closed the pipe is not an error.
fn print(report: &Report, format: &Format) -> anyhow::Result<()> {
    let text = format.text(report).context("write the report")?;
    talk::print_report(&text).context("the report is lost")
}
