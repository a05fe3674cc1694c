//! A path in JSON: as text where it is UTF-8, else as `{"hex": "2fff"}`, so that every path comes back as it was.

use std::ffi::OsString;
use std::ops::Deref;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path that can be JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct AnyPath(PathBuf);

/// How it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Hex {
        #[serde(with = "hex")]
        hex: Vec<u8>,
    },
}

impl<P: Into<PathBuf>> From<P> for AnyPath {
    fn from(path: P) -> Self {
        Self(path.into())
    }
}

impl Deref for AnyPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl From<Written> for AnyPath {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self(text.into()),
            Written::Hex { hex } => Self(OsString::from_vec(hex).into()),
        }
    }
}

impl From<AnyPath> for Written {
    fn from(path: AnyPath) -> Self {
        path.0
            .into_os_string()
            .into_string()
            .map_or_else(|path| Self::Hex { hex: path.into_vec() }, Self::Text)
    }
}

/// The same form for a field that is a [`PathBuf`].
pub mod field {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::AnyPath;

    /// Writes the path.
    ///
    /// # Errors
    ///
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        AnyPath::from(path).serialize(serializer)
    }

    /// Reads the path.
    ///
    /// # Errors
    ///
    /// Where it has neither of the two forms.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        AnyPath::deserialize(deserializer).map(|path| path.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        for (bytes, json) in [(&b"/a b"[..], r#""/a b""#), (b"/\xff", r#"{"hex":"2fff"}"#)] {
            let path = AnyPath::from(OsString::from_vec(bytes.to_vec()));
            assert_eq!(serde_json::to_string(&path).unwrap(), json);
            assert_eq!(serde_json::from_str::<AnyPath>(json).unwrap(), path);
        }
    }
}
