//! What happens during a run, for those who watch it.

use super::Report;
use crate::step::Step;

/// One event of a run.
pub enum Event<'e> {
    /// A step begins.
    Started(&'static Step),
    /// How a step goes that takes its time.
    Said(&'e str),
    /// A step is concluded; the report so far ends with it.
    Concluded(&'e Report),
    /// The run is over.
    Ended(&'e Report),
}
