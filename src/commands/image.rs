//! `image`: verifies inside images, each started as an outer container.

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::host::live::Live;
use crate::image_check::request::ImageRequest;
use crate::image_check::{ImageResult, OuterDaemon, exit_code};
use crate::interrupt::Interrupt;
use crate::options::PlanRequest;
use crate::plan::{self, Plan};
use crate::report::files::Outputs;
use crate::report::formats::{Format, human};
use crate::report::images::{table, write_one};
use crate::{cli, exit};

/// Checks the images, and reports.
pub fn image(host: &Live, args: &cli::Image) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, args.host.as_deref().unwrap_or_default())?;
    // Invalid options are found before anything is started.
    let checked =
        PlanRequest { profile: args.profile.clone(), repair: args.repair, ..PlanRequest::default() };
    let run = Plan::new(host, &checked)?.options.run;
    let outputs = Outputs::open(&args.output)?;
    let interrupt = Interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let results = runtime.block_on(async {
        let outer = OuterDaemon::connect(endpoint, run, &interrupt).await.context("the outer daemon")?;
        check_images(&outer, args, outputs).await
    })?;
    print(args.format, &results)?;
    Ok(if interrupt.signal().is_some() { exit::UNKNOWN } else { exit_code(&results) })
}

/// Prints the results on stdout; for people, what is still missing after each has been printed.
fn print(format: &Format, results: &[ImageResult]) -> anyhow::Result<()> {
    if !prints_each(format) {
        let render = format
            .render_images
            .with_context(|| format!("{} has no room for several images", format.name))?;
        render(results, &mut anstream::stdout().lock())?;
    } else if results.len() > 1 {
        anstream::print!("\n{}", table(results));
    }
    Ok(())
}

/// Checks each image, so many at once, and reports on each as soon as those before it are done.
async fn check_images(
    outer: &OuterDaemon<'_>,
    args: &cli::Image,
    mut outputs: Outputs,
) -> anyhow::Result<Vec<ImageResult>> {
    let request = request(args);
    let checks = args.images.iter().map(|image| outer.check(image, &request));
    let mut checks = stream::iter(checks).buffered(args.parallel.max(1));
    let mut results = Vec::new();
    while let Some(result) = checks.next().await {
        if prints_each(args.format) {
            write_one(&result, &mut anstream::stdout().lock())?;
        }
        results.push(result);
        outputs.write_with(results.len() == args.images.len(), &|format, out| {
            format.render_images.map_or(Ok(()), |render| render(&results, out))
        });
    }
    Ok(results)
}

/// Whether stdout gets each result as it comes, since people read it.
fn prints_each(format: &Format) -> bool {
    format.name == human::FORMAT.name
}

/// The request that was typed.
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
