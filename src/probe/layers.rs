//! Do the image's layers lie over each other as they should? See `engine/image.rs`, which makes them.

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

/// What of the layers is to be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is seen by itself")]
pub struct Layers {
    /// A file of the lower layer shows through.
    pub lower_shows: bool,
    /// A file that the upper layer replaces is the upper one.
    pub replaced: bool,
    /// A file that the upper layer removes is gone.
    pub removed: bool,
    /// A directory that the upper layer makes opaque shows nothing of the lower one.
    #[serde(default)]
    pub opaque: bool,
}

/// Looks.
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
    /// What is wrong, in words.
    pub fn faults(&self) -> Vec<&'static str> {
        let holds = [
            (self.lower_shows, "a file of the lower layer does not show"),
            (self.replaced, "a replaced file shows its old content"),
            (self.removed, "a removed file is still there"),
            (self.opaque, "a replaced directory shows its old content"),
        ];
        holds.into_iter().filter(|(holds, _)| !holds).map(|(_, words)| words).collect()
    }
}
