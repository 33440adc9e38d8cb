//! `firewall`: keeps a set of the kernel up to date with what the running node would block.
//!
//! The first time the whole list is loaded, then only what has changed, and from time to time the set is
//! held against the whole list, for somebody else may have changed it. On any error the set stays as it is: what blocks
//! goes on blocking, and its entries end by themselves. What would take away more than a share of
//! the set at once is not loaded at all.
//!
//! `document` is what is read and written, `tool` runs `ipset` and `nft`, `set` is one set of one family.

mod document;
mod set;
mod tool;

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use sentrypeer_storage::event::Verification;

use crate::limits::{FIREWALL_SHRINK_ENTRIES, FIREWALL_SHRINK_PERCENT, FIREWALL_WHOLE_S};
use set::Set;

/// With which tool sets are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `ipset`: a set of its own for each family.
    Ipset,
    /// `nft`: a table with a set for each family.
    Nft,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6, by /64.
    V6,
}

impl Family {
    fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }
}

/// What is to be kept up to date, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// With which tool.
    pub tool: Tool,
    /// Only this family; `None`: both.
    pub family: Option<Family>,
    /// What the sets are called, without the digit for their family.
    pub name: String,
    /// Pause between two looks, in s.
    pub interval_s: u64,
    /// How often the set is held against the whole list, in s.
    pub whole_s: u64,
    /// The weakest proof of an address that counts; `None`: the node's policy.
    pub min_verification: Option<Verification>,
    /// Most that may go from a set at once, in hundredths of it.
    pub shrink_percent_max: u32,
    /// Only once.
    pub once: bool,
    /// Load nothing, print what would be loaded.
    pub dry_run: bool,
}

impl Wanted {
    /// What holds if nothing is said.
    #[must_use]
    pub fn new(tool: Tool) -> Self {
        Self {
            tool,
            family: None,
            name: "sentrypeer".to_owned(),
            interval_s: 10,
            whole_s: FIREWALL_WHOLE_S,
            min_verification: None,
            shrink_percent_max: FIREWALL_SHRINK_PERCENT,
            once: false,
            dry_run: false,
        }
    }

    /// Whether so many of `of` entries may go at once. A few may, whatever the share.
    fn may_go(&self, gone: usize, of: usize) -> bool {
        let share = of as u128 * u128::from(self.shrink_percent_max);
        gone <= FIREWALL_SHRINK_ENTRIES || gone as u128 * 100 <= share
    }
}

/// Why a set was not brought up to date. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The node cannot be asked.
    #[error("asking the node: {0}")]
    Node(#[source] io::Error),
    /// No node runs there.
    #[error("{}: no node runs on this database; start one, or name its database with --db", .0.display())]
    NoNode(PathBuf),
    /// The node gives no list.
    #[error("the node gives no list: {0}")]
    Refused(String),
    /// What the node gave is not understood.
    #[error("the node's list is not understood: {0:?}")]
    Malformed(String),
    /// The tool cannot be run, or refuses.
    #[error("{tool}: {why}")]
    Tool {
        /// The program.
        tool: &'static str,
        /// What it, or the system, said.
        why: String,
    },
    /// Too much would go at once.
    #[error(
        "set {set}: {gone} of its {of} entries would go at once, which is more than {percent} in a \
         hundred; if that is right, run once with --shrink-max=100"
    )]
    Shrinks {
        /// The set.
        set: String,
        /// How many would go.
        gone: usize,
        /// How many there are.
        of: usize,
        /// The bound.
        percent: u32,
    },
    /// Standard output cannot be written.
    #[error("writing: {0}")]
    Output(#[source] io::Error),
}

/// Keeps the sets up to date, for ever unless only once is wanted.
///
/// # Errors
///
/// With `once` and `dry_run` what kept a set from being brought up to date; else only that the tool is not there.
pub fn run(database: &std::path::Path, wanted: &Wanted) -> Result<(), FirewallError> {
    tool::is_there(wanted.tool)?;
    let families = [Family::V4, Family::V6].into_iter();
    let families = families.filter(|family| wanted.family.is_none_or(|only| only == *family));
    let mut sets: Vec<Set> = families.map(|family| Set::new(database, wanted, family)).collect();
    let is_once = wanted.once || wanted.dry_run;
    loop {
        let mut outcome = Ok(());
        for set in &mut sets {
            match set.round() {
                Ok(Some(done)) => log::info!("{done}"),
                Ok(None) => {}
                Err(error) if is_once => {
                    if let Err(earlier) = std::mem::replace(&mut outcome, Err(error)) {
                        log::error!("{earlier}");
                    }
                }
                Err(error) => set.complain(&error),
            }
        }
        if is_once {
            return outcome;
        }
        thread::sleep(Duration::from_secs(wanted.interval_s));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_may_go_at_once_and_a_few_always() {
        let wanted = Wanted { shrink_percent_max: 50, ..Wanted::new(Tool::Ipset) };
        assert!(wanted.may_go(500, 1_000) && !wanted.may_go(501, 1_000));
        assert!(wanted.may_go(FIREWALL_SHRINK_ENTRIES, FIREWALL_SHRINK_ENTRIES));
        assert!(!wanted.may_go(FIREWALL_SHRINK_ENTRIES + 1, FIREWALL_SHRINK_ENTRIES + 1));
        let all = Wanted { shrink_percent_max: 100, ..wanted };
        assert!(all.may_go(1_000_000, 1_000_000));
    }
}
