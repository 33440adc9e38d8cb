//! Events for the tests of this crate.

use crate::event::{Anomalies, Collected, EventRef, NumberKind, Time, Transport, Verification};
use crate::limits::NS_PER_S;

/// The time of the first event of most tests.
pub(crate) const START: Time = Time(1_795_477_956_740_127_093);

/// A plain event from `198.18.0.n`, `n` seconds after [`START`].
pub(crate) fn event(n: u8) -> EventRef<'static> {
    EventRef {
        time: Time(START.0 + u64::from(n) * NS_PER_S),
        source: ([198, 18, 0, n], 5060).into(),
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification: Verification::Unverified,
        collected: Collected::Passive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: b"INVITE",
        number: b"+442071234567",
        user_agent: b"friendly-scanner",
        message: b"INVITE sip:+442071234567@192.0.2.1 SIP/2.0\r\n\r\n",
    }
}

/// An event from this source at this time, ns, over TCP.
pub(crate) fn proven(source: &str, time: u64, verification: Verification) -> EventRef<'static> {
    EventRef {
        time: Time(time),
        source: source.parse().unwrap(),
        transport: Transport::Tcp,
        verification,
        ..event(0)
    }
}
