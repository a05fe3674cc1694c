//! Images that a run pulls into somebody else's daemon, from a registry of its own: they go, unless anybody uses them.

use super::answer;
use super::census::Answer;
use crate::harness::{Bookworm, Forky, Suite, each_engine};

each_engine! {
    pulled_image_goes: Forky, of &[Bookworm, Forky];
    of_an_image_under_test_without_a_tag_only_the_latest_is_pulled: Bookworm, of &[Bookworm, Forky];
    pulled_image_that_was_there_before_under_another_name_stays: Forky, of &[Bookworm, Forky];
    pulled_image_that_a_container_uses_by_now_stays: Forky, of &[Bookworm, Forky];
    pulled_image_that_somebody_else_pulled_as_well_stays: Forky, of &[Bookworm, Forky];
}

/// A registry, and a daemon with objects of somebody else.
const SHARED: &str = concat!(
    "cat >/root/registry.pl <<'END'\n",
    include_str!("registry.pl"),
    "\nEND
     perl /root/registry.pl & registry=$!
     until { : <>/dev/tcp/127.0.0.1/5000; } 2>/dev/null; do kill -0 $registry || exit 70; sleep 0.05; done
     their_dockerd"
);

/// A run with an image of the registry in somebody else's daemon. `before`: what is done before the run; `meanwhile`: what
/// somebody does beside it, once the image is there.
fn attached(suite: Suite, before: &str, meanwhile: &str) -> Answer {
    answer(
        suite,
        &format!(
            "{SHARED}
             {before}
             section before objects
             {{ until docker image inspect localhost:5000/mine; do sleep 0.01; done; {meanwhile}; }} >/root/meanwhile 2>&1 &
             beside=$!
             reports verify verify --attach --image localhost:5000/mine
             kill $beside 2>/dev/null
             section after objects"
        ),
    )
}

/// Everything that was there is there, and of the image only what these words name is new.
#[track_caller]
fn leaves(answer: &Answer, new: &[&str]) {
    let said = answer.said("verify");
    assert_eq!(answer.code("verify"), 0, "{said}");
    let (before, after) = (answer.census("before"), answer.census("after"));
    let gone = before.without(&after).listed("gone:");
    assert!(gone.is_empty(), "{}\n{said}", gone.join("\n"));
    let left = after.without(&before).0;
    let named = |thing: &String| new.iter().any(|word| thing.contains(word));
    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
    assert!(left.iter().all(named) && left.len() == new.len(), "{left:?} and not {new:?}\n{said}");
}

fn pulled_image_goes(suite: Suite) {
    leaves(&attached(suite, ":", ":"), &[]);
}

fn of_an_image_under_test_without_a_tag_only_the_latest_is_pulled(suite: Suite) {
    let answer = answer(
        suite,
        &format!(
            "{SHARED}
             section before objects
             play image image localhost:5000/mine
             section after objects
             section requests cat /root/requests"
        ),
    );
    let (before, after) = (answer.census("before"), answer.census("after"));
    let wrong = [before.without(&after).listed("gone:"), after.without(&before).listed("left:")].concat();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), answer.said("image"));
    let requests = answer.text("requests");
    assert!(requests.contains("/v2/mine/manifests/latest"), "{requests}\n{}", answer.said("image"));
    assert!(!requests.contains("/tags/list") && !requests.contains("/manifests/other"), "{requests}");
}

fn pulled_image_that_was_there_before_under_another_name_stays(suite: Suite) {
    let before = "docker pull -q localhost:5000/mine >/dev/null; docker tag localhost:5000/mine kept
         docker rmi localhost:5000/mine >/dev/null";
    let answer = attached(suite, before, ":");
    leaves(&answer, &[]);
    assert!(answer.text("after").contains("[kept:latest]"), "{}", answer.text("after"));
}

fn pulled_image_that_a_container_uses_by_now_stays(suite: Suite) {
    let answer = attached(suite, ":", "docker create --name user --pull never localhost:5000/mine");
    leaves(&answer, &["container /user", "[localhost:5000/mine:latest]"]);
}

fn pulled_image_that_somebody_else_pulled_as_well_stays(suite: Suite) {
    let answer = attached(suite, ":", "docker pull localhost:5000/mine");
    leaves(&answer, &["[localhost:5000/mine:latest]"]);
}
