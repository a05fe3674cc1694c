//! What does a browser show of several images? A row each, with what was found folded away.

use askama::Template;
use serde_json::Value;

use super::Tried;
use crate::text::took;

/// One self-contained page: no script, nothing from elsewhere.
#[derive(Template)]
#[template(path = "images.html")]
struct Images<'t> {
    all: &'t [Tried],
    version: &'static str,
}

/// A step of the report from inside, in a line.
struct Rung<'t> {
    outcome: &'t str,
    id: &'t str,
    said: &'t str,
}

/// The page.
///
/// # Errors
///
/// Where the template cannot be filled, which no input is known to bring about.
pub fn html(all: &[Tried]) -> std::io::Result<String> {
    Images { all, version: env!("CARGO_PKG_VERSION") }.render().map_err(std::io::Error::other)
}

impl Images<'_> {
    /// How many have this verdict.
    fn count(&self, verdict: &str) -> usize {
        self.all.iter().filter(|tried| tried.verdict.name() == verdict).count()
    }
}

impl Tried {
    /// A word of the first failure, or nothing.
    pub fn failing(&self, key: &str) -> &str {
        self.first_failure.as_ref().and_then(|failure| failure[key].as_str()).unwrap_or_default()
    }

    /// How long it took, for people.
    fn took(&self) -> String {
        took(std::time::Duration::from_millis(self.duration_ms).as_secs_f64() * 1000.0)
    }

    /// The steps of the report from inside.
    fn rungs(&self) -> Vec<Rung<'_>> {
        let steps = self.report.as_ref().and_then(|report| report["steps"].as_array());
        steps.into_iter().flatten().map(Rung::of).collect()
    }
}

impl<'t> Rung<'t> {
    fn of(step: &'t Value) -> Self {
        let text = |value: &'t Value| value.as_str().unwrap_or_default();
        let findings = step["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let worst = ["fail", "warn", "pass"]
            .iter()
            .find_map(|level| findings.iter().find(|finding| finding["level"] == **level));
        let said = step["reason"].as_str().or_else(|| worst.map(|finding| text(&finding["what"])));
        Self { outcome: text(&step["outcome"]), id: text(&step["id"]), said: said.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Verdict;
    use serde_json::json;

    #[test]
    fn every_image_has_its_row_and_nothing_is_taken_for_markup() {
        let broken = Tried {
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
            ..Tried::new("x/<y>")
        };
        let page = html(&[broken, Tried { verdict: Verdict::Sound, ..Tried::new("fine") }]).unwrap();
        for words in
            ["1 of 2 images are sound", "1 broken", "x/&#60;y&#62;", "&#60;b&#62;no runc", "a &#38; b"]
        {
            assert!(page.contains(words), "{words}: {page}");
        }
        for words in ["<b>no runc", ">6.1<", ">no runc<", ">binaries failed<"] {
            assert_eq!(page.contains(words), !words.starts_with("<b>"), "{words}: {page}");
        }
    }
}
