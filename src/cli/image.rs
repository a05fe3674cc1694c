//! The options of `image`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, RangedU64ValueParser};

use super::values::{duration, image, of_images, output_of_images, platform, variable, volume};
use crate::image_check::request::Pull;
use crate::profile::Grant;
use crate::report::formats::Format;

/// The options of `image`.
#[derive(Debug, Args)]
pub struct Image {
    /// The images.
    #[arg(required = true, value_name = "REF", value_parser = image)]
    pub images: Vec<String>,
    /// The outer daemon: unix:///PATH or tcp://HOST:PORT; else `DOCKER_HOST`, else the usual socket.
    #[arg(long, value_name = "URL")]
    pub host: Option<String>,
    /// Run dindcheck instead of the image's entrypoint; it starts dockerd itself.
    #[arg(long)]
    pub replace_entrypoint: bool,
    /// How many images are checked at once.
    #[arg(long, default_value = "1", value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub parallel: usize,
    /// The profile of the check inside.
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// How far repairs inside may reach.
    #[arg(long, value_enum)]
    pub repair: Option<Grant>,
    /// A volume: SOURCE:TARGET[:ro], or a path inside the container.
    #[arg(long, short, value_name = "VOLUME", value_parser = volume)]
    pub volume: Vec<String>,
    /// An environment variable: NAME=VALUE.
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<String>,
    /// The network of the outer container.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub network: Option<String>,
    /// The cgroup namespace of the outer container: private or host.
    #[arg(long, value_parser = ["private", "host"])]
    pub cgroupns: Option<String>,
    /// The parent of the outer container's cgroup.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub cgroup_parent: Option<String>,
    /// The platform, where an image has several.
    #[arg(long, value_parser = platform)]
    pub platform: Option<String>,
    /// When to pull an image.
    #[arg(long, value_enum, default_value = "missing")]
    pub pull: Pull,
    /// How long the check of an image may take.
    #[arg(long, value_parser = duration, default_value = "3m")]
    pub timeout: Duration,
    /// The format of the report on stdout.
    #[arg(long, value_parser = of_images(), default_value = "human")]
    pub format: &'static Format,
    /// Also write the report to a file, after every image.
    #[arg(long, value_name = "FORMAT=FILE", value_parser = output_of_images())]
    pub output: Vec<(String, PathBuf)>,
    /// Arguments of the image's entrypoint.
    #[arg(last = true, value_name = "RUN ARGS")]
    pub args: Vec<String>,
}
