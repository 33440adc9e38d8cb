//! `/api/v1/check`: what is known about an address or a number, and whether to block it.

use std::net::IpAddr;

use sentrypeer_storage::aggregate;
use sentrypeer_storage::blocklist::{self, Selection};
use sentrypeer_storage::event::{SourceKey, Time, Verification};
use sentrypeer_storage::peers::PeerRow;
use sentrypeer_storage::policy::{self, Policy};
use serde::Serialize;

use crate::exchange::{Request, Response};
use crate::listing::{OWN, kinds};
use crate::lookup::{Reading, address};
use crate::query::{Parameters, QueryError};
use crate::routes::View;
use crate::timestamp::Rfc3339;

/// The answer. What was not asked for is left out.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<Source>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
}

/// One address.
#[derive(Serialize)]
struct Source {
    address: IpAddr,
    /// What counts as one source: only IPv6 has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    /// Whether the paths of 4.x show it.
    listed: bool,
    /// Whether the feeds block it.
    blocked: bool,
    /// Why it is never blocked, for one on the allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    seen: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<PeersSay>,
}

/// What other nodes say, where enough of them do.
#[derive(Serialize)]
struct PeersSay {
    voters: u8,
    seen_last: Rfc3339,
    until: Rfc3339,
}

impl PeersSay {
    fn of(row: &PeerRow, policy: &Policy) -> Self {
        let until = Rfc3339(blocklist::lapses(row, policy));
        Self { voters: row.voters, seen_last: Rfc3339(row.last), until }
    }
}

/// One number. It says nothing of blocking yet: that takes how many proven sources called it.
#[derive(Serialize)]
struct Number {
    number: String,
    listed: bool,
    /// Why it is in no list, for one on the allow-list.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    seen: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<&'static [&'static str]>,
    #[serde(flatten)]
    reading: Option<Reading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<PeersSay>,
}

/// What both have when they were seen at all.
#[derive(Serialize)]
struct Seen {
    verification: &'static str,
    origin: &'static str,
    seen_first: Rfc3339,
    seen_last: Rfc3339,
    seen_count: u64,
}

/// Answers for the address, the number, or both.
pub(crate) fn check(view: &View, request: &Request<'_>) -> Response {
    match answer(view, request) {
        Ok(answer) if answer.ip.is_none() && answer.number.is_none() => {
            Response::error(400, "Ask for ip=, number=, or both.")
        }
        Ok(answer) => Response::json(200, &answer),
        Err(refused) => Response::error(400, &refused.to_string()),
    }
}

fn answer(view: &View, request: &Request<'_>) -> Result<Answer, QueryError> {
    let parameters = Parameters::parse(request.query, &["ip", "number"])?;
    let ip = parameters.value("ip", "an IP address", |text| address(text.as_bytes()))?;
    let number = parameters.bytes("number").filter(|number| !number.is_empty());
    Ok(Answer {
        ip: ip.map(|ip| source(view, ip, request.now)),
        number: number.map(|asked| self::number(view, asked, request.now)),
    })
}

fn source(view: &View, ip: IpAddr, now: Time) -> Source {
    let View { snapshot, policy } = view;
    let key = SourceKey::of(ip);
    let allowed = policy.allow.reason(key.ip());
    let row = snapshot.sources.get(&key).filter(|_| allowed.is_none());
    let listed = row.is_some_and(|row| blocklist::is_listed(&key, row, policy, now));
    let selection = Selection::of(policy);
    let entry = row.and_then(|row| blocklist::blocked(&key, row, policy, selection, now));
    let peers = blocklist::named_by_peers(snapshot, policy, ip, now);
    let is_blocked_by_peers = peers.is_some_and(|row| {
        blocklist::blocked_by_peers(snapshot, &key, row, policy, selection, now).is_some()
    });
    // A row that has expired is as good as none: it goes when the writer comes to it.
    let row = row.filter(|_| listed || entry.is_some());
    let oldest = now.minus_ns(policy.retention_ns);
    Source {
        address: ip,
        prefix: ip.is_ipv6().then(|| format!("{}/64", key.ip())),
        listed: listed || peers.is_some(),
        blocked: entry.is_some() || is_blocked_by_peers,
        allowed: allowed.map(|reason| reason.to_string()),
        score: row.map(|row| rounded(policy::score_at(row, policy.min_verification, now))),
        seen: row.map(|row| Seen::of(&row.seen, row.verification(oldest))),
        peers: peers.map(|row| PeersSay::of(row, policy)),
    }
}

/// The number is repeated as it was asked for; it is compared without visual separators.
fn number(view: &View, asked: &[u8], now: Time) -> Number {
    let View { snapshot, policy } = view;
    let row = blocklist::listed_number(snapshot, policy, asked, now);
    let peers = blocklist::number_named_by_peers(snapshot, policy, asked, now);
    let oldest = now.minus_ns(policy.retention_ns);
    Number {
        number: String::from_utf8_lossy(asked).into_owned(),
        listed: row.is_some() || peers.is_some(),
        allowed: policy.allow.number_reason(asked).map(|reason| reason.to_string()),
        kinds: row.map(kinds),
        reading: Reading::of(asked),
        seen: row.map(|row| Seen::of(&row.seen, row.verification(oldest))),
        peers: peers.map(|row| PeersSay::of(row, policy)),
    }
}

impl Seen {
    fn of(seen: &aggregate::Seen, verification: Verification) -> Self {
        Self {
            verification: verification.name(),
            origin: OWN,
            seen_first: Rfc3339(seen.first),
            seen_last: Rfc3339(seen.last),
            seen_count: seen.count,
        }
    }
}

/// Three decimals: a score changes by less within minutes.
fn rounded(score: f64) -> f64 {
    (score * 1e3).round() / 1e3
}
