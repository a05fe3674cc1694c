//! `list`: the steps in their order.

use crate::cli::Plain;
use crate::{exit, steps};

/// Prints the steps.
pub fn list(format: Plain) -> anyhow::Result<u8> {
    match format {
        Plain::Human => {
            for step in steps::ALL {
                anstream::println!("{:<12} {:<20} {}", step.phase.name(), step.id, step.title);
            }
        }
        Plain::Json => {
            let rows = steps::ALL.iter().map(|step| {
                let repair = step.repair.as_ref().map(|r| serde_json::json!({"title": r.title, "reach": r.reach}));
                serde_json::json!({"id": step.id, "title": step.title, "why": step.why, "phase": step.phase, "repair": repair})
            });
            anstream::println!("{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?);
        }
    }
    Ok(exit::SOUND)
}
