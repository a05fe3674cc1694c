//! The files of the built-in test image: the engine writes them, and the probe looks for them.

/// The program in the image.
pub const PROGRAM: &str = "/dindcheck";
/// A file that only the first layer has.
pub const LOWER: &str = "layers/lower";
/// What [`LOWER`] holds.
pub const LOWER_TEXT: &[u8] = b"from the lower layer\n";
/// A file that the first layer brings and the second one replaces.
pub const REPLACED: &str = "layers/replaced";
/// A file that the first layer brings and the second one removes.
pub const REMOVED: &str = "layers/removed";
/// A directory that only the first layer has.
pub const LOWER_DIR: &str = "layers/dir";
/// A directory of both layers: the second one hides what the first has in it.
pub const OPAQUE_DIR: &str = "layers/opaque";
