//! What the operator may set about sharing; the rest is in [`crate::limits`].

use crate::limits::{QUORUM_AGE_MIN_S, QUORUM_CREDIT_MIN, QUORUM_DEFAULT, VOTERS_MAX};

/// How much it takes for what peers say to be acted on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Nodes that must say so, at least 1 and at most [`VOTERS_MAX`].
    pub quorum: usize,
    /// Credit that each of them must have earned.
    pub credit: f64,
    /// How long each must be known, in seconds.
    pub age_s: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { quorum: QUORUM_DEFAULT, credit: QUORUM_CREDIT_MIN, age_s: QUORUM_AGE_MIN_S }
    }
}

impl Rules {
    /// The rules, with a quorum that can be reached and is not nothing.
    #[must_use]
    pub fn sane(self) -> Self {
        Self { quorum: self.quorum.clamp(1, VOTERS_MAX), ..self }
    }
}
