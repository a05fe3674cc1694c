//! The files of `--record` and `--replay`.
#![allow(clippy::disallowed_methods, reason = "the user's own recordings")]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::host::live::Live;
use crate::host::recorded::{Recorder, Replay};
use crate::host::recording::Recording;
use crate::host::{SystemReader, SystemWriter};
use crate::options::PlanRequest;
use crate::plan::Plan;
use crate::profile::Format;
use crate::steps;

/// A run that is being recorded.
pub struct Saved<'h> {
    recorder: Recorder<'h>,
    path: PathBuf,
    file: std::fs::File,
}

impl<'h> Saved<'h> {
    /// Makes the file, or fails before anything was touched. Only its owner may read it: it tells much of the
    /// machine.
    pub fn open(path: &Path, host: &'h Live) -> anyhow::Result<Self> {
        let options = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = options.with_context(|| format!("--record: create {}", path.display()))?;
        Ok(Self { recorder: Recorder::new(host, host), path: path.to_owned(), file })
    }

    /// The doors that are recorded.
    pub fn doors(&self) -> (&dyn SystemReader, &dyn SystemWriter) {
        (&self.recorder, &self.recorder)
    }

    /// Writes what was seen.
    pub fn save(mut self, run: &str, wishes: &PlanRequest) -> anyhow::Result<()> {
        let recording = self.recorder.recording(run, &steps::environment(), wishes);
        let written = serde_json::to_writer_pretty(&mut self.file, &recording).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.file.flush());
        written.with_context(|| format!("--record: write {}", self.path.display()))
    }
}

/// The recording of a file.
pub fn load(path: &Path) -> anyhow::Result<Replay> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--replay: read {}", path.display()))?;
    Ok(Replay::new(Recording::parse(&text).with_context(|| format!("--replay {}", path.display()))?))
}

/// What was typed for a recording, with another format where one is given.
pub fn request(replay: &Replay, format: Option<Format>) -> anyhow::Result<PlanRequest> {
    let recorded = replay.recording().request.clone();
    let recorded: PlanRequest =
        serde_json::from_value(recorded).context("--replay: `wishes` of the recording is invalid")?;
    let recorded_steps = Some(replay.recording().steps.clone());
    Ok(PlanRequest { format: format.or(recorded.format), recorded_steps, ..recorded })
}

/// The plan of a recording: its own run and options, and the environment phase alone.
pub fn plan(replay: &Replay, format: Option<Format>) -> anyhow::Result<Plan> {
    let recorded = replay.recording();
    let request = PlanRequest { environment_only: true, ..request(replay, format)? };
    let mut plan = Plan::new(replay, &request)?;
    plan.options.run.clone_from(&recorded.run);
    Ok(plan)
}
