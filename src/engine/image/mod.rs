//! The built-in test image: this program itself, as an archive that needs no registry.
//!
//! The archive is in the format of `docker save` (manifest.json, a config, layers), which every daemon loads. It is
//! streamed: the layer's digest is computed on the way, and the config that names the digest follows, so the program is
//! never in memory as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::engine::LABEL;
use crate::fixture::{LOWER_DIR, OPAQUE_DIR};

pub mod build;
pub mod pulled;

/// The name of the built-in image; its tag is the run's id.
pub const NAME: &str = "dindcheck-probe";
/// The program in the image.
pub const PROGRAM: &str = "/dindcheck";
/// A file of the first layer that the second one replaces.
pub const REPLACED: &str = "layers/replaced";
/// A file of the first layer that the second one removes.
pub const REMOVED: &str = "layers/removed";
/// A file of the first layer only.
pub const LOWER: &str = "layers/lower";
/// The content of [`LOWER`].
pub const LOWER_TEXT: &[u8] = b"from the lower layer\n";

/// The size of a chunk in bytes.
const CHUNK: usize = 64 << 10;
/// The block size of a tar archive in bytes.
const BLOCK: u64 = 512;

/// The archive of the built-in image, chunk by chunk.
pub struct Archive {
    run: String,
    program: File,
    left: u64,
    size: u64,
    digest: Sha256,
    part: Part,
    buffer: Vec<u8>,
}

/// The next part of the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Program,
    End,
}

impl Archive {
    /// The image of a run, with this file as its program.
    pub fn new(run: &str, program: File) -> io::Result<Self> {
        let size = program.metadata()?.len();
        let digest = Sha256::new();
        Ok(Self {
            run: run.to_owned(),
            program,
            left: size,
            size,
            digest,
            part: Part::Head,
            buffer: vec![0; CHUNK],
        })
    }

    /// The image's reference.
    pub fn reference(run: &str) -> String {
        format!("{NAME}:{run}")
    }

    /// The size of the first layer: small files, the program, two zero blocks.
    fn layer_size(&self, small: &[u8]) -> u64 {
        small.len() as u64 + BLOCK + self.size.next_multiple_of(BLOCK) + 2 * BLOCK
    }

    /// The header of the first layer, and the layer up to the program's first byte.
    fn head(&mut self) -> io::Result<Vec<u8>> {
        let mut inner = small_files()?;
        let layer = self.layer_size(&inner);
        inner.extend(header(&PROGRAM[1..], tar::EntryType::Regular, self.size, 0o755)?);
        self.digest.update(&inner);
        let mut bytes = header("layer.tar", tar::EntryType::Regular, layer, 0o644)?;
        bytes.extend(inner);
        Ok(bytes)
    }

    /// The next bytes of the program. A file that became shorter is an error: its header has been sent.
    fn program(&mut self) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(self.left.min(CHUNK as u64)).unwrap_or(CHUNK);
        self.program.read_exact(&mut self.buffer[..wanted])?;
        self.left -= wanted as u64;
        self.digest.update(&self.buffer[..wanted]);
        Ok(self.buffer[..wanted].to_vec())
    }

    /// The end of the first layer, the second layer, the config and the manifest.
    fn tail(&mut self) -> io::Result<Vec<u8>> {
        let padding = self.size.next_multiple_of(BLOCK) - self.size + 2 * BLOCK;
        let mut bytes = vec![0; usize::try_from(padding).unwrap_or_default()];
        self.digest.update(&bytes);
        let second = second_layer()?;
        bytes.extend(entry("second.tar", &second, 0o644)?);
        let digests =
            [hex::encode(std::mem::take(&mut self.digest).finalize()), hex::encode(Sha256::digest(&second))];
        let config = config(&self.run, &digests).to_string();
        let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
        bytes.extend(entry(&config_name, config.as_bytes(), 0o644)?);
        let manifest = json!([{
            "Config": config_name,
            "RepoTags": [Self::reference(&self.run)],
            "Layers": ["layer.tar", "second.tar"],
        }]);
        bytes.extend(entry("manifest.json", manifest.to_string().as_bytes(), 0o644)?);
        bytes.extend([0; 1024]);
        Ok(bytes)
    }
}

impl Iterator for Archive {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let (bytes, next) = match self.part {
            Part::Head => (self.head(), Part::Program),
            Part::Program if self.left > 0 => (self.program(), Part::Program),
            Part::Program => (self.tail(), Part::End),
            Part::End => return None,
        };
        self.part = if bytes.is_ok() { next } else { Part::End };
        Some(bytes.map(Bytes::from))
    }
}

/// The small files of the first layer.
fn small_files() -> io::Result<Vec<u8>> {
    let mut bytes = header("layers/", tar::EntryType::Directory, 0, 0o755)?;
    bytes.extend(header("tmp/", tar::EntryType::Directory, 0, 0o1777)?);
    for dir in [LOWER_DIR, OPAQUE_DIR] {
        bytes.extend(header(&format!("{dir}/"), tar::EntryType::Directory, 0, 0o755)?);
        bytes.extend(entry(&format!("{dir}/one"), b"one\n", 0o644)?);
        bytes.extend(entry(&format!("{dir}/two"), b"two\n", 0o644)?);
    }
    bytes.extend(entry(LOWER, LOWER_TEXT, 0o644)?);
    bytes.extend(entry(REPLACED, b"old\n", 0o644)?);
    bytes.extend(entry(REMOVED, b"gone\n", 0o644)?);
    Ok(bytes)
}

/// The second layer: replaces a file of the first, removes one, and hides a directory's content (image-spec
/// `layer.md`, whiteouts and opaque whiteouts).
fn second_layer() -> io::Result<Vec<u8>> {
    let mut bytes = entry(REPLACED, b"new\n", 0o644)?;
    let removed = Path::new(REMOVED);
    let whiteout =
        removed.with_file_name(format!(".wh.{}", removed.file_name().unwrap_or_default().to_string_lossy()));
    bytes.extend(entry(&whiteout.to_string_lossy(), b"", 0o644)?);
    bytes.extend(header(&format!("{OPAQUE_DIR}/"), tar::EntryType::Directory, 0, 0o755)?);
    bytes.extend(entry(&format!("{OPAQUE_DIR}/.wh..wh..opq"), b"", 0o644)?);
    bytes.extend(entry(&format!("{OPAQUE_DIR}/two"), b"new\n", 0o644)?);
    bytes.extend([0; 1024]);
    Ok(bytes)
}

/// The image's config (image-spec `config.md`).
fn config(run: &str, digests: &[String]) -> serde_json::Value {
    let ids: Vec<_> = digests.iter().map(|digest| format!("sha256:{digest}")).collect();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Entrypoint": [PROGRAM, "probe"], "Labels": { LABEL: run } },
        "rootfs": { "type": "layers", "diff_ids": ids },
        "history": [{ "created_by": "dindcheck" }, { "created_by": "dindcheck" }],
    })
}

/// This machine's architecture as images name it (Go's `GOARCH`).
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// One whole entry: header, content, padding.
fn entry(path: &str, content: &[u8], mode: u32) -> io::Result<Vec<u8>> {
    let mut bytes = header(path, tar::EntryType::Regular, content.len() as u64, mode)?;
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(bytes)
}

/// The header of an entry.
fn header(path: &str, kind: tar::EntryType, size: u64, mode: u32) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use super::*;

    /// The entries of the archive of a program with this content.
    fn unpacked(program: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(program).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let chunks: Vec<_> = Archive::new("cafe", file).unwrap().map(Result::unwrap).collect();
        assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK + 16_384));
        entries(&chunks.concat())
    }

    fn entries(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.insert(entry.path().unwrap().display().to_string(), content);
        }
        found
    }

    #[test]
    fn digests_and_sizes_are_right_for_every_size_of_the_program() {
        for size in [0, 1, 511, 512, 513, CHUNK, CHUNK + 1, 3 * CHUNK + 700] {
            let program: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let image = unpacked(&program);
            let manifest: serde_json::Value = serde_json::from_slice(&image["manifest.json"]).unwrap();
            assert_eq!(manifest[0]["RepoTags"][0], "dindcheck-probe:cafe");
            let config: serde_json::Value =
                serde_json::from_slice(&image[manifest[0]["Config"].as_str().unwrap()]).unwrap();
            for (index, layer) in ["layer.tar", "second.tar"].into_iter().enumerate() {
                let digest = format!("sha256:{}", hex::encode(Sha256::digest(&image[layer])));
                assert_eq!(config["rootfs"]["diff_ids"][index], digest, "{size}");
            }
            assert_eq!(entries(&image["layer.tar"])["dindcheck"], program);
            assert_eq!(config["config"]["Labels"][LABEL], "cafe");
        }
    }

    #[test]
    fn the_second_layer_replaces_and_removes() {
        let second = entries(&unpacked(b"x")["second.tar"]);
        assert_eq!(second["layers/replaced"], b"new\n");
        assert!(second.contains_key("layers/.wh.removed"));
    }

    #[test]
    fn a_program_that_shrinks_is_an_error_and_ends_the_stream() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 100]).unwrap();
        let mut archive = Archive::new("cafe", file).unwrap();
        assert!(archive.next().unwrap().is_ok());
        assert!(archive.next().unwrap().is_err());
        assert!(archive.next().is_none());
    }
}
