//! Every unsafe line of the crate.
//!
//! The bindings are made from newer headers than the library that Debian ships, so only calls whose
//! signatures agree in both are used here: `dht_infohash_get_from_string` and `dht_version` are the
//! same in 2.4.12 and in 3.3, and `dht_infohash` is twenty bytes in both.

#![allow(
    unsafe_code,
    reason = "this file is where the crate meets C; each block says why it holds"
)]

use std::ffi::CStr;

use opendht_sys::{dht_infohash, dht_infohash_get_from_string, dht_version};

/// Where a key lies in the DHT: OpenDHT's SHA-1 of its name.
pub type InfoHash = [u8; 20];

/// The place of the key called `name`, as the linked library computes it.
pub fn infohash_of(name: &CStr) -> InfoHash {
    let mut hash = dht_infohash { d: InfoHash::default() };
    // SAFETY: `hash` is a live, exclusively borrowed `dht_infohash` (twenty bytes, as in the C
    // header), which the call overwrites. `name` is NUL-terminated and outlives the call, which
    // reads it and keeps no pointer.
    unsafe { dht_infohash_get_from_string(&raw mut hash, name.as_ptr()) };
    hash.d
}

/// What the linked library calls its version, such as `2.4.12`.
pub fn version() -> String {
    // SAFETY: the call takes nothing and returns null or a pointer to a string.
    let text = unsafe { dht_version() };
    if text.is_null() {
        return "of unknown version".to_owned();
    }
    // SAFETY: it is not null, and the library returns a NUL-terminated literal of its own, which
    // lives as long as the process and which nobody writes to.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{KEY, KEY_HASH};

    #[test]
    fn the_key_of_4_x_lies_where_4_x_looks_for_it() {
        let hex: String = infohash_of(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "14d30143330e2e0e922ed4028a60ff96a59800ad");
        assert_eq!(infohash_of(KEY), KEY_HASH);
    }

    #[test]
    fn another_key_lies_elsewhere() {
        assert_ne!(infohash_of(c"good_actors"), KEY_HASH);
    }

    #[test]
    fn the_library_tells_its_version() {
        assert!(version().starts_with(|c: char| c.is_ascii_digit()), "{}", version());
    }
}
