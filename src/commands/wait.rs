//! `wait`: waits until the inner daemon serves, and stops at once where it cannot.

use serde_json::{Value, json as object};

use super::verify::{self, Recovers, SummaryStyle};
use crate::cli::{self, Plain, Until};
use crate::diagnosis::CauseId;
use crate::engine::dockerd::readiness::{Readiness, STARTERS, WaitRequest, wait_for_daemon};
use crate::exit;
use crate::facts::endpoint::Endpoint;
use crate::finding::Finding;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::plan;
use crate::report::formats;
use crate::report::shown::of_finding;
use crate::talk::{print, print_report, say_error, tell};
use crate::text::seconds;
use crate::text::shown::json;

/// The steps that run a container once under a daemon that serves.
const CONTAINER: [&str; 2] = ["image", "container-run"];

/// Waits, and reports.
pub fn wait(host: &Live, args: &cli::Wait) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, "--attach", args.attach.as_deref().unwrap_or_default())?;
    let interrupt = Interrupt::listen()?;
    let request = WaitRequest {
        endpoint: endpoint.clone(),
        timeout: args.timeout,
        grace: args.grace,
        elsewhere: args.elsewhere,
    };
    match wait_for_daemon(host, &interrupt, &request) {
        Ok(Readiness::Serving { .. }) if args.until == Until::Container => {
            run_container(host, args, &endpoint)
        }
        Ok(readiness) => Ok(report(&readiness, &endpoint, args.format)),
        Err(error) => {
            say_error(&error);
            Ok(exit::UNKNOWN)
        }
    }
}

/// Runs the built-in container once.
fn run_container(host: &Live, args: &cli::Wait, endpoint: &Endpoint) -> anyhow::Result<u8> {
    let format = match args.format {
        Plain::Human => &formats::brief::FORMAT,
        Plain::Json => &formats::json::FORMAT,
    };
    let request = PlanRequest {
        attach: Some(endpoint.to_string()),
        only: CONTAINER.iter().map(ToString::to_string).collect(),
        format: Some(format.name.to_owned()),
        ..PlanRequest::default()
    };
    verify::check(host, &request, &[], SummaryStyle::AsPlanned, Recovers::No)
}

/// Prints what the wait came to; returns the exit code.
fn report(readiness: &Readiness, endpoint: &Endpoint, format: Plain) -> u8 {
    let code = match readiness {
        Readiness::Serving { .. } => exit::SOUND,
        Readiness::Never(_) => exit::BROKEN,
        Readiness::Late(_) => exit::UNKNOWN,
    };
    let printed = match (format, readiness) {
        (Plain::Json, _) => print_report(&(json(&document(readiness, endpoint, code).to_string()) + "\n")),
        (Plain::Human, Readiness::Serving { waited, .. }) => {
            print(&format!("the daemon at {endpoint} serves (waited {})\n", seconds(*waited)))
        }
        (Plain::Human, Readiness::Never(finding) | Readiness::Late(finding)) => {
            tell(&failure(&of_finding(finding)));
            Ok(())
        }
    };
    if let Err(error) = printed {
        say_error(&error.into());
        return exit::unwritten(code);
    }
    code
}

/// What is wrong and what to do, in lines.
fn failure(finding: &Finding) -> String {
    let mut rows = vec![format!("dindcheck: {}", finding.what)];
    rows.push(format!("  cause       {}", finding.cause.map(CauseId::as_str).unwrap_or_default()));
    rows.extend(finding.evidence.iter().map(|(key, value)| format!("  {key:<11} {value}")));
    rows.extend(finding.remedy().map(|remedy| format!("  what to do  {remedy}")));
    rows.join("\n")
}

/// The same as JSON.
fn document(readiness: &Readiness, endpoint: &Endpoint, code: u8) -> Value {
    let endpoint = endpoint.to_string();
    match readiness {
        Readiness::Serving { pid, waited } => object!({
            "schema_version": 1, "serves": true, "exit_code": code, "endpoint": endpoint, "pid": pid,
            "waited_ms": waited.as_secs_f64() * 1000.0,
        }),
        Readiness::Never(finding) | Readiness::Late(finding) => object!({
            "schema_version": 1, "serves": false, "exit_code": code, "endpoint": endpoint,
            "cause": finding.cause, "what": finding.what, "remedy": finding.remedy(),
            "starters": finding.evidence.iter().any(|(key, _)| *key == STARTERS).then_some(0),
        }),
    }
}
