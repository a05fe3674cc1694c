//! What drops the traffic of inner containers is named, and the printed command mends it.

mod kernel;
mod rules;
mod world;
