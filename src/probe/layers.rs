//! Checks that the layers of the built-in image are stacked correctly: lower files, replaced ones, whiteouts, opaque
//! directories. `engine/image` makes the layers.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fixture::{LOWER, LOWER_TEXT, REMOVED, REPLACED};
use crate::host::SystemReader;

/// A directory that only the first layer has.
pub const LOWER_DIR: &str = "layers/dir";
/// A file in it.
pub const IN_DIR: &str = "layers/dir/one";
/// A directory of both layers: the second one hides what the first has in it.
pub const OPAQUE_DIR: &str = "layers/opaque";

/// Which properties of the layers hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each property is independent of the others")]
pub struct Layers {
    /// A file of the lower layer is visible.
    pub lower_shows: bool,
    /// A replaced file has the content of the upper layer.
    pub replaced: bool,
    /// A file that the upper layer removes is missing.
    pub removed: bool,
    /// An opaque directory hides the files of the lower layer.
    #[serde(default)]
    pub opaque: bool,
}

/// Reads the files of the layers.
pub fn look(host: &dyn SystemReader) -> Layers {
    let read = |path: &str| host.read(&Path::new("/").join(path));
    Layers {
        lower_shows: read(LOWER).is_ok_and(|bytes| bytes == LOWER_TEXT),
        replaced: read(REPLACED).is_ok_and(|bytes| bytes == b"new\n"),
        removed: read(REMOVED).is_err_and(|error| error.is_absent()),
        opaque: host.list(&Path::new("/").join(OPAQUE_DIR)).is_ok_and(|names| names == ["two"]),
    }
}

impl Layers {
    /// A description of each property that does not hold.
    pub fn faults(&self) -> Vec<&'static str> {
        let holds = [
            (self.lower_shows, "a file of the lower layer does not show"),
            (self.replaced, "a replaced file shows its old content"),
            (self.removed, "a removed file is still there"),
            (self.opaque, "a replaced directory shows its old content"),
        ];
        holds.into_iter().filter(|(holds, _)| !holds).map(|(_, description)| description).collect()
    }
}
