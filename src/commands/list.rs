//! `list`: the steps in their order.

use crate::cli::Plain;
use crate::step::Step;
use crate::{exit, steps, talk};

/// Prints the steps.
pub fn list(format: Plain) -> anyhow::Result<u8> {
    match format {
        Plain::Human => {
            let row = |step: &Step| format!("{:<12} {:<20} {}\n", step.phase.name(), step.id, step.title);
            talk::print(&steps::ALL.iter().map(row).collect::<String>())?;
        }
        Plain::Json => {
            let rows = steps::ALL.iter().map(|step| {
                let repair = step.repair.as_ref().map(|r| serde_json::json!({"title": r.title, "reach": r.reach}));
                serde_json::json!({"id": step.id, "title": step.title, "why": step.why, "phase": step.phase, "repair": repair})
            });
            talk::print_json(&rows.collect::<Vec<_>>())?;
        }
    }
    Ok(exit::SOUND)
}
