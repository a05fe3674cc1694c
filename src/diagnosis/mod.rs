//! Stand-in until the vocabulary lands.
#![allow(missing_docs, reason = "stand-in")]
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CauseId(&'static str);
impl CauseId {
    pub const fn new(id: &'static str) -> Self {
        Self(id)
    }
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}
#[derive(Debug)]
pub struct Cause {
    pub id: CauseId,
    pub stage: String,
    pub meaning: String,
    pub remedy: String,
}
pub fn cause(id: CauseId) -> &'static Cause {
    Box::leak(Box::new(Cause { id, stage: String::new(), meaning: String::new(), remedy: String::new() }))
}
pub fn find(_id: &str) -> Option<&'static Cause> {
    None
}
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {}
pub fn all() -> &'static [Cause] {
    &[]
}
pub fn explain(_cause: &Cause) -> String {
    String::new()
}
