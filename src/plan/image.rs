//! The image that the workload runs, from what was typed or from the profile.

use std::sync::LazyLock;

use anyhow::ensure;
use regex::Regex;

use crate::options::ImageChoice;

/// Whether a text is the reference of an image, in the grammar of distribution's package reference.
pub fn is_image_reference(text: &str) -> bool {
    static REFERENCE: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| {
        let part = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
        Regex::new(&format!(
            "^(?:(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?/)?{part}(?:/{part})*\
             (?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@[a-z0-9]+:[a-fA-F0-9]{{32,}})?$"
        ))
    });
    text.len() <= 512 && REFERENCE.as_ref().is_ok_and(|grammar| grammar.is_match(text))
}

/// `builtin`, or an image reference.
pub(super) fn choice(text: &str) -> anyhow::Result<ImageChoice> {
    if text == "builtin" {
        return Ok(ImageChoice::Builtin);
    }
    ensure!(
        is_image_reference(text),
        "`{text}` is not a valid image reference: use [HOST[:PORT]/]NAME[:TAG][@DIGEST] in lower case, or `builtin`"
    );
    Ok(ImageChoice::Reference(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_image_references_are_refused() {
        for good in ["centos:7", "a.b:5000/x/y_z:Tag", "localhost/x@sha256:0123456789abcdef0123456789abcdef"]
        {
            assert_eq!(choice(good).unwrap(), ImageChoice::Reference(good.into()));
        }
        for bad in ["", "Upper/Case", "a b", "x:", "x@sha256:1", "-x", "http://x/y"] {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }
}
