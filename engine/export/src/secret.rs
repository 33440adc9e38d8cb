//! Secrets: from a file or the environment, and into nothing that anybody reads.

use std::fmt;
use std::path::Path;

use crate::limits::SECRET_BYTES_MAX;

/// A secret. It shows itself to nobody: `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// This text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The content of a file, without the line end.
    ///
    /// # Errors
    ///
    /// The file cannot be read, has nothing in it, or is too long to be a secret.
    pub fn from_file(path: &Path) -> std::io::Result<Self> {
        let invalid = |text| std::io::Error::new(std::io::ErrorKind::InvalidData, text);
        if path.metadata()?.len() > SECRET_BYTES_MAX {
            return Err(invalid("it is too long to be a secret"));
        }
        let text = std::fs::read_to_string(path)?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(invalid("there is nothing in it")),
            text => Ok(Self::new(text)),
        }
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
