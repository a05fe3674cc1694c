//! How is a format typed, and a file that gets one?

use std::path::PathBuf;

use crate::profile::Format;

/// `json=/tmp/report.json`.
pub(super) fn output(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) =
        text.split_once('=').ok_or("FORMAT=FILE is expected, such as json=/tmp/report.json")?;
    let known = || {
        <Format as clap::ValueEnum>::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value)
    };
    let format = <Format as clap::ValueEnum>::from_str(format, true).map_err(|_| {
        let names: Vec<_> = known().map(|value| value.get_name().to_owned()).collect();
        format!("there is no format {format}; there are {}", names.join(", "))
    })?;
    if file.is_empty() {
        return Err("the file's name is missing".into());
    }
    Ok((format, file.into()))
}

/// A format that can hold several images.
pub(super) fn of_images(text: &str) -> Result<Format, String> {
    match <Format as clap::ValueEnum>::from_str(text, true) {
        Ok(format @ (Format::Human | Format::Json | Format::Html)) => Ok(format),
        _ => Err("images are told as human, json or html".into()),
    }
}

/// The same with a file.
pub(super) fn output_of_images(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, _) = text.split_once('=').ok_or("FORMAT=FILE is expected, such as html=/tmp/images.html")?;
    of_images(format)?;
    output(text)
}
