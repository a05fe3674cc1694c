//! Values of options that are more than a word of a list. What is invalid is named in one line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::facts::reference::Reference;
use crate::report::formats::{self, Format};
use crate::text;
use crate::text::shown::one_line;

/// A format, and a file for it: `json=/tmp/report.json`. The file's name may be any bytes.
pub(super) fn output() -> impl TypedValueParser<Value = (String, PathBuf)> {
    OsStringValueParser::new().try_map(|value| split(&value))
}

/// A format that has room for several images.
pub(super) fn of_images() -> impl TypedValueParser<Value = &'static Format> {
    let values =
        formats::of_images().into_iter().map(|format| PossibleValue::new(format.name).help(format.about));
    PossibleValuesParser::new(values).try_map(|name| formats::find(&name))
}

/// Such a format, and a file for it.
pub(super) fn output_of_images() -> impl TypedValueParser<Value = (String, PathBuf)> {
    OsStringValueParser::new().try_map(|value: OsString| {
        let (format, file) = split(&value)?;
        let valid = formats::of_images();
        if valid.iter().all(|valid| valid.name != format) {
            return Err(format!(
                "{format} has no room for several images; use {}",
                formats::names(" or ", &valid)
            ));
        }
        Ok((format, file))
    })
}

fn split(value: &OsStr) -> Result<(String, PathBuf), String> {
    let bytes = value.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=');
    let at = at.ok_or("FORMAT=FILE is expected, such as json=/tmp/report.json")?;
    let format = String::from_utf8_lossy(&bytes[..at]);
    let format = formats::find(&format).map_err(|error| one_line(&error.to_string()).into_owned())?;
    let file = OsStr::from_bytes(&bytes[at + 1..]);
    if file.is_empty() {
        return Err("the file's name is missing".into());
    }
    Ok((format.name.to_owned(), file.into()))
}

/// A duration: `60s`, `1m 30s`.
pub(super) fn duration(value: &str) -> Result<Duration, String> {
    text::duration(value)
}

/// A reference of an image.
pub(super) fn image(value: &str) -> Result<String, String> {
    Reference::parse(value).map(|_| value.to_owned()).map_err(|error| error.to_string())
}

/// A volume: `SOURCE:TARGET[:OPTIONS]`, or a path in the container.
pub(super) fn volume(value: &str) -> Result<String, String> {
    let parts: Vec<_> = value.split(':').collect();
    let target = if let [target] = parts[..] { target } else { parts[1] };
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) || !target.starts_with('/') {
        return Err("SOURCE:TARGET[:ro] or /PATH is expected, such as /certs:/certs:ro".to_owned());
    }
    Ok(value.to_owned())
}

/// A variable of the environment: `NAME=VALUE`.
pub(super) fn variable(value: &str) -> Result<String, String> {
    if value.split('=').next().is_none_or(str::is_empty) {
        return Err("NAME=VALUE is expected".to_owned());
    }
    Ok(value.to_owned())
}

/// A platform: `linux/amd64`, `linux/arm/v7`.
pub(super) fn platform(value: &str) -> Result<String, String> {
    let is_word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    if value.split('/').count() > 3 || !value.split('/').all(is_word) {
        return Err("OS/ARCH[/VARIANT] is expected, such as linux/amd64".to_owned());
    }
    Ok(value.to_owned())
}
