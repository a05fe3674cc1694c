//! The format `json`: the [`Document`](crate::report::document::Document), for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::{Escaping, Format};

/// The format.
pub static FORMAT: Format = Format {
    name: "json",
    about: "JSON; `dindcheck schema` prints the schema of a report",
    readers: "programs",
    for_people: false,
    escaping: Escaping::Json,
    render: |report, out| write(report, out),
    render_images: Some(|images, out| write(images, out)),
};

/// Writes a value as one indented JSON document.
fn write<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
