//! `/api/v1/sources` and `/api/v1/sources/{ip}`.

use std::net::IpAddr;

use sentrypeer_storage::aggregate::SourceRow;
use sentrypeer_storage::blocklist::{self, Selection};
use sentrypeer_storage::event::{SourceKey, Time, Transport, Verification};
use sentrypeer_storage::key::Key;
use sentrypeer_storage::method::Method;
use sentrypeer_storage::policy;
use sentrypeer_storage::prefix::Prefix;
use sentrypeer_storage::rollup::Dimension;
use sentrypeer_storage::snapshot::{Snapshot, Table};
use serde::Serialize;

use super::hours::{History, WithHistory, history};
use super::page::{self, Listed};
use super::{Often, Shown, anomaly_names, refused, verification};
use crate::context::Context;
use crate::exchange::{Request, Response};
use crate::listing::OWN;
use crate::lookup::address;
use crate::query::{Parameters, QueryError, decoded};
use crate::routes::View;
use crate::timestamp::Rfc3339;

/// One source as it is shown.
#[derive(Serialize)]
struct Source {
    address: IpAddr,
    /// What counts as one source: only IPv6 has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(flatten)]
    seen: Shown,
    verification: &'static str,
    origin: &'static str,
    methods: Vec<&'static str>,
    transports: Vec<&'static str>,
    anomalies: Vec<&'static str>,
    score: f64,
    blocked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_until: Option<Rfc3339>,
    /// Why it is blocked, or is not.
    why: String,
}

/// Which sources are wanted.
struct Filter {
    often: Often,
    verification: Verification,
    method: Option<Method>,
    transport: Option<Transport>,
    prefix: Option<Prefix>,
    blocked: Option<bool>,
}

impl Listed for Filter {
    type Key = SourceKey;
    type Row = SourceRow;
    type Shown = Source;
    const MEMBER: &'static str = "sources";
    const NAMES: &'static [&'static str] = &[
        "since",
        "until",
        "verification",
        "method",
        "transport",
        "prefix",
        "min_count",
        "blocked",
    ];
    // A row has room for a set of methods, and for no texts that others choose: each scanner could
    // make a row as long as it likes.
    const NOT_KEPT: &'static [(&'static str, &'static str)] = &[(
        "user_agent",
        "which user agents a source had is not kept with it; /api/v1/events?user_agent= has the \
         events, each with its source",
    )];

    fn table(snapshot: &Snapshot) -> &Table<SourceKey, SourceRow> {
        &snapshot.sources
    }

    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let yes_or_no = |text: &str| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        let prefix = |text: &str| text.parse().ok();
        Ok(Self {
            often: Often::parse(parameters)?,
            verification: verification(parameters)?,
            method: parameters.value(
                "method",
                "the name of a SIP method, other or none",
                method,
            )?,
            transport: parameters.value("transport", "UDP, TCP or TLS", transport)?,
            prefix: parameters.value("prefix", "an address or a prefix", prefix)?,
            blocked: parameters.value("blocked", "0 or 1", yes_or_no)?,
        })
    }

    fn fits(&self, view: &View, key: &SourceKey, row: &SourceRow, now: Time) -> bool {
        let oldest = now.minus_ns(view.policy.retention_ns);
        let (policy, ip) = (&view.policy, key.ip());
        self.often.has(&row.seen)
            && self.method.is_none_or(|method| row.methods.contains(method))
            && self.transport.is_none_or(|transport| transports(row).any(|t| t == transport))
            && self.prefix.is_none_or(|prefix| prefix.contains(ip))
            && row.verification(oldest) >= self.verification
            && self.blocked.is_none_or(|wanted| {
                let selection = Selection::of(policy);
                blocklist::blocked(key, row, policy, selection, now).is_some() == wanted
            })
    }

    fn shown(view: &View, key: &SourceKey, row: &SourceRow, now: Time) -> Source {
        let policy = &view.policy;
        let oldest = now.minus_ns(policy.retention_ns);
        let ip = row.ip(key);
        let entry = blocklist::blocked(key, row, policy, Selection::of(policy), now);
        let score = policy::score_at(row, policy.min_verification, now);
        Source {
            address: ip,
            prefix: ip.is_ipv6().then(|| format!("{}/64", key.ip())),
            seen: Shown::from(&row.seen),
            verification: row.verification(oldest).name(),
            origin: OWN,
            methods: row.methods.iter().map(Method::name).collect(),
            transports: transports(row).map(Transport::name).collect(),
            anomalies: anomaly_names(row.anomalies),
            score: (score * 1e3).round() / 1e3,
            blocked: entry.is_some(),
            blocked_until: entry.map(|entry| Rfc3339(entry.expires)),
            why: why(view, key, row, entry.is_some(), score),
        }
    }
}

/// The method of this name.
pub(super) fn method(name: &str) -> Option<Method> {
    Method::ALL.into_iter().find(|method| method.name() == name)
}

/// The transport of this name.
pub(super) fn transport(name: &str) -> Option<Transport> {
    Transport::ALL.into_iter().find(|transport| transport.name() == name)
}

fn transports(row: &SourceRow) -> impl Iterator<Item = Transport> {
    let set = row.transports;
    Transport::ALL.into_iter().filter(move |transport| set & 1 << (*transport as u8 - 1) != 0)
}

/// `/api/v1/sources`
pub(crate) fn list(view: &View, request: &Request<'_>) -> Response {
    page::list::<Filter>(view, request)
}

/// `/api/v1/sources/{ip}`. An IPv6 address is found when its /64 was seen.
pub(crate) fn one(ctx: &Context, view: &View, segment: &str, request: &Request<'_>) -> Response {
    let span = match history(request.query) {
        Ok(span) => span,
        Err(error) => return refused(&error),
    };
    let Some(ip) = address(&decoded(segment)) else {
        return Response::error(400, "That is no IP address.");
    };
    let key = SourceKey::of(ip);
    let oldest = request.now.minus_ns(view.policy.retention_ns);
    let row = view.snapshot.sources.get(&key).filter(|row| row.seen.last > oldest);
    let Some(row) = row else { return Response::error(404, "That address was not seen.") };
    let subject = (Dimension::Source, key.as_bytes());
    let history = span.and_then(|span| History::of(&ctx.store, span, subject, request.now));
    let shown = Filter::shown(view, &key, row, request.now);
    Response::json(200, &WithHistory { shown, history }).with_last_modified(view.snapshot.time)
}

/// Why a source is blocked, or is not, in words: what the blocklist asks, in its order.
fn why(view: &View, key: &SourceKey, row: &SourceRow, is_blocked: bool, score: f64) -> String {
    let policy = &view.policy;
    let least = policy.min_verification;
    if is_blocked {
        return format!("proven as {} or better, and the score is high enough", least.name());
    }
    if let Some(reason) = policy.allow.reason(key.ip()) {
        return format!("never blocked: {reason}");
    }
    if row.verified_at(least).is_none() {
        return format!("not proven: anybody may have forged it; {} is needed", least.name());
    }
    if blocklist::is_held_back(key.ip(), policy) {
        return "private addresses are not blocked here".to_owned();
    }
    if score < policy.score_threshold {
        return format!("the score has fallen below {}", policy.score_threshold);
    }
    "its last proof is too old".to_owned()
}
