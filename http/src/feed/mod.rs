//! Documents for what blocks: each renders one blocklist, and prints nothing but typed addresses,
//! times and numbers.
//!
//! `choice` says what was asked for, `list` what is in it, `document` puts head, entries and tail
//! together, slice by slice; a file for each family of formats writes these. `ipset` is older than
//! they are and stands alone; `crowdsec` and `apiban` speak the protocols of others.

pub(crate) mod apiban;
mod choice;
pub(crate) mod crowdsec;
mod cut;
mod delta;
mod document;
mod firewalld;
mod format;
pub(crate) mod ipset;
mod list;
mod mikrotik;
mod misp;
mod nft;
mod stix;
mod tabular;
mod zone;

pub(crate) use document::{answer, misp_file};
