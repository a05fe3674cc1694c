//! The vocabulary: each cause is complete, can be found, and can be acted on.

use std::collections::HashSet;

use dindcheck_diagnosis::{all, cause, causes, explain, find};

#[test]
fn each_cause_is_found_by_its_id_and_by_its_constant() {
    let mut ids = HashSet::new();
    for expected in all() {
        assert!(ids.insert(expected.id.as_str()), "{} twice", expected.id);
        assert_eq!(cause(expected.id).meaning, expected.meaning);
        assert_eq!(find(expected.id.as_str()).map(|found| found.id), Some(expected.id));
    }
    assert!(find("no-such-cause").is_none() && find("").is_none());
    assert_eq!(causes::NOT_ROOT.to_string(), "not-root");
}

#[test]
fn each_cause_has_a_remedy_and_a_way_to_be_found() {
    for cause in all() {
        assert!(cause.meaning.ends_with('.') && cause.remedy.ends_with(['.', ')', '`']), "{}", cause.id);
        let of_no_step =
            [causes::NO_ERROR_FOUND, causes::UNKNOWN, causes::SYSTEM_CLOCK_JUMPS].contains(&cause.id);
        let found = of_no_step || cause.live.is_some() || !cause.signatures.is_empty();
        assert!(found, "neither a step nor a signature finds {}", cause.id);
        assert!(cause.signatures.is_empty() || cause.shows.is_some(), "{} has no example", cause.id);
    }
}

#[test]
fn explanation_has_the_id_the_meaning_and_the_remedy() {
    for cause in all() {
        let text = explain(cause);
        for part in [cause.id.as_str(), cause.meaning, cause.remedy] {
            assert!(text.contains(part), "{}: {part}", cause.id);
        }
    }
}
