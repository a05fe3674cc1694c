//! Images that a run pulls into somebody else's daemon, from a registry of its own: they go, unless anybody uses them.

use super::answer;
use super::census::Answer;
use crate::harness::{Bookworm, Forky, Suite, each_engine};

each_engine! {
    pulled_image_goes_and_of_a_name_without_a_tag_only_the_latest_is_pulled: Forky, of &[Bookworm, Forky];
    pulled_image_that_was_there_before_under_another_name_stays: Forky, of &[Bookworm, Forky];
    pulled_image_that_a_container_uses_by_now_stays: Forky, of &[Bookworm, Forky];
    pulled_image_that_somebody_else_pulled_as_well_stays: Forky, of &[Bookworm, Forky];
}

/// A daemon with objects of somebody else, beside a registry, and a run with an image of it. `before`: what is done before
/// the run; `meanwhile`: what somebody does beside it, once the image is there.
fn attached(suite: Suite, before: &str, meanwhile: &str) -> Answer {
    let registry = include_str!("registry.pl");
    answer(
        suite,
        &format!(
            "cat >/root/registry.pl <<'END'
{registry}
END
             perl /root/registry.pl & registry=$!
             until {{ : <>/dev/tcp/127.0.0.1/5000; }} 2>/dev/null; do kill -0 $registry || exit 70; sleep 0.05; done
             their_dockerd
             {before}
             section before objects
             {{ until docker image inspect localhost:5000/mine; do sleep 0.01; done; {meanwhile}; }} >/root/meanwhile 2>&1 &
             beside=$!
             reports verify verify --attach --image localhost:5000/mine
             kill $beside 2>/dev/null
             section after objects
             section requests cat /root/requests"
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

fn pulled_image_goes_and_of_a_name_without_a_tag_only_the_latest_is_pulled(suite: Suite) {
    let answer = attached(suite, ":", ":");
    leaves(&answer, &[]);
    let requests = answer.text("requests");
    assert!(requests.contains("/v2/mine/manifests/latest"), "{requests}");
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
