//! How formats, and files that get one, are typed.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::report::formats::{self, Format};

/// A format, and a file for it: `json=/tmp/report.json`.
pub(super) fn output(text: &str) -> Result<(String, PathBuf), String> {
    let (format, file) =
        text.split_once('=').ok_or("FORMAT=FILE is expected, such as json=/tmp/report.json")?;
    let format = formats::find(format).map_err(|error| error.to_string())?;
    if file.is_empty() {
        return Err("the file's name is missing".into());
    }
    Ok((format.name.to_owned(), file.into()))
}

/// A format that has room for several images.
pub(super) fn of_images() -> impl TypedValueParser<Value = &'static Format> {
    let values =
        formats::of_images().into_iter().map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(values).try_map(|name| formats::find(&name))
}

/// Such a format, and a file for it.
pub(super) fn output_of_images(text: &str) -> Result<(String, PathBuf), String> {
    let (format, file) = output(text)?;
    let valid = formats::of_images();
    if valid.iter().all(|valid| valid.name != format) {
        return Err(format!(
            "{format} has no room for several images; use {}",
            formats::names(" or ", &valid)
        ));
    }
    Ok((format, file))
}
