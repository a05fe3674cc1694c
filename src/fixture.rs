//! The files of the built-in test image, which the engine writes and the probe reads.

/// The program in the image.
pub const PROGRAM: &str = "/dindcheck";
/// A file that only the first layer has.
pub const LOWER: &str = "layers/lower";
/// The content of [`LOWER`].
pub const LOWER_TEXT: &[u8] = b"from the lower layer\n";
/// A file of the first layer that the second one replaces.
pub const REPLACED: &str = "layers/replaced";
/// A file of the first layer that the second one removes.
pub const REMOVED: &str = "layers/removed";
/// A directory that only the first layer has.
pub const LOWER_DIR: &str = "layers/dir";
/// A directory of both layers; the second one makes it opaque, so that the files of the first are hidden.
pub const OPAQUE_DIR: &str = "layers/opaque";
