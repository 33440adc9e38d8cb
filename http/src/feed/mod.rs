//! Documents for what blocks: each renders one blocklist, and prints nothing but typed addresses.

pub(crate) mod ipset;
