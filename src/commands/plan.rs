//! `plan`: what would be done here, without doing it.

use crate::cli;
use crate::host::Host;
use crate::plan::{ImageChoice, Plan};
use crate::profile::{Format, Grant};
use crate::report::exit;
use crate::step::Phase;

use super::verify::wishes;

/// Prints the plan.
pub fn plan(host: &dyn Host, args: &cli::Verify) -> anyhow::Result<u8> {
    let plan = Plan::new(host, &wishes(args))?;
    match plan.profile.format {
        Format::Human => human(host, &plan),
        Format::Json => anstream::println!("{}", serde_json::to_string_pretty(&json(host, &plan))?),
    }
    Ok(exit::SOUND)
}

/// For people.
fn human(host: &dyn Host, plan: &Plan) {
    let p = &plan.profile;
    anstream::println!("profile {}: {}", p.name, p.description);
    if plan.reaches(Phase::Daemon) {
        anstream::println!("daemon  {}", daemon(host, plan));
        anstream::println!("image   {}", image(plan));
    }
    for planned in &plan.steps {
        let said = match (&planned.skip, &planned.step.repair) {
            (Some(reason), _) => format!("skipped: {reason}"),
            (None, Some(repair)) if p.repair.allows(repair.reach) => {
                format!("repair granted: {}", repair.title)
            }
            (None, Some(repair)) => {
                format!("repair not granted (reach {}): {}", repair.reach.name(), repair.title)
            }
            (None, None) => String::new(),
        };
        let mode = format!("{:?}", planned.mode).to_lowercase();
        anstream::println!("  {mode:<8} {:<20} {said}", planned.step.id);
    }
}

/// For programs.
fn json(host: &dyn Host, plan: &Plan) -> serde_json::Value {
    let steps = plan.steps.iter().map(|planned| {
        let repair = planned.step.repair.as_ref().map(|repair| {
            serde_json::json!({"title": repair.title, "reach": repair.reach, "granted": plan.profile.repair.allows(repair.reach)})
        });
        serde_json::json!({"id": planned.step.id, "mode": planned.mode, "skip": planned.skip, "repair": repair})
    });
    serde_json::json!({
        "schema_version": 1,
        "profile": plan.profile,
        "daemon": daemon(host, plan),
        "image": image(plan),
        "repair": if plan.profile.repair == Grant::None { "none" } else { "granted" },
        "steps": steps.collect::<Vec<_>>(),
    })
}

/// How the daemon comes to be.
fn daemon(host: &dyn Host, plan: &Plan) -> String {
    match &plan.attach {
        Some(endpoint) => format!("attach to {endpoint}"),
        None => crate::engine::command_line(host, plan).join(" "),
    }
}

/// Which image is run.
fn image(plan: &Plan) -> String {
    match &plan.image {
        ImageChoice::Builtin => "builtin (made in memory, no registry)".to_owned(),
        ImageChoice::Reference(reference) => reference.clone(),
    }
}
