//! `export ipset`: from the running node, else from its database.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::opened::Opened;
use super::{Failure, pass_on, print, refusal_text};
use crate::config::{Config, ExportIpset};
use crate::{context, control};

pub(super) fn export(config: &Config, wanted: &ExportIpset) -> Result<(), Failure> {
    let target = ipset_target(wanted);
    if let Some(answer) = control::request(&config.db, &target).map_err(Failure::Node)? {
        return pass_on(answer);
    }
    let opened = Opened::of_node(config)?;
    let response = control::ask(&context::for_export(config, opened.store.clone()), &target);
    let ok = (200..300).contains(&response.status);
    let bytes = response.body.into_bytes();
    opened.close()?;
    if ok { print(&bytes) } else { Err(Failure::Refused(refusal_text(&bytes))) }
}

/// The path and query that asks for what the command line says.
fn ipset_target(wanted: &ExportIpset) -> String {
    let mut target = format!("/ip-addresses/ipset?document={}", wanted.document.name());
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            target.push_str(&format!("&{name}={value}"));
        }
    };
    add("family", wanted.family.map(|family| family.name().to_owned()));
    let encoded = |name: &String| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    add("set", wanted.set.as_ref().map(encoded));
    add("timeout", wanted.timeout_s.map(|seconds| seconds.to_string()));
    add("min_verification", wanted.min_verification.map(|level| level.name().to_owned()));
    add("allow_empty", wanted.allow_empty.then(|| "1".to_owned()));
    target
}
