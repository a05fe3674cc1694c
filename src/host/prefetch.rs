//! What is asked ahead of need, on threads of its own: what programs say of themselves, and trials.
//!
//! `dockerd --version` takes some 30 ms of CPU before `main`: time in which the first steps run. An answer
//! belongs to a file and not to a path, so that a program which a repair replaced is asked anew.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{ASK_DEADLINE, HostResult, Ran, spawn};
use crate::host::trial::{Trial, TrialReport};

/// What is asked of which file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The path it is run by.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Device, inode, size and time of change: the file's identity.
    pub(super) file: (u64, u64, u64, i64),
}

/// Every question so far.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<HashMap<Question, Answer>>);

/// What became of a question.
#[derive(Debug)]
enum Answer {
    Awaited(JoinHandle<HostResult<Ran>>),
    Known(Ran),
}

impl Asked {
    /// Starts the program, unless it was asked already.
    pub(super) fn begin(&self, question: Question) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = question.clone();
        if let Entry::Vacant(free) = answers.entry(question) {
            // Where no thread can be started, the question waits until its answer is needed.
            if let Ok(running) = std::thread::Builder::new().spawn(move || put(&asked)) {
                free.insert(Answer::Awaited(running));
            }
        }
    }

    /// The answer, waited for where it is not there yet.
    pub(super) fn ask(&self, question: &Question) -> HostResult<Ran> {
        self.begin(question.clone());
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match answers.remove(question) {
            // What failed ahead of need may have been repaired meanwhile.
            Some(Answer::Awaited(running)) => running.join().ok().and_then(Result::ok),
            Some(Answer::Known(answer)) => Some(answer),
            None => None,
        };
        let answer = answer.map_or_else(|| put(question), Ok)?;
        answers.insert(question.clone(), Answer::Known(answer.clone()));
        Ok(answer)
    }
}

/// Trials that were begun.
#[derive(Debug, Default)]
pub(super) struct Begun(Mutex<Vec<(Trial, JoinHandle<HostResult<TrialReport>>)>>);

impl Begun {
    /// Keeps a trial that runs.
    pub(super) fn put(&self, trial: &Trial, running: JoinHandle<HostResult<TrialReport>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((trial.clone(), running));
    }

    /// The result of a trial that was begun and came to an end, waited for; the next one is tried anew.
    pub(super) fn take(&self, trial: &Trial) -> Option<TrialReport> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = begun.iter().position(|(other, _)| other == trial)?;
        let (_, running) = begun.swap_remove(at);
        drop(begun);
        running.join().ok().and_then(Result::ok)
    }
}

/// Nothing that was started outlives the door, and what a trial leaves is removed by its thread.
impl Drop for Begun {
    fn drop(&mut self) {
        for (_, running) in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = running.join();
        }
    }
}

/// Nothing that was started outlives the door.
impl Drop for Asked {
    fn drop(&mut self) {
        let answers = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, answer) in answers.drain() {
            if let Answer::Awaited(running) = answer {
                let _ = running.join();
            }
        }
    }
}

/// Runs the program. Engines are written in Go, whose collector only costs time in a process that ends at
/// once (a quarter of it for `dockerd --version`).
fn put(question: &Question) -> HostResult<Ran> {
    let args: Vec<&str> = question.args.iter().map(String::as_str).collect();
    spawn::run(&question.program, &args, &[("GOGC", "off")], ASK_DEADLINE)
}
