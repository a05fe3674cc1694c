//! What the templates of `html` and `markdown` share.

use std::io::{self, Write};

use askama::Template;

use crate::report::document::{Document, StepEntry};
use crate::report::known;
use crate::text::took;

/// Fills a template, and writes it.
pub(super) fn write_page(page: &impl Template, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page.render().map_err(io::Error::other)?.as_bytes())
}

/// The first failure, with the meaning of its cause and the evidence.
pub(super) struct FailureDetails<'d> {
    pub(super) step: &'d str,
    pub(super) what: &'d str,
    pub(super) cause: &'d str,
    pub(super) meaning: &'d str,
    pub(super) remedy: &'d str,
    pub(super) evidence: &'d [(&'static str, String)],
}

impl<'d> FailureDetails<'d> {
    pub(super) fn of(document: &'d Document) -> Option<Self> {
        let failure = document.first_failure.as_ref()?;
        let step = document.steps.iter().find(|step| step.id == failure.step);
        let mut latest = step.into_iter().flat_map(|step| step.findings.iter().rev());
        let finding = latest.find(|finding| finding.what == failure.what);
        let cause = failure.cause.unwrap_or_default();
        Some(Self {
            step: failure.step,
            what: &failure.what,
            cause,
            meaning: crate::diagnosis::find(cause).map_or("", |cause| cause.meaning),
            remedy: failure.remedy.as_deref().unwrap_or_default(),
            evidence: finding.map_or(&[], |finding| finding.evidence.as_slice()),
        })
    }
}

impl Document {
    /// How long the run took, for people.
    pub(super) fn took(&self) -> String {
        took(self.duration_ms)
    }

    /// What is known of the environment, as names and values.
    pub(super) fn known(&self) -> Vec<(&'static str, &str)> {
        known(&self.environment)
    }
}

impl StepEntry {
    /// How long the step took, for people.
    pub(super) fn took(&self) -> String {
        took(self.duration_ms)
    }
}
