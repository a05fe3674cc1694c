//! The image that the workload runs, from what was typed or from the profile.

use anyhow::Context;

use crate::facts::reference::Reference;
use crate::options::ImageChoice;

/// `builtin`, or an image reference.
pub(super) fn choice(text: &str) -> anyhow::Result<ImageChoice> {
    if text == "builtin" {
        return Ok(ImageChoice::Builtin);
    }
    let reference = Reference::parse(text).context("--image takes `builtin` or a reference")?;
    Ok(ImageChoice::Reference(reference.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_is_builtin_or_a_valid_reference() {
        assert_eq!(choice("builtin").unwrap(), ImageChoice::Builtin);
        assert_eq!(choice("centos:7").unwrap(), ImageChoice::Reference("centos:7".into()));
        let error = format!("{:#}", choice("Upper/Case").unwrap_err());
        assert!(error.contains("`Upper/Case` is not a valid image reference"), "{error}");
    }
}
