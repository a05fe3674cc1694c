//! `explain`: what a step checks, or what a cause means and what to do about it.

use anyhow::bail;

use crate::step::Step;
use crate::talk::print;
use crate::{diagnosis, exit, steps};

/// Prints the explanation of one id, or every id.
pub fn explain(id: Option<&str>, list: bool) -> anyhow::Result<u8> {
    match id {
        Some(id) if !list => print(&(text(id)? + "\n"))?,
        _ => {
            let steps = steps::ALL.iter().map(|step| format!("step   {}\n", step.id));
            let causes = diagnosis::all().iter().map(|cause| format!("cause  {}\n", cause.id.as_str()));
            print(&steps.chain(causes).collect::<String>())?;
        }
    }
    Ok(exit::SOUND)
}

/// The explanation of one id.
fn text(id: &str) -> anyhow::Result<String> {
    if let Ok(step) = steps::find(id) {
        return Ok(of_step(step));
    }
    match diagnosis::find(id) {
        Some(cause) => Ok(diagnosis::explain(cause)),
        None => bail!("`{id}` is not a valid step or cause; `dindcheck explain --list` lists them"),
    }
}

/// A step and its repair.
fn of_step(step: &Step) -> String {
    let mut text =
        format!("{} - {}\n\nphase:   {}\nwhy:     {}\n", step.id, step.title, step.phase.name(), step.why);
    let repair =
        step.repair.as_ref().map(|repair| format!("{} (reach: {})", repair.title, repair.reach.name()));
    text.push_str("repair:  ");
    text.push_str(repair.as_deref().unwrap_or("none"));
    text.push('\n');
    text
}
