//! A world: a real outer container (`outer`), what dindcheck makes of it and what is expected (`verify`), and how a world
//! becomes a test for one engine or for each (`tables`).

pub(crate) mod mended;
pub(crate) mod outer;
pub(crate) mod tables;
pub(crate) mod verify;

pub(crate) use crate::shared::bed::{
    self, Bookworm, ENDS, Forky, SUITES, Suite, Trixie, docker, docker_output,
};
pub(crate) use crate::shared::played::Played;
pub(crate) use crate::shared::report;
pub(crate) use outer::{Background, Outer};
pub(crate) use tables::{each_engine, faults};
pub(crate) use verify::World;
