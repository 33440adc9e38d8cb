//! What a record earns, and what a node is worth.

/// What a record earns that turned out to be true.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Merit {
    /// Credit.
    pub amount: f64,
    /// Whether nobody had told it in an epoch before, nor our own sensors seen it.
    pub is_first: bool,
}

/// What a node is worth to us.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Whether it counts in a quorum.
    pub counts: bool,
    /// Whether it has earned enough to confirm what others say.
    pub is_credited: bool,
    /// What its voice weighs, 0 to 1. It grows with what was confirmed and falls with time.
    pub weight: f64,
}
