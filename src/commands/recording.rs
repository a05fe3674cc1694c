//! The files of `--record` and `--replay`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use crate::host::input;
use crate::host::live::Live;
use crate::host::recorded::{Recorder, Replay};
use crate::host::recording::Recording;
use crate::host::{SystemReader, SystemWriter};
use crate::options::PlanRequest;
use crate::plan::Plan;
use crate::report::formats::Format;
use crate::report::target::{Access, Target};
use crate::text::shown;
use crate::{steps, text};

/// The largest recording that is read, in bytes.
const MAX_RECORDING: u64 = 64 << 20;

/// The recording of a run, and its file.
pub struct Saved<'h> {
    recorder: Recorder<'h>,
    path: PathBuf,
    target: Target,
}

impl<'h> Saved<'h> {
    /// Finds out how the file can be written. Only its owner may read it, since a recording reveals much of the machine.
    pub fn open(path: &Path, host: &'h Live) -> anyhow::Result<Self> {
        let target = Target::open(path, Access::Private).context("--record")?;
        Ok(Self { recorder: Recorder::new(host, host), path: path.to_owned(), target })
    }

    /// Doors that record what passes through them.
    pub fn doors(&self) -> (&dyn SystemReader, &dyn SystemWriter) {
        (&self.recorder, &self.recorder)
    }

    /// Writes the recording.
    pub fn save(mut self, run: &str, request: &PlanRequest) -> anyhow::Result<()> {
        let recording = self.recorder.recording(run, &steps::environment(), request);
        let text = serde_json::to_string_pretty(&recording).context("--record")?;
        let written = self.target.write(shown::json(&text).as_bytes());
        written.map_err(|error| {
            let path = shown::path(&self.path);
            anyhow!(
                "--record: the recording could not be written to {path}: {}",
                text::errors::reason(&error)
            )
        })
    }
}

/// The recording of a file.
pub fn load(path: &Path) -> anyhow::Result<Replay> {
    let text = input::read(path, MAX_RECORDING).context("--replay")?;
    let text = String::from_utf8_lossy(&text);
    let name = shown::path(path);
    Ok(Replay::new(Recording::parse(&text).with_context(|| format!("--replay {name}"))?))
}

/// The request of a recording, with another format where one is given.
pub fn request(replay: &Replay, format: Option<&Format>) -> anyhow::Result<PlanRequest> {
    let recorded = replay.recording().request.clone();
    let recorded: PlanRequest =
        serde_json::from_value(recorded).context("--replay: `wishes` of the recording is invalid")?;
    let recorded_steps = Some(replay.recording().steps.clone());
    let format = format.map(|format| format.name.to_owned()).or(recorded.format);
    Ok(PlanRequest { format, recorded_steps, ..recorded })
}

/// The plan of a replay: the run id and the options of the recording, and the environment phase alone.
pub fn plan(replay: &Replay, format: Option<&Format>) -> anyhow::Result<Plan> {
    let recorded = replay.recording();
    let request = PlanRequest { environment_only: true, ..request(replay, format)? };
    let mut plan = Plan::new(replay, &request)?;
    ensure!(!plan.options.runs.is_empty(), "--replay: the options of the recording leave no step to replay");
    plan.options.run.clone_from(&recorded.run);
    Ok(plan)
}
