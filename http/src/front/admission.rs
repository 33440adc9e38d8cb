//! What one address may have of the API: so many connections, so many requests a second.
//!
//! The table is bounded. What is in it are addresses that have a connection open, of which there are
//! no more than connections, and addresses whose bucket is not full yet; who comes while it is full
//! of others is turned away, and counted by the caller.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sentrypeer_storage::event::Time;

use super::peer::Peer;
use crate::limits::{ADDRESS_CONNECTIONS_MAX, ADDRESS_RATE, ADDRESS_SWEEP_PERIOD, ADDRESSES_MAX};
use crate::pace::{Bucket, Rate};

/// What one address may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections that are open at once.
    pub connections: u32,
    /// Requests.
    pub rate: Rate,
    /// Whether that goes for the addresses of this machine too. Behind those stand a PBX, or
    /// everybody who comes through a reverse proxy.
    pub local: bool,
}

impl Default for AddressLimits {
    fn default() -> Self {
        Self { connections: ADDRESS_CONNECTIONS_MAX, rate: ADDRESS_RATE, local: false }
    }
}

/// The addresses that are being watched.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AddressLimits,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<IpAddr, Entry>,
    swept: Time,
}

#[derive(Debug, Default)]
struct Entry {
    connections: u32,
    bucket: Bucket,
}

/// A connection's place in the table; it is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    peer: Peer,
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: AddressLimits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection of `peer`, unless it has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, peer: Peer, now: Time) -> Option<Place> {
        let address = peer.network().filter(|_| self.limits.local || !peer.is_local());
        if let Some(address) = address {
            let mut table = self.table();
            let entry = table.entry(address, now)?;
            if entry.connections >= self.limits.connections {
                return None;
            }
            entry.connections += 1;
        }
        Some(Place { admission: Arc::clone(self), peer, address })
    }

    fn leave(&self, address: IpAddr) {
        if let Some(entry) = self.table().entries.get_mut(&address) {
            entry.connections = entry.connections.saturating_sub(1);
        }
    }
}

impl Place {
    /// Whose place it is.
    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// Takes one request.
    ///
    /// # Errors
    ///
    /// The seconds to wait for the next.
    pub(super) fn request(&self, now: Time) -> Result<(), u32> {
        let Some(address) = self.address else { return Ok(()) };
        let mut table = self.admission.table();
        // This connection's entry is there as long as it lives.
        let Some(entry) = table.entries.get_mut(&address) else { return Ok(()) };
        entry.bucket.take(self.admission.limits.rate, now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.admission.leave(address);
        }
    }
}

impl Table {
    /// The entry of an address; `None` if there is no room for a new one.
    fn entry(&mut self, address: IpAddr, now: Time) -> Option<&mut Entry> {
        let is_full = self.entries.len() >= ADDRESSES_MAX;
        if is_full && !self.entries.contains_key(&address) {
            self.sweep(now);
            if self.entries.len() >= ADDRESSES_MAX {
                return None;
            }
        }
        Some(self.entries.entry(address).or_default())
    }

    /// Forgets who is as good as new. The pause between two sweeps keeps a full table from being
    /// walked for every newcomer.
    fn sweep(&mut self, now: Time) {
        let period_ns = u64::try_from(ADDRESS_SWEEP_PERIOD.as_nanos()).unwrap_or(u64::MAX);
        if now.0.abs_diff(self.swept.0) >= period_ns {
            self.swept = now;
            self.entries.retain(|_, entry| entry.connections > 0 || !entry.bucket.is_full(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000_000);

    fn peer(number: u32) -> Peer {
        Peer::at(IpAddr::from((0xc633_0000 + number).to_be_bytes()))
    }

    #[test]
    fn an_address_has_so_many_connections_and_this_machine_has_no_bound() {
        let admission =
            Admission::new(AddressLimits { connections: 2, ..AddressLimits::default() });
        let first = admission.enter(peer(1), NOW).unwrap();
        let _second = admission.enter(peer(1), NOW).unwrap();
        assert!(admission.enter(peer(1), NOW).is_none());
        assert!(admission.enter(peer(2), NOW).is_some());
        drop(first);
        assert!(admission.enter(peer(1), NOW).is_some());
        let local: Vec<_> = (0..9).map(|_| admission.enter(Peer::Unix, NOW)).collect();
        assert!(local.iter().all(Option::is_some));
    }

    #[test]
    fn the_connections_of_an_address_share_one_bucket() {
        let rate = Rate { per_s: 1, burst: 4 };
        let admission = Admission::new(AddressLimits { connections: 9, rate, local: false });
        let places: Vec<_> = (0..4).map(|_| admission.enter(peer(1), NOW).unwrap()).collect();
        assert!(places.iter().all(|place| place.request(NOW).is_ok()));
        assert!(places.iter().all(|place| place.request(NOW) == Err(1)));
        drop(places);
        assert!(admission.enter(peer(1), NOW).unwrap().request(NOW).is_err());
        assert!(admission.enter(peer(2), NOW).unwrap().request(NOW).is_ok());
        let local = admission.enter(Peer::Unix, NOW).unwrap();
        assert!((0..100).all(|_| local.request(NOW).is_ok()));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_who_has_gone_and_rested() {
        let admission = Admission::new(AddressLimits::default());
        for number in 0..ADDRESSES_MAX {
            let place = admission.enter(peer(u32::try_from(number).unwrap()), NOW).unwrap();
            place.request(NOW).unwrap();
        }
        let newcomer = peer(u32::try_from(ADDRESSES_MAX).unwrap());
        assert!(admission.enter(newcomer, NOW).is_none());
        assert_eq!(admission.table().entries.len(), ADDRESSES_MAX);
        let later = Time(NOW.0 + 60_000_000_000);
        assert!(admission.enter(newcomer, later).is_some());
        assert_eq!(admission.table().entries.len(), 1);
    }
}
