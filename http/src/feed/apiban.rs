//! `/api/{key}/banned[/{id}]`: what clients of APIBAN ask.
//!
//! They know IPv4 only. An answer has some addresses and an `ID`; with that in the path the next answer
//! has those that came after, until it is `none`. The `ID` is the time when the last of them was last
//! seen, in nanoseconds, so nothing has to be remembered for a client, and an address that is seen again
//! comes again.

use std::net::IpAddr;

use sentrypeer_storage::blocklist::Family;
use serde::Serialize;

use super::choice::Choice;
use super::list::List;
use crate::exchange::{Request, Response};
use crate::limits::APIBAN_ENTRIES_MAX;
use crate::routes::View;

#[derive(Serialize)]
struct Answer {
    ipaddress: Vec<String>,
    #[serde(rename = "ID")]
    id: String,
}

/// `/api/{key}/banned/{id}`, or without an id. The key has been looked at.
pub(crate) fn banned(view: &View, id: &str, request: &Request<'_>) -> Response {
    let Some(after) = (if id.is_empty() { Some(0) } else { id.parse::<u64>().ok() }) else {
        return Response::error(400, "The id is not one that was given here.");
    };
    let list = List::of(view, &Choice::of_all(Some(Family::V4)), request.now);
    let mut newer: Vec<(u64, IpAddr)> = list
        .iter()
        .enumerate()
        .filter_map(|(place, entry)| Some((list.known(place)?.last.0, entry.ip)))
        .filter(|(last, _)| *last > after)
        .collect();
    newer.sort_unstable();
    // Those that were seen at the very moment of the last one come with it, or they never would.
    let cut = newer.get(APIBAN_ENTRIES_MAX - 1).map_or(u64::MAX, |(time, _)| *time);
    newer.retain(|(time, _)| *time <= cut);
    let answer = match newer.last() {
        None => Answer { ipaddress: vec!["no new bans".to_owned()], id: "none".to_owned() },
        Some((last, _)) => Answer {
            id: last.to_string(),
            ipaddress: newer.iter().map(|(_, ip)| ip.to_string()).collect(),
        },
    };
    Response::json(200, &answer)
}
