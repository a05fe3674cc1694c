//! `verify`: every step here, the first that fails, and the report in every format that was asked for.

use std::io::Write;
use std::path::PathBuf;

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
use crate::report::{Report, human};
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
    let talk = plan.profile.format != Format::Human || std::io::IsTerminal::is_terminal(&std::io::stderr());
    let report = runner::run(plan, doors, &mut |event| match event {
        Event::Concluded(report) => {
            outputs.write(report);
            if let Some(step) = report.steps.last().filter(|_| talk) {
                anstream::eprintln!("{}", human::line(step));
            }
        }
        Event::Said(text) if talk => anstream::eprintln!("           {text}"),
        Event::Said(_) | Event::Started(_) | Event::Ended(_) => {}
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
    let written = render(report, format, &mut out).and_then(|()| out.flush());
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// The report in a format.
fn render(report: &Report, format: Format, out: &mut dyn Write) -> std::io::Result<()> {
    match format {
        Format::Human => human::render(report, out),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
    }
}

/// The report's files: opened before anything is touched, written anew after every step, so that they
/// survive a crash.
struct Outputs(Vec<(Format, PathBuf)>);

impl Outputs {
    fn open(wanted: &[(Format, PathBuf)]) -> anyhow::Result<Self> {
        for (_, path) in wanted {
            create(path).with_context(|| format!("--output: create {}", path.display()))?;
        }
        Ok(Self(wanted.to_vec()))
    }

    /// Writes beside the file and renames, so that a reader never sees half a report.
    fn write(&mut self, report: &Report) {
        self.0.retain(|(format, path)| match replace(report, *format, path) {
            Ok(()) => true,
            Err(error) => {
                anstream::eprintln!(
                    "dindcheck: the report could not be written to {}: {error}",
                    path.display()
                );
                false
            }
        });
    }
}

/// Makes an empty file, or fails before anything was touched.
#[allow(clippy::disallowed_methods, reason = "the user's own report files")]
fn create(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::File::create(path).map(drop)
}

/// Replaces a report file as a whole.
#[allow(clippy::disallowed_methods, reason = "the user's own report files")]
fn replace(report: &Report, format: Format, path: &std::path::Path) -> std::io::Result<()> {
    let mut text = anstream::StripStream::new(Vec::new());
    render(report, format, &mut text)?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    std::fs::write(&aside, text.into_inner())?;
    std::fs::rename(&aside, path)
}
