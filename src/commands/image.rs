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
use crate::report::images::{one, table};
use crate::report::shown::of_image;
use crate::talk::say_error;
use crate::text::any_path::AnyPath;
use crate::{cli, exit, talk};

/// Checks the images, and reports.
pub fn image(host: &Live, args: &cli::Image) -> anyhow::Result<u8> {
    let endpoint = plan::endpoint(host, "--host", args.host.as_deref().unwrap_or_default())?;
    // Invalid options are found before anything is started.
    let checked = PlanRequest {
        profile: args.profile.clone().map(AnyPath::from),
        repair: args.repair,
        ..PlanRequest::default()
    };
    let run = Plan::new(host, &checked)?.options.run;
    let outputs = Outputs::open(&args.output)?;
    let interrupt = Interrupt::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let (results, written) = runtime.block_on(async {
        let outer = OuterDaemon::connect(endpoint, run, &interrupt).await;
        let outer = outer.context(exit::CannotCheck).context("the outer daemon")?;
        check_images(&outer, args, outputs).await
    })?;
    let code = if interrupt.signal().is_some() { exit::UNKNOWN } else { exit_code(&results) };
    let printed = print(args.format, &results);
    if let Err(error) = &printed {
        say_error(error);
    }
    Ok(if printed.is_ok() && written { code } else { exit::unwritten(code) })
}

/// Prints the results on stdout; for people, what is still missing after each has been printed.
fn print(format: &Format, results: &[ImageResult]) -> anyhow::Result<()> {
    if !prints_each(format) {
        let text = format.text_of_images(results)?;
        let text = text.with_context(|| format!("{} has no room for several images", format.name))?;
        talk::print_report(&text)?;
    } else if results.len() > 1 {
        talk::print(&format!("\n{}", table(&results.iter().map(of_image).collect::<Vec<_>>())))?;
    }
    Ok(())
}

/// Checks each image, so many at once, and reports on each as soon as those before it are done. Returns the results, and
/// whether all reports could be written.
async fn check_images(
    outer: &OuterDaemon<'_>,
    args: &cli::Image,
    mut outputs: Outputs,
) -> anyhow::Result<(Vec<ImageResult>, bool)> {
    let request = request(args);
    let checks = args.images.iter().map(|image| outer.check(image, &request));
    let mut checks = stream::iter(checks).buffered(args.parallel.max(1));
    let (mut results, mut printed) = (Vec::new(), true);
    while let Some(result) = checks.next().await {
        if prints_each(args.format)
            && printed
            && let Err(error) = talk::print(&one(&of_image(&result)))
        {
            say_error(&error.into());
            printed = false;
        }
        results.push(result);
        outputs.write_images(&results, results.len() == args.images.len());
    }
    Ok((results, printed && outputs.all_written()))
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
