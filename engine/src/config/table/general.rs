//! The configuration itself, and what is said.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(Id::ConfigFile, Group::General, "config")
        .short('g')
        .env(&["SENTRYPEER_CONFIG_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("~/.config/sentrypeer/default-config.toml, if it exists"))
        .help("Configuration file (TOML)"),
    Setting::new(Id::CheckConfig, Group::General, "check-config")
        .env(&["SENTRYPEER_CHECK_CONFIG"])
        .help("Check the configuration, print it with where each value comes from, and exit"),
    Setting::new(Id::Verbose, Group::General, "verbose")
        .key("verbose")
        .short('v')
        .env(&["SENTRYPEER_VERBOSE"])
        .help("Log more detail"),
    Setting::new(Id::Debug, Group::General, "debug")
        .key("debug")
        .short('d')
        .env(&["SENTRYPEER_DEBUG"])
        .help("Log everything, each message too; for finding faults"),
];
