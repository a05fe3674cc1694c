//! The events of a run, for the progress display and the report files.

use super::Report;
use crate::step::Step;

/// An event of a run.
pub enum Event<'e> {
    /// A step starts.
    Started(&'static Step),
    /// How far a step is that takes long.
    Progress(&'e str),
    /// A step is concluded; it is the last one of this report so far.
    Concluded(&'e Report),
    /// The run has ended.
    Ended(&'e Report),
}
