//! Stand-in.
use super::Engine;
use crate::diagnosis::Diagnosis;

/// Stand-in.
#[derive(Debug, Default)]
pub struct FakeEngine;
impl Engine for FakeEngine {
    fn is_used(&self) -> bool {
        false
    }
    fn leftovers(&self) -> Vec<String> {
        Vec::new()
    }
    fn diagnosis(&self) -> Option<Diagnosis> {
        None
    }
}
