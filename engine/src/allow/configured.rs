//! What the configuration and the files that it names put on the allow-list.

use std::collections::HashSet;

use sentrypeer_http::allow::{Entry, Origin, Subject};
use sentrypeer_storage::prefix::Prefix;

use crate::config::{Allowed, Config};

/// The entries: of one origin no subject twice.
pub(super) fn entries(config: &Config) -> Vec<Entry> {
    let Allowed { addresses, from_file, numbers, .. } = &config.allowed;
    let named = addresses.iter().map(|prefix| entry(*prefix, "", Origin::Configuration));
    let numbers = numbers.iter().map(|pattern| Entry {
        subject: Subject::Number(pattern.clone()),
        reason: String::new(),
        expires: None,
        origin: Origin::Configuration,
    });
    let front_ends = config
        .proxy_protocol_from
        .iter()
        .map(|prefix| entry(*prefix, "a front end (proxy_protocol_from)", Origin::Configuration));
    let from_file =
        from_file.iter().map(|listed| entry(listed.prefix, &listed.reason, Origin::File));
    let mut seen = HashSet::new();
    let mut entries: Vec<Entry> = named.chain(numbers).chain(front_ends).chain(from_file).collect();
    entries.retain(|entry| seen.insert((entry.subject.to_string(), entry.origin.name())));
    entries
}

fn entry(prefix: Prefix, reason: &str, origin: Origin) -> Entry {
    Entry { subject: Subject::Network(prefix), reason: reason.to_owned(), expires: None, origin }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_configuration_is_there_once_with_its_origin_and_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("allow.txt");
        std::fs::write(&file, "10.0.0.7 # the exchange\n10.0.0.7\n192.0.2.0/24\n").unwrap();
        let words = ["sentrypeer", "--allow=192.0.2.0/24", "--allow=192.0.2.9/24", "--allow-file"];
        let words = words.iter().map(std::ffi::OsString::from).chain([file.into()]);
        let words =
            words.chain(["--allow-numbers=7000", "--proxy-protocol-from=10.9.9.9"].map(Into::into));
        let config = crate::config::load(words, std::iter::empty(), None).unwrap().config;
        let shown: Vec<_> = entries(&config)
            .into_iter()
            .map(|e| format!("{} {} {}", e.subject, e.origin.name(), e.reason))
            .collect();
        let expected = [
            "192.0.2.0/24 configuration ",
            "7000 configuration ",
            "10.9.9.9/32 configuration a front end (proxy_protocol_from)",
            "10.0.0.7/32 file the exchange",
            "192.0.2.0/24 file ",
        ];
        assert_eq!(shown, expected);
    }
}
