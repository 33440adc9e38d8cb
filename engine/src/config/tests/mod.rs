//! The whole way from arguments, environment and file to the configuration.

mod anything;
mod compat;
mod compat_outputs;
mod help;
mod layers;
mod messages;
mod secrets;
mod sharing;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// What one load starts from.
#[derive(Default)]
pub(super) struct Start {
    pub(super) args: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) home: Option<PathBuf>,
    folder: Option<tempfile::TempDir>,
}

impl Start {
    pub(super) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(Into::into));
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Puts a file where it is looked for by default.
    pub(super) fn file(mut self, text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DEFAULT_FILE);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.home = Some(folder.path().to_owned());
        self.folder = Some(folder);
        self
    }

    pub(super) fn load(&self) -> Result<Loaded, ConfigError> {
        let args = std::iter::once("sentrypeer".into()).chain(self.args.iter().cloned());
        load(args, self.environment.iter().cloned(), self.home.as_deref())
    }

    pub(super) fn config(&self) -> Config {
        self.load().unwrap_or_else(|error| panic!("{error}")).config
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let loaded = self.load().unwrap_or_else(|error| panic!("{error}"));
        loaded.warnings.iter().map(ToString::to_string).collect()
    }

    /// The message of a load that must fail, with the name of the file shortened to `config.toml`.
    pub(super) fn error(&self) -> String {
        let error = self.load().expect_err("this must not load");
        assert_eq!(error.exit_status(), 1, "{error}");
        let path = self.home.as_ref().map(|home| home.join(DEFAULT_FILE));
        let path = path.as_deref().unwrap_or(Path::new("no file")).display().to_string();
        error.to_string().replace(&path, "config.toml")
    }
}

pub(super) fn flags(args: &[&str]) -> Start {
    Start::default().args(args)
}

pub(super) fn env(name: &str, value: &str) -> Start {
    Start::default().env(name, value)
}

pub(super) fn file(text: impl AsRef<[u8]>) -> Start {
    Start::default().file(text)
}

pub(super) fn addresses(listens: &[Listen]) -> Vec<String> {
    listens.iter().map(|listen| listen.addr.to_string()).collect()
}
