//! The image that is built as a test: a Dockerfile of two lines, as a context of one file.

use crate::engine::image::Archive;
use crate::fixture::PROGRAM;

/// The name of the image that is built; its tag is the run's id.
const NAME: &str = "dindcheck-built";

/// An image that was built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// Its reference.
    pub reference: String,
    /// The builder's output, at most 16 KiB.
    pub said: String,
}

/// The reference of the image that a run builds.
pub fn reference(run: &str) -> String {
    format!("{NAME}:{run}")
}

/// The context: a tar archive with the Dockerfile. The image inherits the label of the built-in one.
pub fn context(run: &str) -> std::io::Result<Vec<u8>> {
    let dockerfile = format!("FROM {}\nRUN [\"{PROGRAM}\", \"probe\"]\n", Archive::reference(run));
    let mut header = tar::Header::new_ustar();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes())?;
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_context_has_a_dockerfile_from_the_built_in_image() {
        let context = context("cafe").unwrap();
        let mut archive = tar::Archive::new(context.as_slice());
        let mut file = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(file.path().unwrap().to_string_lossy(), "Dockerfile");
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "FROM dindcheck-probe:cafe\nRUN [\"/dindcheck\", \"probe\"]\n");
    }
}
