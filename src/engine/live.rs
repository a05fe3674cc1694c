//! Stand-in.
use super::Engine;
use crate::diagnosis::Diagnosis;
use crate::interrupt::Interrupt;

/// Stand-in.
#[derive(Debug)]
pub struct LiveEngine;
impl LiveEngine {
    /// Stand-in.
    pub fn new(_interrupt: Interrupt) -> Self {
        Self
    }
}
impl Engine for LiveEngine {
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
