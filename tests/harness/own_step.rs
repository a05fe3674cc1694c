//! A fault is reported by the step that its cause belongs to: another step would send its reader to look in the wrong place.

use dindcheck::diagnosis;

/// Why another step than its own reports a cause: mostly its own had looked before the fault came.
pub(crate) struct Later {
    pub(crate) cause: &'static str,
    pub(crate) step: &'static str,
    pub(crate) why: &'static str,
}

/// Fails unless each row's step is that of its cause (`live` in causes.yaml), or another one for a reason. A reason that no
/// row needs fails as well.
pub(crate) fn agrees(rows: &[(&str, &str, &str)], reasons: &[Later]) {
    let mut wrong = Vec::new();
    let mut used = vec![false; reasons.len()];
    for (name, step, cause) in rows {
        let own = diagnosis::find(cause).and_then(|cause| cause.live);
        if own == Some(*step) {
            continue;
        }
        let reason = reasons.iter().position(|later| later.cause == *cause && later.step == *step);
        match reason {
            Some(at) if own.is_some() => used[at] = true,
            _ => wrong.push(format!("{name}: {cause} is found by {own:?}, and {step} reported it")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (later, used) in reasons.iter().zip(used) {
        assert!(used && later.why.len() > 20, "{} {}: no row needs this reason", later.cause, later.step);
    }
}
