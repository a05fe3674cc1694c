//! `image`: does Docker-in-Docker work in these images?

use std::io::Write;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::cli::{self, Plain};
use crate::engine::error::seconds;
use crate::host::live::Live;
use crate::interrupt::Interrupt;
use crate::outer::{Outer, Tried, exit_code, request::Request};
use crate::plan::{self, Plan, Wishes};
use crate::report::exit;

/// Tries each, and tells.
pub fn image(host: &Live, args: &cli::Image) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, args.host.as_deref().unwrap_or_default())?;
    // What is wrong with the options is found before anything is started.
    let wishes = Wishes { profile: args.profile.clone(), repair: args.repair, ..Wishes::default() };
    let run = Plan::new(host, &wishes)?.run;
    let interrupt = Interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let request = request(args);
    let tried: Vec<Tried> = runtime.block_on(async {
        let outer = Outer::reach(endpoint, run, &interrupt).await.context("the outer daemon")?;
        let images = args.images.iter().map(|image| outer.attempt(image, &request));
        let mut each = stream::iter(images).buffered(args.parallel.max(1));
        let mut all = Vec::new();
        while let Some(tried) = each.next().await {
            if args.format == Plain::Human {
                tell(&tried)?;
            }
            all.push(tried);
        }
        anyhow::Ok(all)
    })?;
    match args.format {
        Plain::Json => anstream::println!("{}", serde_json::to_string_pretty(&tried)?),
        Plain::Human if tried.len() > 1 => anstream::print!("\n{}", table(&tried)),
        Plain::Human => {}
    }
    Ok(if interrupt.signal().is_some() { exit::UNKNOWN } else { exit_code(&tried) })
}

/// What was typed, as a request.
fn request(args: &cli::Image) -> Request {
    let mut check = Vec::new();
    if let Some(profile) = &args.profile {
        check.extend(["--profile".to_owned(), profile.clone()]);
    }
    if let Some(repair) = args.repair {
        check.extend(["--repair".to_owned(), format!("{repair:?}").to_lowercase()]);
    }
    Request {
        args: args.args.clone(),
        replace_entrypoint: args.replace_entrypoint,
        volumes: args.volume.clone(),
        network: args.network.clone(),
        cgroupns: args.cgroupns.clone(),
        cgroup_parent: args.cgroup_parent.clone(),
        env: args.env.clone(),
        platform: args.platform.clone(),
        pull: args.pull,
        timeout: args.timeout,
        check,
    }
}

/// One image for people: its report from inside, and what its log says.
fn tell(tried: &Tried) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", line(tried))?;
    if let Some(failure) = &tried.first_failure {
        for key in ["what", "cause", "remedy"] {
            if let Some(text) = failure[key].as_str() {
                writeln!(out, "  {key:<9} {text}")?;
            }
        }
    }
    if let Some(first) = tried.log.as_ref().and_then(|log| log.first_error.as_ref()) {
        writeln!(out, "  log       line {}: {}", first.line, first.text.trim())?;
    }
    for note in &tried.notes {
        writeln!(out, "  note      {note}")?;
    }
    if !tried.text.is_empty() {
        writeln!(out, "\n{}", tried.text.trim_end())?;
    }
    out.flush()
}

/// `my-image: broken at cgroup-mounts (3.1 s)`.
fn line(tried: &Tried) -> String {
    let at = tried.first_failure.as_ref().and_then(|failure| failure["step"].as_str());
    let at = at.map_or(String::new(), |step| format!(" at {step}"));
    let took = seconds(std::time::Duration::from_millis(tried.duration_ms));
    format!("{}: {}{at} ({took})", tried.image, tried.verdict.name())
}

/// A row each.
fn table(all: &[Tried]) -> String {
    let wide = all.iter().map(|tried| tried.image.chars().count()).max().unwrap_or_default();
    let row = |tried: &Tried| {
        let word = |key: &str| {
            let failure = tried.first_failure.as_ref();
            failure.and_then(|failure| failure[key].as_str()).unwrap_or_default().to_owned()
        };
        let text = format!(
            "{:<wide$}  {:<8} {:<20} {}",
            tried.image,
            tried.verdict.name(),
            word("step"),
            word("cause")
        );
        format!("{}\n", text.trim_end())
    };
    all.iter().map(row).collect()
}
