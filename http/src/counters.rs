//! What the HTTP side counts about itself. Relaxed atomics: each figure stands alone.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sentrypeer_storage::event::Time;

use crate::context::Context;
use crate::endpoint::{Endpoint, SPECS};
use crate::exchange::Lane;
use crate::latency::Histogram;
use crate::limits::BLOCKED_COUNT_PERIOD;

/// Classes of status codes, 1xx to 5xx.
const CLASSES: usize = 5;
const ROUTES: usize = SPECS.len();
const CLASS_NAMES: [&str; CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What can go wrong on a front beside a request that is answered. Each is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// A connection was closed at once: there were as many as are allowed.
    RefusedConnection,
    /// A connection was closed at once: its address had as many as one may, or too many addresses
    /// were being watched.
    RefusedAddress,
    /// A connection that waited for its client was ended to make room for a new one.
    Displaced,
    /// The kernel did not hand over a connection, for want of a descriptor, say.
    AcceptFailed,
    /// A TLS handshake failed.
    Handshake,
    /// A TLS handshake did not end in time.
    SlowHandshake,
    /// A request's head did not come in time.
    SlowHead,
    /// Nothing was asked for as long as a connection may be idle.
    Idle,
    /// The answer was not taken in time.
    SlowReader,
    /// The connection had lived, or been answered, as long as one may.
    LifeOver,
    /// A document was asked for while as many were being sent as are allowed.
    Busy,
    /// A request was refused because its address or its token had sent as many as one may.
    TooManyRequests,
    /// A request was refused for want of a good token.
    Unauthorized,
    /// A request was refused because its token is for other things, or because of the page that sent
    /// it.
    Forbidden,
    /// A request was made under a name that the node does not have.
    ForeignHost,
    /// A request's body did not come in time, was too long, or broke off.
    BadBody,
    /// A request came with a body. Nothing here takes one.
    RequestBody,
    /// What came was not HTTP, or broke off.
    Broken,
    /// The dip lane was asked for something that only the API has.
    NotForThisLane,
}

impl Incident {
    /// All of them, in order.
    pub const ALL: [Self; 19] = [
        Self::RefusedConnection,
        Self::RefusedAddress,
        Self::Displaced,
        Self::AcceptFailed,
        Self::Handshake,
        Self::SlowHandshake,
        Self::SlowHead,
        Self::Idle,
        Self::SlowReader,
        Self::LifeOver,
        Self::Busy,
        Self::TooManyRequests,
        Self::Unauthorized,
        Self::Forbidden,
        Self::ForeignHost,
        Self::BadBody,
        Self::RequestBody,
        Self::Broken,
        Self::NotForThisLane,
    ];

    /// Its label in `/metrics`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RefusedConnection => "refused_connection",
            Self::RefusedAddress => "refused_address",
            Self::Displaced => "displaced",
            Self::AcceptFailed => "accept_failed",
            Self::Handshake => "handshake",
            Self::SlowHandshake => "slow_handshake",
            Self::SlowHead => "slow_head",
            Self::Idle => "idle",
            Self::SlowReader => "slow_reader",
            Self::LifeOver => "life_over",
            Self::Busy => "busy",
            Self::TooManyRequests => "too_many_requests",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ForeignHost => "foreign_host",
            Self::BadBody => "bad_body",
            Self::RequestBody => "request_body",
            Self::Broken => "broken",
            Self::NotForThisLane => "not_for_this_lane",
        }
    }
}

/// The counters of one lane.
#[derive(Debug)]
struct LaneCounters {
    requests: [[AtomicU64; CLASSES]; ROUTES],
    latencies: Box<[[Histogram; CLASSES]; ROUTES]>,
    incidents: [AtomicU64; Incident::ALL.len()],
    accepted: AtomicU64,
    connections: AtomicU64,
}

/// The counters of all lanes.
#[derive(Debug)]
pub struct Counters {
    lanes: [LaneCounters; 3],
    streams: AtomicU64,
    /// How many sources of each family were blocked, and when that was counted.
    blocked: Mutex<Option<(Time, [usize; 2])>>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| LaneCounters::new()),
            streams: AtomicU64::new(0),
            blocked: Mutex::default(),
        }
    }
}

impl LaneCounters {
    fn new() -> Self {
        Self {
            requests: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            latencies: Box::new(std::array::from_fn(|_| Default::default())),
            incidents: std::array::from_fn(|_| AtomicU64::new(0)),
            accepted: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }
}

impl Lane {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Api, Self::Dip, Self::Control];

    /// Its label in `/metrics`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Dip => "dip",
            Self::Control => "control",
        }
    }
}

impl Counters {
    fn lane(&self, lane: Lane) -> &LaneCounters {
        &self.lanes[lane as usize]
    }

    pub(crate) fn request(&self, lane: Lane, endpoint: Endpoint, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        self.lane(lane).requests[endpoint as usize][class].fetch_add(1, Relaxed);
    }

    /// Notes how long an answer took, from its request's head to its own.
    pub(crate) fn took(&self, lane: Lane, endpoint: Endpoint, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        self.lane(lane).latencies[endpoint as usize][class].add(took);
    }

    pub(crate) fn happened(&self, lane: Lane, what: Incident) {
        self.lane(lane).incidents[what as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn opened(&self, lane: Lane) {
        self.lane(lane).accepted.fetch_add(1, Relaxed);
        self.lane(lane).connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self, lane: Lane) {
        self.lane(lane).connections.fetch_sub(1, Relaxed);
    }

    /// How many sources of each family are blocked: counted by `count`, and not again for a while, for
    /// that walks the table.
    pub(crate) fn blocked(&self, now: Time, count: impl FnOnce() -> [usize; 2]) -> [usize; 2] {
        let mut kept = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        let period_ns = u64::try_from(BLOCKED_COUNT_PERIOD.as_nanos()).unwrap_or(u64::MAX);
        let fresh = kept.filter(|(at, _)| now.0.abs_diff(at.0) < period_ns);
        let (_, counts) = *kept.insert(fresh.unwrap_or_else(|| (now, count())));
        counts
    }

    /// Connections that a lane has taken.
    #[must_use]
    pub fn accepted_connections(&self, lane: Lane) -> u64 {
        self.lane(lane).accepted.load(Relaxed)
    }

    /// Connections that are open on a lane.
    #[must_use]
    pub fn open_connections(&self, lane: Lane) -> u64 {
        self.lane(lane).connections.load(Relaxed)
    }

    /// Live streams that are open.
    #[must_use]
    pub fn open_streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// How often something happened on a lane.
    #[must_use]
    pub fn incidents(&self, lane: Lane, what: Incident) -> u64 {
        self.lane(lane).incidents[what as usize].load(Relaxed)
    }

    /// Calls `each` with lane, route, class (`2xx`) and histogram of the answers that were timed.
    pub(crate) fn each_latency(&self, mut each: impl FnMut(Lane, &str, &str, &Histogram)) {
        for lane in Lane::ALL {
            for (spec, classes) in SPECS.iter().zip(&*self.lane(lane).latencies) {
                for (class, histogram) in CLASS_NAMES.iter().zip(classes) {
                    each(lane, spec.pattern, class, histogram);
                }
            }
        }
    }

    /// Calls `each` with lane, route, class (`2xx`) and number of the requests that came.
    pub(crate) fn each_request(&self, mut each: impl FnMut(Lane, &str, &str, u64)) {
        for lane in Lane::ALL {
            for (spec, classes) in SPECS.iter().zip(&self.lane(lane).requests) {
                for (class, number) in CLASS_NAMES.iter().zip(classes) {
                    let number = number.load(Relaxed);
                    if number > 0 {
                        each(lane, spec.pattern, class, number);
                    }
                }
            }
        }
    }
}

/// A live stream that is open, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Streaming(Arc<Context>);

impl Streaming {
    pub(crate) fn begin(ctx: Arc<Context>) -> Self {
        ctx.counters.streams.fetch_add(1, Relaxed);
        Self(ctx)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.counters.streams.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_counted_where_its_name_is() {
        for (index, what) in Incident::ALL.into_iter().enumerate() {
            assert_eq!(what as usize, index);
        }
        for (index, lane) in Lane::ALL.into_iter().enumerate() {
            assert_eq!(lane as usize, index);
        }
    }

    #[test]
    fn a_request_is_counted_by_lane_route_and_class() {
        let counters = Counters::default();
        counters.request(Lane::Dip, Endpoint::Root, 404);
        let mut seen = Vec::new();
        counters.each_request(|lane, route, class, number| {
            seen.push((lane, route.to_owned(), class.to_owned(), number));
        });
        assert_eq!(seen, [(Lane::Dip, "/".to_owned(), "4xx".to_owned(), 1)]);
    }
}
