//! `/v1/decisions/stream`: what a bouncer of CrowdSec asks its local API.
//!
//! A bouncer adds what is `new` and removes what is `deleted`; each decision also ends by itself after
//! its `duration`. The node keeps nothing about bouncers: all that is blocked is new each time, which
//! refreshes what they have, and deleted is what is not to be blocked any more though its time is not
//! over, because of the allow-list, say.

use std::net::IpAddr;

use sentrypeer_storage::blocklist::Origin;
use serde::Serialize;

use super::choice::Choice;
use super::list::{List, taken_back};
use super::tabular::push_json;
use crate::exchange::{JSON, Request, Response};
use crate::limits::{CHUNK_BYTES, IPSET_TIMEOUT_S_MAX, ROW_BYTES_MAX};
use crate::query::Parameters;
use crate::routes::View;

/// What bouncers ask with; only `scopes` and `origins` could leave something out.
const NAMES: [&str; 7] = [
    "startup",
    "scopes",
    "origins",
    "scenarios_containing",
    "scenarios_not_containing",
    "dedup",
    "type",
];

/// A decision as CrowdSec writes it.
#[derive(Serialize)]
struct Decision {
    id: u64,
    origin: &'static str,
    r#type: &'static str,
    scope: &'static str,
    value: String,
    duration: String,
    scenario: &'static str,
}

impl Decision {
    fn new(ip: IpAddr, prefix_len: u8, left_s: i64, origin: Origin) -> Self {
        let (scope, value) = match ip {
            IpAddr::V4(v4) => ("Ip", v4.to_string()),
            IpAddr::V6(v6) => ("Range", format!("{v6}/{prefix_len}")),
        };
        Self {
            id: id_of(ip),
            origin: origin.name(),
            r#type: "ban",
            scope,
            value,
            duration: format!("{left_s}s"),
            scenario: "sentrypeer/sip",
        }
    }
}

/// The same number for the same address, within what a signed 64-bit number holds.
fn id_of(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => ((v6.to_bits() >> 64) as u64) >> 1,
    }
}

/// `/v1/decisions/stream`
pub(crate) fn stream(view: &View, request: &Request<'_>) -> Response {
    let parameters = match Parameters::parse(request.query, &NAMES) {
        Ok(parameters) => parameters,
        Err(refused) => return Response::error(400, &refused.to_string()),
    };
    let wants = |name: &str, value: &str| {
        let list = parameters.bytes(name).filter(|list| !list.is_empty());
        list.is_none_or(|list| {
            list.split(|byte| *byte == b',').any(|one| one.eq_ignore_ascii_case(value.as_bytes()))
        })
    };
    let now = request.now;
    let (mut new, mut deleted) = (Vec::new(), Vec::new());
    if wants("type", "ban") {
        let wants_scope = |ip: IpAddr| wants("scopes", if ip.is_ipv4() { "Ip" } else { "Range" });
        if wants("origins", Origin::Own.name()) {
            deleted = taken_back(view, None, now);
            deleted.retain(|(ip, _)| wants_scope(*ip));
        }
        let list = List::of(view, &Choice::of_all(None), now);
        new = list
            .iter()
            .enumerate()
            .map(|(place, entry)| {
                let left_s = entry.left_s(now, IPSET_TIMEOUT_S_MAX);
                (entry.ip, entry.prefix_len, left_s, list.origin(place))
            })
            .filter(|(ip, .., origin)| wants_scope(*ip) && wants("origins", origin.name()))
            .collect();
    }
    let chunks =
        Decisions { new: new.into_iter(), deleted: deleted.into_iter(), state: State::New };
    Response::chunks(JSON, Box::new(chunks))
}

/// The answer, slice by slice.
struct Decisions {
    new: std::vec::IntoIter<(IpAddr, u8, u64, Origin)>,
    deleted: std::vec::IntoIter<(IpAddr, u8)>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    NewFollows,
    Deleted,
    DeletedFollows,
    End,
}

impl Decisions {
    /// Appends the next piece, and says whether there was one.
    fn piece(&mut self, out: &mut String) -> bool {
        match self.state {
            State::New | State::NewFollows => {
                out.push_str(if self.state == State::New { "{\"new\": [" } else { "" });
                let Some((ip, prefix_len, left_s, origin)) = self.new.next() else {
                    out.push_str("], \"deleted\": [");
                    self.state = State::Deleted;
                    return true;
                };
                out.push_str(if self.state == State::New { "" } else { ", " });
                self.state = State::NewFollows;
                let left_s = i64::try_from(left_s).unwrap_or(i64::MAX);
                push_json(out, &Decision::new(ip, prefix_len, left_s, origin));
            }
            State::Deleted | State::DeletedFollows => {
                let Some((ip, prefix_len)) = self.deleted.next() else {
                    out.push_str("]}\n");
                    self.state = State::End;
                    return true;
                };
                out.push_str(if self.state == State::Deleted { "" } else { ", " });
                self.state = State::DeletedFollows;
                // Its time is over.
                push_json(out, &Decision::new(ip, prefix_len, -1, Origin::Own));
            }
            State::End => return false,
        }
        true
    }
}

impl Iterator for Decisions {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = String::with_capacity(CHUNK_BYTES + ROW_BYTES_MAX);
        while out.len() < CHUNK_BYTES && self.piece(&mut out) {}
        (!out.is_empty()).then(|| out.into_bytes())
    }
}
