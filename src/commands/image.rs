//! `image`: does Docker-in-Docker work in these images?

use std::io::Write;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::host::live::Live;
use crate::image_check::request::ImageRequest;
use crate::image_check::{ImageResult, OuterDaemon, exit_code, page};
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::plan::{self, Plan};
use crate::profile::Format;
use crate::report::files::Outputs;
use crate::text::seconds;
use crate::{cli, exit};

/// Tries each, and tells.
pub fn image(host: &Live, args: &cli::Image) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, args.host.as_deref().unwrap_or_default())?;
    // What is wrong with the options is found before anything is started.
    let wishes = PlanRequest { profile: args.profile.clone(), repair: args.repair, ..PlanRequest::default() };
    let run = Plan::new(host, &wishes)?.options.run;
    let interrupt = Interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let request = request(args);
    let mut outputs = Outputs::open(&args.output)?;
    let tried: Vec<ImageResult> = runtime.block_on(async {
        let outer = OuterDaemon::connect(endpoint, run, &interrupt).await.context("the outer daemon")?;
        let images = args.images.iter().map(|image| outer.check(image, &request));
        let mut each = stream::iter(images).buffered(args.parallel.max(1));
        let mut all = Vec::new();
        while let Some(tried) = each.next().await {
            if args.format == Format::Human {
                tell(&tried, &mut anstream::stdout().lock())?;
            }
            all.push(tried);
            outputs.put(all.len() == args.images.len(), &|format, out| write(&all, format, out));
        }
        anyhow::Ok(all)
    })?;
    match args.format {
        Format::Human if tried.len() > 1 => anstream::print!("\n{}", table(&tried)),
        Format::Human => {}
        other => write(&tried, other, &mut anstream::stdout().lock())?,
    }
    Ok(if interrupt.signal().is_some() { exit::UNKNOWN } else { exit_code(&tried) })
}

/// What was typed, as a request.
fn request(args: &cli::Image) -> ImageRequest {
    let mut check = Vec::new();
    if let Some(profile) = &args.profile {
        check.extend(["--profile".to_owned(), profile.clone()]);
    }
    if let Some(repair) = args.repair {
        check.extend(["--repair".to_owned(), format!("{repair:?}").to_lowercase()]);
    }
    ImageRequest {
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

/// All of them in a format.
fn write(all: &[ImageResult], format: Format, out: &mut dyn Write) -> std::io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, all)?;
            writeln!(out)
        }
        Format::Html => out.write_all(page::html(all)?.as_bytes()),
        _ => {
            all.iter().try_for_each(|tried| tell(tried, out))?;
            write!(out, "\n{}", table(all))
        }
    }
}

/// One image for people: its report from inside, and what its log says.
fn tell(tried: &ImageResult, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", line(tried))?;
    for key in ["what", "cause", "remedy"] {
        let text = tried.failure(key);
        if !text.is_empty() {
            writeln!(out, "  {key:<9} {text}")?;
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
fn line(tried: &ImageResult) -> String {
    let step = tried.failure("step");
    let at = if step.is_empty() { String::new() } else { format!(" at {step}") };
    let took = seconds(std::time::Duration::from_millis(tried.duration_ms));
    format!("{}: {}{at} ({took})", tried.image, tried.verdict.name())
}

/// A row each.
fn table(all: &[ImageResult]) -> String {
    let wide = all.iter().map(|tried| tried.image.chars().count()).max().unwrap_or_default();
    let row = |tried: &ImageResult| {
        let text = format!(
            "{:<wide$}  {:<8} {:<20} {}",
            tried.image,
            tried.verdict.name(),
            tried.failure("step"),
            tried.failure("cause")
        );
        format!("{}\n", text.trim_end())
    };
    all.iter().map(row).collect()
}
