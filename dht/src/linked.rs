//! Whether this binary holds OpenDHT, and whether it is the library that it was built for.

use std::fmt;

/// What this binary knows of OpenDHT. Its text is for the operator, as a part of a start-up line; that
/// sharing itself is not in this version is for the line to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The binary was built without the feature `opendht`.
    No,
    /// The library is there and puts keys where SentryPeer 4.x puts them.
    Yes {
        /// What the library calls its version.
        version: String,
    },
    /// A library is there, but it is not one that this binary can talk to: it puts the key of
    /// SentryPeer 4.x elsewhere, so nodes would never meet, or its configuration is laid out otherwise.
    Foreign {
        /// What the library calls its version.
        version: String,
    },
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("built without OpenDHT"),
            Self::Yes { version } => write!(f, "OpenDHT {version}"),
            Self::Foreign { version } => {
                write!(f, "OpenDHT {version}, which is not laid out as expected")
            }
        }
    }
}

/// Asks the linked library, if there is one, where the key of SentryPeer 4.x lies, and how it fills in
/// a configuration.
///
/// It opens no socket and starts no thread.
#[must_use]
pub fn linked() -> Linked {
    #[cfg(feature = "opendht")]
    {
        let version = crate::ffi::version();
        let places_agree = crate::ffi::infohash_of(crate::record::KEY) == crate::record::KEY_HASH;
        if places_agree && crate::ffi::config_is_as_expected() {
            Linked::Yes { version }
        } else {
            Linked::Foreign { version }
        }
    }
    #[cfg(not(feature = "opendht"))]
    Linked::No
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "opendht")]
    #[test]
    fn with_the_feature_the_library_is_the_expected_one() {
        assert!(matches!(linked(), Linked::Yes { .. }), "{}", linked());
    }

    #[cfg(not(feature = "opendht"))]
    #[test]
    fn without_the_feature_the_binary_says_that_the_library_is_not_there() {
        assert_eq!(linked(), Linked::No);
        assert!(linked().to_string().starts_with("built without OpenDHT"));
    }
}
