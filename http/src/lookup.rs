//! The two dips of 4.x: is this address, is this number among what was seen?
//!
//! What is said of a number in other documents too is here: [`Reading`].

use std::net::IpAddr;

use sentrypeer_storage::blocklist;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::number::Target;
use serde::Serialize;

use crate::exchange::Response;
use crate::query::decoded;
use crate::routes::View;

/// An address as people write it; IPv4-mapped ones are IPv4.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    let ip: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(ip.to_canonical())
}

/// `/ip-addresses/{ip}`. An IPv6 address is found when its /64 was seen.
pub(crate) fn source(view: &View, segment: &str, now: Time) -> Response {
    #[derive(Serialize)]
    struct Found {
        bad_actor_found: IpAddr,
    }
    let Some(ip) = address(&decoded(segment)) else {
        return Response::error(400, "The request data was invalid");
    };
    let View { snapshot, policy } = view;
    if blocklist::listed(snapshot, policy, ip, now).is_some()
        || blocklist::named_by_peers(snapshot, policy, ip, now).is_some()
    {
        Response::json(200, &Found { bad_actor_found: ip })
    } else {
        Response::nothing("No bad actor found")
    }
}

/// `/numbers/{number}`. The answer repeats the number as it was asked for.
pub(crate) fn number(view: &View, segment: &str, now: Time) -> Response {
    #[derive(Serialize)]
    struct Found<'a> {
        phone_number_found: &'a str,
        #[serde(flatten)]
        reading: Option<Reading>,
    }
    let asked = decoded(segment);
    let View { snapshot, policy } = view;
    if blocklist::listed_number(snapshot, policy, &asked, now).is_some()
        || blocklist::number_named_by_peers(snapshot, policy, &asked, now).is_some()
    {
        let phone_number_found = &*String::from_utf8_lossy(&asked);
        Response::json(200, &Found { phone_number_found, reading: Reading::of(&asked) })
    } else {
        Response::nothing("No phone number found")
    }
}

/// The members that every number has for which a [`Target`] can be told.
#[derive(Serialize)]
pub(crate) struct Reading {
    e164: String,
    /// Global services have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'static str>,
    basis: &'static str,
}

impl Reading {
    pub(crate) fn of(number: &[u8]) -> Option<Self> {
        let target = Target::read(number)?;
        let (country, basis) = (target.country(), target.basis().name());
        Some(Self { e164: target.to_string(), country, basis })
    }
}
