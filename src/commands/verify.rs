//! `verify`: every step here, the first that fails, and the report in every format that was asked for.

use std::io::Write;

use anyhow::Context;

use crate::cli;
use crate::engine::fake::FakeEngine;
use crate::engine::live::LiveEngine;
use crate::host::live::Live;
use crate::host::recorded::Replay;
use crate::host::{Host, Machine};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Wishes};
use crate::profile::Format;
use crate::report::files::Outputs;
use crate::report::live::Live as Watcher;
use crate::report::{Report, formats};
use crate::runner::{self, Doors, Event};
use crate::step::Phase;

use super::recording;

/// Runs it; the exit code is the verdict's.
pub fn verify(host: &Live, args: &cli::Verify) -> anyhow::Result<u8> {
    if let Some(file) = &args.replay {
        return replay(&recording::load(file)?, args);
    }
    let recorder = args.record.as_deref().map(|file| recording::Saved::open(file, host)).transpose()?;
    let (seen, machine) =
        recorder.as_ref().map_or((host as &dyn Host, host as &dyn Machine), recording::Saved::doors);
    let plan = Plan::new(seen, &wishes(args))?;
    let outputs = Outputs::open(&args.output)?;
    let interrupt = Interrupt::listen().context("listen to SIGINT and SIGTERM")?;
    let engine = LiveEngine::new(host.clone(), interrupt.clone()).context("make the runtime")?;
    if plan.reaches(Phase::Daemon) {
        engine.recover();
    }
    let doors = Doors { host: seen, machine, engine: &engine, interrupt: &interrupt };
    let code = carry_out(&plan, &doors, outputs)?;
    if let Some(recorder) = recorder {
        recorder.save(&plan.run, &wishes(args))?;
    }
    Ok(code)
}

/// Plays the environment phase of a recording.
fn replay(replay: &Replay, args: &cli::Verify) -> anyhow::Result<u8> {
    let plan = recording::plan(replay, args.format)?;
    let outputs = Outputs::open(&args.output)?;
    let engine = FakeEngine::default();
    let doors = Doors { host: replay, machine: replay, engine: &engine, interrupt: &Interrupt::default() };
    carry_out(&plan, &doors, outputs)
}

/// Runs the plan, and reports.
fn carry_out(plan: &Plan, doors: &Doors<'_>, mut outputs: Outputs) -> anyhow::Result<u8> {
    let mut live = Watcher::new(plan.profile.format);
    let report = runner::run(plan, doors, &mut |event| {
        if let Event::Concluded(report) = event {
            outputs.write(report);
        }
        live.see(event);
    });
    outputs.write(&report);
    print(&report, plan.profile.format).context("write the report to stdout")?;
    Ok(report.verdict().exit_code())
}

/// What was typed, in the plan's words.
pub fn wishes(args: &cli::Verify) -> Wishes {
    Wishes {
        profile: args.profile.clone(),
        repair: args.repair,
        until: args.until.clone(),
        only: args.only.clone(),
        keep_going: args.keep_going,
        keep_daemon: args.keep_daemon,
        attach: args.attach.clone(),
        image: args.image.clone(),
        format: args.format,
        environment_only: false,
        daemon_args: args.daemon_args.clone(),
    }
}

/// The report on stdout. A reader that went away is no failure of ours.
fn print(report: &Report, format: Format) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let written = formats::render(report, format, &mut out).and_then(|()| out.flush());
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
