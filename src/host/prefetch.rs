//! Runs programs and trials in the background before their results are needed.
//!
//! `dockerd --version` takes 30 ms of CPU before its `main`, during which the first steps run. An answer belongs to a file
//! and not to a path, so that a program that a repair replaced is run again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::spawn::{self, Order};
use super::{ASK_DEADLINE, HostResult, Ran};
use crate::host::trial::{Trial, TrialReport};

/// A program, its arguments, and the identity of its file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Query {
    /// The path by which it is run.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Device, inode, size and time of change: the file's identity.
    pub(super) file: (u64, u64, u64, i64),
}

/// The answers of programs so far.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<Query, Answer>>);

/// The state of an answer.
#[derive(Debug)]
enum Answer {
    Pending(JoinHandle<HostResult<Ran>>),
    Known(Ran),
}

impl Answers {
    /// Starts the program, unless it was started already.
    pub(super) fn start(&self, query: Query) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let query_copy = query.clone();
        if let Entry::Vacant(free) = answers.entry(query) {
            // Where no thread can be started, the program is run when its answer is needed.
            if let Ok(running) = std::thread::Builder::new().spawn(move || run(&query_copy)) {
                free.insert(Answer::Pending(running));
            }
        }
    }

    /// The answer; waits for it where it is pending.
    pub(super) fn get(&self, query: &Query) -> HostResult<Ran> {
        self.start(query.clone());
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match answers.remove(query) {
            // A program that failed in the background may have been repaired meanwhile: it is run again.
            Some(Answer::Pending(running)) => running.join().ok().and_then(Result::ok),
            Some(Answer::Known(answer)) => Some(answer),
            None => None,
        };
        let answer = answer.map_or_else(|| run(query), Ok)?;
        answers.insert(query.clone(), Answer::Known(answer.clone()));
        Ok(answer)
    }
}

/// The trials that run in the background.
#[derive(Debug, Default)]
pub(super) struct RunningTrials(Mutex<Vec<(Trial, JoinHandle<HostResult<TrialReport>>)>>);

impl RunningTrials {
    /// Adds a trial that runs.
    pub(super) fn put(&self, trial: &Trial, running: JoinHandle<HostResult<TrialReport>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((trial.clone(), running));
    }

    /// Waits for a trial that was started and takes its result; `None` where there is none, or where it failed.
    pub(super) fn take(&self, trial: &Trial) -> Option<TrialReport> {
        let mut trials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = trials.iter().position(|(other, _)| other == trial)?;
        let (_, running) = trials.swap_remove(at);
        drop(trials);
        running.join().ok().and_then(Result::ok)
    }
}

/// Waits for every trial, so that none outlives the program. The thread of a trial removes what it leaves.
impl Drop for RunningTrials {
    fn drop(&mut self) {
        for (_, running) in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = running.join();
        }
    }
}

/// Waits for every program, so that none outlives dindcheck.
impl Drop for Answers {
    fn drop(&mut self) {
        let answers = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, answer) in answers.drain() {
            if let Answer::Pending(running) = answer {
                let _ = running.join();
            }
        }
    }
}

/// Runs the program. Engines are written in Go; in a process that ends at once its garbage collector only costs time, a
/// quarter of it for `dockerd --version`.
fn run(query: &Query) -> HostResult<Ran> {
    let args: Vec<&str> = query.args.iter().map(String::as_str).collect();
    let env = &[("GOGC", "off")];
    let (program, within) = (query.program.as_path(), ASK_DEADLINE);
    spawn::run(Order { program, args: &args, env, within, keep: spawn::MAX_VERSION })
}
