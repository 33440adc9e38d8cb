//! The two dips of 4.x: is this address, is this number among what was seen?

use std::net::IpAddr;

use sentrypeer_storage::blocklist;
use sentrypeer_storage::event::Time;
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
    if blocklist::listed(&view.snapshot, &view.policy, ip, now).is_some() {
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
    }
    let asked = decoded(segment);
    if blocklist::listed_number(&view.snapshot, &view.policy, &asked, now).is_some() {
        let phone_number_found = &*String::from_utf8_lossy(&asked);
        Response::json(200, &Found { phone_number_found })
    } else {
        Response::nothing("No phone number found")
    }
}
