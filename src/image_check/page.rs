//! The HTML page of several images: a row each, with the report folded away.

use askama::Template;
use serde_json::Value;

use super::{About, ImageResult};
use crate::text::took;

/// One self-contained page, without scripts.
#[derive(Template)]
#[template(path = "images.html")]
struct Images<'t> {
    all: &'t [ImageResult],
    version: &'static str,
}

/// A step of the report from inside, as a line.
struct StepLine<'t> {
    outcome: &'t str,
    id: &'t str,
    message: &'t str,
}

/// Renders the page.
///
/// # Errors
///
/// Where the template cannot be rendered, which no known input causes.
pub fn html(all: &[ImageResult]) -> std::io::Result<String> {
    Images { all, version: env!("CARGO_PKG_VERSION") }.render().map_err(std::io::Error::other)
}

impl Images<'_> {
    /// The number of images with this verdict.
    fn count(&self, verdict: &str) -> usize {
        self.all.iter().filter(|result| result.verdict.name() == verdict).count()
    }
}

impl ImageResult {
    /// A field of the first failure; empty where nothing failed.
    pub fn failure(&self, key: &str) -> &str {
        self.first_failure.as_ref().and_then(|failure| failure[key].as_str()).unwrap_or_default()
    }

    /// The duration, for people.
    fn took(&self) -> String {
        took(std::time::Duration::from_millis(self.duration_ms).as_secs_f64() * 1000.0)
    }

    /// What the report from inside is about, and its verdict in words.
    fn inside(&self) -> String {
        let headline =
            self.report.as_ref().and_then(|report| report["headline"].as_str()).unwrap_or_default();
        match self.report_about {
            Some(About::Environment) => {
                format!("The environment, in a second container without the image's daemon: {headline}")
            }
            Some(About::Daemon) | None => format!("The check inside: {headline}"),
        }
    }

    /// The steps of the report from inside.
    fn step_lines(&self) -> Vec<StepLine<'_>> {
        let steps = self.report.as_ref().and_then(|report| report["steps"].as_array());
        steps.into_iter().flatten().map(StepLine::of).collect()
    }
}

impl<'t> StepLine<'t> {
    fn of(step: &'t Value) -> Self {
        let text = |value: &'t Value| value.as_str().unwrap_or_default();
        let findings = step["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let worst = ["fail", "warn", "pass"]
            .iter()
            .find_map(|level| findings.iter().find(|finding| finding["level"] == **level));
        let message = step["reason"].as_str().or_else(|| worst.map(|finding| text(&finding["what"])));
        Self { outcome: text(&step["outcome"]), id: text(&step["id"]), message: message.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Verdict;
    use serde_json::json;

    #[test]
    fn every_image_has_a_row_and_markup_is_escaped() {
        let broken = ImageResult {
            verdict: Verdict::Broken,
            first_failure: Some(
                json!({"step": "binaries", "cause": "runc-program-missing", "what": "<b>no runc</b>"}),
            ),
            notes: vec!["a & b".into()],
            report: Some(json!({"steps": [
                {"id": "kernel", "outcome": "passed", "findings": [{"level": "pass", "what": "6.1"}]},
                {"id": "binaries", "outcome": "failed", "findings": [
                    {"level": "pass", "what": "dockerd"}, {"level": "fail", "what": "no runc"}]},
                {"id": "image", "outcome": "skipped", "reason": "binaries failed", "findings": []},
            ]})),
            ..ImageResult::new("x/<y>")
        };
        let page =
            html(&[broken, ImageResult { verdict: Verdict::Sound, ..ImageResult::new("fine") }]).unwrap();
        for text in
            ["1 of 2 images are sound", "1 broken", "x/&#60;y&#62;", "&#60;b&#62;no runc", "a &#38; b"]
        {
            assert!(page.contains(text), "{text}: {page}");
        }
        for text in ["<b>no runc", ">6.1<", ">no runc<", ">binaries failed<"] {
            assert_eq!(page.contains(text), !text.starts_with("<b>"), "{text}: {page}");
        }
    }
}
