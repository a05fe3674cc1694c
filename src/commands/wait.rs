//! `wait`: until the inner daemon serves, or cannot come.

use serde_json::json;

use super::verify::{self, Told};
use crate::cli::{self, Plain, Until};
use crate::engine::dockerd::readiness::{Readiness, WaitRequest, wait_for_daemon};
use crate::facts::endpoint::Endpoint;
use crate::finding::Finding;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::profile::Format;
use crate::text::seconds;
use crate::{diagnosis, exit, plan};

/// The steps of a container that is run once under a daemon that serves.
const CONTAINER: [&str; 2] = ["image", "container-run"];

/// Waits, and says what came of it.
pub fn wait(host: &Live, args: &cli::Wait) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, args.attach.as_deref().unwrap_or_default())?;
    let interrupt = Interrupt::listen()?;
    let request = WaitRequest {
        endpoint: endpoint.clone(),
        timeout: args.timeout,
        grace: args.grace,
        elsewhere: args.elsewhere,
    };
    let came = match wait_for_daemon(host, &interrupt, &request) {
        Ok(came) => came,
        Err(error) => {
            anstream::eprintln!("dindcheck: {error:#}");
            return Ok(exit::UNKNOWN);
        }
    };
    let served = matches!(came, Readiness::Serving { .. });
    if served && args.wanted == Until::Container {
        return container(host, args, &endpoint);
    }
    let code = match came {
        Readiness::Serving { .. } => exit::SOUND,
        Readiness::Never(_) => exit::BROKEN,
        Readiness::Late(_) => exit::UNKNOWN,
    };
    match args.format {
        Plain::Human => human(&came, &endpoint),
        Plain::Json => anstream::println!("{}", machine(&came, &endpoint, code)),
    }
    Ok(code)
}

/// Runs the built-in container once.
fn container(host: &Live, args: &cli::Wait, endpoint: &Endpoint) -> anyhow::Result<u8> {
    let format = match args.format {
        Plain::Human => Format::Brief,
        Plain::Json => Format::Json,
    };
    let only = CONTAINER.iter().map(ToString::to_string).collect();
    let attach = Some(endpoint.to_string());
    let wishes = PlanRequest { attach, only, format: Some(format), ..PlanRequest::default() };
    verify::check(host, &wishes, &[], Told::AsPlanned)
}

/// One line where it serves; else what is wrong and what to do.
fn human(came: &Readiness, endpoint: &Endpoint) {
    match came {
        Readiness::Serving { waited, .. } => {
            anstream::println!("the daemon at {endpoint} serves (waited {})", seconds(*waited));
        }
        Readiness::Never(finding) | Readiness::Late(finding) => {
            anstream::eprintln!("dindcheck: {}", finding.what);
            let cause = finding.cause.map(crate::diagnosis::CauseId::as_str).unwrap_or_default();
            anstream::eprintln!("  cause       {cause}");
            for (key, value) in &finding.evidence {
                anstream::eprintln!("  {key:<11} {value}");
            }
            if let Some(remedy) = remedy(finding) {
                anstream::eprintln!("  what to do  {remedy}");
            }
        }
    }
}

/// What to do.
fn remedy(finding: &Finding) -> Option<String> {
    finding.hint.clone().or_else(|| Some(diagnosis::cause(finding.cause?).remedy.to_owned()))
}

/// The same for programs.
fn machine(came: &Readiness, endpoint: &Endpoint, code: u8) -> serde_json::Value {
    let endpoint = endpoint.to_string();
    match came {
        Readiness::Serving { pid, waited } => json!({
            "schema_version": 1, "serves": true, "exit_code": code, "endpoint": endpoint, "pid": pid,
            "waited_ms": waited.as_secs_f64() * 1000.0,
        }),
        Readiness::Never(finding) | Readiness::Late(finding) => json!({
            "schema_version": 1, "serves": false, "exit_code": code, "endpoint": endpoint,
            "cause": finding.cause, "what": finding.what, "remedy": remedy(finding),
        }),
    }
}
