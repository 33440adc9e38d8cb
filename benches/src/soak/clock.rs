//! The node's clock, apart from the machine's, by a library that stands between it and the system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where distributions put the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

/// A clock that can be set.
pub struct Clock {
    file: PathBuf,
    library: &'static str,
}

impl Clock {
    /// A clock that is right, whose setting is kept in `folder`; none where the library is not there.
    ///
    /// # Errors
    ///
    /// If its setting cannot be written.
    pub fn new(folder: &Path) -> io::Result<Option<Self>> {
        let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
            return Ok(None);
        };
        let clock = Self { file: folder.join("clock"), library };
        clock.set_hours(0)?;
        Ok(Some(clock))
    }

    /// Sets it so many hours ahead of the machine's.
    ///
    /// # Errors
    ///
    /// If its setting cannot be written.
    pub fn set_hours(&self, hours: u32) -> io::Result<()> {
        fs::write(&self.file, format!("+{hours}h\n"))
    }

    /// What a process needs in its environment to go by it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.display().to_string();
        [
            ("LD_PRELOAD", self.library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_CACHE_DURATION", "1"),
            // Only the time of day is false: intervals are measured by another clock.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}
