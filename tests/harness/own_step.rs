//! A fault is reported by the step that its cause belongs to: another step would send its reader to look in the wrong place.

use dindcheck::diagnosis;

/// Why a later step reports a cause of an earlier one: that had looked before the fault came.
pub(crate) struct Later {
    pub(crate) cause: &'static str,
    pub(crate) step: &'static str,
    pub(crate) why: &'static str,
}

/// Fails unless each row's step is that of its cause (`live` in causes.yaml), or a later one for a reason. A reason that no
/// row needs fails as well.
pub(crate) fn agrees(rows: &[(&str, &str, &str)], reasons: &[Later]) {
    let place = |id: &str| dindcheck::steps::ALL.iter().position(|step| step.id == id);
    let mut wrong = Vec::new();
    let mut used = vec![false; reasons.len()];
    for (name, step, cause) in rows {
        let own = diagnosis::find(cause).and_then(|cause| cause.live);
        if own == Some(*step) {
            continue;
        }
        let reason = reasons.iter().position(|later| later.cause == *cause && later.step == *step);
        let is_later = own.and_then(place) < place(step);
        match reason {
            Some(at) if own.is_some() && is_later => used[at] = true,
            _ => wrong.push(format!("{name}: {cause} is found by {own:?}, and {step} reported it")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (later, used) in reasons.iter().zip(used) {
        assert!(used && later.why.len() > 20, "{} {}: no row needs this reason", later.cause, later.step);
    }
}
