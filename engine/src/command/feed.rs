//! `export ipset` and the other feeds: from the running node, else from its database.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sentrypeer_storage::event::Verification;

use super::opened::Opened;
use super::{Failure, pass_on, print, refusal_text};
use crate::allow::Book;
use crate::config::{Config, ExportFeed, ExportIpset, IpsetFamily};
use crate::{context, control};

pub(super) fn ipset(config: &Config, wanted: &ExportIpset) -> Result<(), Failure> {
    document(config, &ipset_target(wanted))
}

pub(super) fn export(config: &Config, wanted: &ExportFeed) -> Result<(), Failure> {
    document(config, &feed_target(wanted))
}

fn document(config: &Config, target: &str) -> Result<(), Failure> {
    if let Some(answer) = control::request(&config.db, target).map_err(Failure::Node)? {
        return pass_on(answer);
    }
    let policy = Book::open(config).map_err(Failure::refused)?.policy();
    let opened = Opened::of_node(config)?;
    let response = control::ask(&context::for_export(policy, opened.store.clone()), target);
    let ok = (200..300).contains(&response.status);
    let bytes = response.body.into_bytes();
    opened.close()?;
    if ok { print(&bytes) } else { Err(Failure::Refused(refusal_text(&bytes))) }
}

/// The path and query that asks for what the command line says.
fn ipset_target(wanted: &ExportIpset) -> String {
    let mut target =
        Target::new(format!("/ip-addresses/ipset?document={}", wanted.document.name()));
    target.add("family", wanted.family.map(IpsetFamily::name));
    target.add("set", wanted.set.as_deref());
    target.add("timeout", wanted.timeout_s);
    target.add("min_verification", wanted.min_verification.map(Verification::name));
    target.add("allow_empty", wanted.allow_empty.then_some(1));
    target.0
}

fn feed_target(wanted: &ExportFeed) -> String {
    let mut target = Target::new(format!("/api/v1/feeds/{}?", wanted.format));
    target.add("family", wanted.family.map(IpsetFamily::name));
    target.add("min_verification", wanted.min_verification.map(Verification::name));
    target.add("min_count", wanted.min_count);
    target.add("max_age", wanted.max_age_s);
    target.add("limit", wanted.limit);
    target.add("timeout", wanted.timeout_s);
    target.add("name", wanted.name.as_deref());
    target.add("allow_empty", wanted.allow_empty.then_some(1));
    target.0
}

/// A path with its query.
struct Target(String);

impl Target {
    fn new(begin: String) -> Self {
        Self(begin)
    }

    fn add(&mut self, name: &str, value: Option<impl ToString>) {
        let Some(value) = value else { return };
        let value = value.to_string();
        if !self.0.ends_with('?') {
            self.0.push('&');
        }
        let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
        self.0.push_str(&format!("{name}={value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FEEDS;

    #[test]
    fn what_was_asked_for_is_in_the_query_and_nothing_else() {
        let (format, ..) = FEEDS[0];
        assert_eq!(feed_target(&ExportFeed::of(format)), format!("/api/v1/feeds/{format}?"));
        let wanted = ExportFeed {
            name: Some("a b&c=d".to_owned()),
            limit: Some(9),
            allow_empty: true,
            ..ExportFeed::of("nft")
        };
        let expected = "/api/v1/feeds/nft?limit=9&name=a%20b%26c%3Dd&allow_empty=1";
        assert_eq!(feed_target(&wanted), expected);
    }
}
