//! Which rows are played: a sample of each kind of fault, or all of them.

use crate::fault::Fault;
use crate::shared::matrix::{self, Matrix};
use crate::world::Suite;

/// The rows that are played: of each kind of fault one, with one of its engines; in `make test-all` every fault with each.
/// `DINDCHECK_FAULT` picks every fault whose name contains it, or of a step of that name.
pub(crate) fn rows<'f>(faults: &[&'f Fault]) -> Vec<(&'f Fault, Suite)> {
    let all = matrix::full() || std::env::var_os("DINDCHECK_FAULT").is_some();
    let played = if all { picked(faults) } else { kinds(faults).into_iter().map(|kind| kind[0]).collect() };
    played.into_iter().flat_map(|fault| engines(fault).into_iter().map(move |suite| (fault, suite))).collect()
}

/// All faults, or those that `DINDCHECK_FAULT` picks.
pub(crate) fn picked<'f>(faults: &[&'f Fault]) -> Vec<&'f Fault> {
    let Ok(wanted) = std::env::var("DINDCHECK_FAULT") else { return faults.to_vec() };
    let named = |fault: &Fault, part: &str| fault.name.contains(part) || fault.step == part;
    faults.iter().copied().filter(|fault| wanted.split(',').any(|part| named(fault, part))).collect()
}

/// The rows whose remedies are applied: of each kind of fault the first that has one here, or all of them.
pub(crate) fn mended<'f>(faults: &[&'f Fault], has_remedy: impl Fn(&Fault) -> bool) -> Vec<&'f Fault> {
    if matrix::full() || std::env::var_os("DINDCHECK_FAULT").is_some() {
        return picked(faults);
    }
    let first =
        |kind: Vec<&'f Fault>| kind.iter().copied().find(|fault| has_remedy(fault)).unwrap_or(kind[0]);
    kinds(faults).into_iter().map(first).collect()
}

/// Faults by kind: the step that finds them, the cause, how that counts, and whether a repair helps.
fn kinds<'f>(faults: &[&'f Fault]) -> Vec<Vec<&'f Fault>> {
    let mut kinds: Vec<Vec<&Fault>> = Vec::new();
    let key = |fault: &Fault| (fault.step, fault.cause, fault.level, fault.repair);
    for fault in faults {
        match kinds.iter_mut().find(|kind| key(kind[0]) == key(fault)) {
            Some(kind) => kind.push(fault),
            None => kinds.push(vec![fault]),
        }
    }
    kinds
}

/// The engines that a fault is played with.
fn engines(fault: &Fault) -> Vec<Suite> {
    matrix::chosen(&[matrix::sample_engine(fault.name, fault.suites)], fault.suites)
}

/// What `make test` samples of the faults.
pub(crate) fn matrices(faults: &[&Fault]) -> Vec<Matrix> {
    let row = |fault: &Fault, suite: &Suite| format!("{} {}", fault.name, suite.engine());
    let matrix = |kind: Vec<&Fault>| {
        let (first, sample) = (kind[0], matrix::sample_engine(kind[0].name, kind[0].suites));
        let rows = kind.iter().flat_map(|fault| fault.suites.iter().map(|suite| row(fault, suite)));
        let (sample, rest) = rows.partition(|name| *name == row(first, &sample));
        Matrix {
            kind: format!("{} `{}`, {:?}", first.step, first.cause, first.level).to_lowercase(),
            sample,
            rest,
        }
    };
    kinds(faults).into_iter().map(matrix).collect()
}
