//! The packed block.

/// Most bytes that one event adds to the columns.
pub const EVENT_COLUMNS_MAX: usize = 112;
