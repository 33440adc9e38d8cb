//! Which events an output gets.

use sentrypeer_storage::event::{Transport, Verification};
use sentrypeer_storage::log::StoredEvent;
use sentrypeer_storage::policy::AllowList;

/// Which events an output gets; the default is all of them. What is left out is passed over, and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only events whose source is proven at least so well.
    pub min_verification: Verification,
    /// Only these methods; empty means all. Names of methods are case-sensitive (RFC 3261, section 7.1).
    pub methods: Vec<String>,
    /// Only these transports; empty means all.
    pub transports: Vec<Transport>,
    /// Only events that have a number.
    pub with_number: bool,
    /// Leave out addresses on the allow-list. An output that something acts on always does.
    pub without_allowed: bool,
}

impl Filter {
    /// Whether the event passes.
    #[must_use]
    pub fn takes(&self, event: &StoredEvent, allow: &AllowList) -> bool {
        let method = |wanted: &String| wanted.as_bytes() == &*event.method;
        event.verification >= self.min_verification
            && (self.methods.is_empty() || self.methods.iter().any(method))
            && (self.transports.is_empty() || self.transports.contains(&event.transport))
            && !(self.with_number && event.number.is_empty())
            && !(self.without_allowed && allow.reason(event.source.ip()).is_some())
    }
}
