//! What the rules let through, each with its reason. An entry that is no longer needed is a breach.

use crate::source::{Breach, Source};

/// Files of more than 400 lines.
pub const LONG_FILES: &[(&str, &str)] = &[];

/// Files that may hold `unsafe`.
pub const UNSAFE_FILES: &[(&str, &str)] = &[
    ("benches/src/mmsg.rs", "no crate sends a batch with a source address for each datagram"),
    ("dht/src/ffi.rs", "OpenDHT is a C library"),
    ("dht/src/receive_buffer.rs", "OpenDHT's sockets are nothing but numbers to us"),
    (
        "engine/src/net/syscall/address.rs",
        "the kernel writes addresses of a type of its own choice",
    ),
    ("engine/src/net/syscall/batch.rs", "batches of datagrams with what belongs to each"),
    ("engine/src/net/syscall/mod.rs", "the kernel is asked for io_uring before glommio is"),
    ("engine/src/net/syscall/option.rs", "options that the safe wrappers do not know"),
];

/// Which crates only some files may name, as they are written in a path.
pub const CRATES: &[(&str, &str)] = &[
    ("glommio", "engine/src/net/"),
    ("mio", "engine/src/net/"),
    ("redb", "storage/"),
    ("may", "http/src/front/dip.rs"),
    ("may_minihttp", "http/src/front/dip.rs"),
    ("hyper", "http/src/front/"),
    ("hyper_util", "http/src/front/"),
    ("opendht_sys", "dht/src/ffi.rs"),
];

/// Code that gets everything as an argument: bytes, addresses and the time.
pub const PURE: &[&str] = &[
    "engine/sip/",
    "engine/src/honeypot/",
    "storage/pack/src/",
    "storage/src/allow.rs",
    "storage/src/blocklist.rs",
    "storage/src/policy.rs",
    "http/src/access/",
    "http/src/feed/",
];

/// Each entry of [`UNSAFE_FILES`] must be a file that does hold `unsafe`.
pub fn unsafe_files_are_there(sources: &[Source]) -> Vec<Breach> {
    let holds = |path: &str| {
        let found = sources.iter().find(|source| source.path == path);
        found.is_some_and(|source| source.tokens.iter().any(|token| token.text == "unsafe"))
    };
    let needless = UNSAFE_FILES.iter().filter(|(path, reason)| !holds(path) || reason.is_empty());
    let what = "holds no unsafe; take it off the list of files that may";
    needless
        .map(|(path, _)| Breach { path: (*path).to_owned(), line: 1, what: what.to_owned() })
        .collect()
}

#[test]
fn a_file_that_may_hold_unsafe_and_holds_none_is_a_breach() {
    let sources = [Source::parse("dht/src/ffi.rs", "fn f() { unsafe { g() } }")];
    let breaches = unsafe_files_are_there(&sources);
    assert_eq!(breaches.len(), UNSAFE_FILES.len() - 1);
    assert!(breaches.iter().all(|breach| breach.path != "dht/src/ffi.rs"));
}
