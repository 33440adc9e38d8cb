//! What each path is for, and the parameters of its query.

use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::limits::{FEED_ENTRIES_MAX, IPSET_TIMEOUT_S_MAX, PAGE_ROWS, PAGE_ROWS_MAX};

/// What is said about an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// Behind `get` or `head` the operation's id.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// The open segments of the path, in their order.
    pub(super) in_path: &'static [(&'static str, &'static str)],
    /// Names of [`parameters`].
    pub(super) query: &'static [&'static str],
    pub(super) media: &'static str,
    /// The name of a schema; text if there is none.
    pub(super) schema: Option<&'static str>,
    /// Whether 404 means that there is nothing, in the form of 4.x.
    pub(super) has_nothing: bool,
    pub(super) has_etag: bool,
    /// The schemas of a change's body, if it has one, and of its answer.
    pub(super) change: Option<(Option<&'static str>, &'static str)>,
}

const fn json(id: &'static str, schema: &'static str, summary: &'static str) -> Operation {
    Operation {
        id,
        summary,
        in_path: &[],
        query: &[],
        media: "application/json",
        schema: Some(schema),
        has_nothing: false,
        has_etag: false,
        change: None,
    }
}

const fn text(id: &'static str, media: &'static str, summary: &'static str) -> Operation {
    Operation { media, schema: None, ..json(id, "", summary) }
}

const PAGE: [&str; 4] = ["limit", "cursor", "sort", "order"];
const SEEN: [&str; 4] = ["since", "until", "verification", "min_count"];
const SPANS: [&str; 4] = ["1h", "24h", "7d", "30d"];
const HISTORIES: [&str; 5] = [SPANS[0], SPANS[1], SPANS[2], SPANS[3], "none"];
const BY: [&str; 8] = [
    "source",
    "number",
    "user_agent",
    "country",
    "destination",
    "transport",
    "method",
    "verification",
];
const IP: &[(&str, &str)] = &[("ip", "An IP address.")];
const NUMBER: &[(&str, &str)] = &[("number", "A number as it was dialled.")];
const FEED: &[&str] = &[
    "family",
    "min_verification",
    "min_count",
    "max_age",
    "entries",
    "timeout",
    "allow_empty",
    "name",
];

/// What is said about an endpoint; `None` for what is no path.
pub(super) fn operation(endpoint: Endpoint) -> Option<Operation> {
    let operation = match endpoint {
        Endpoint::Root
        | Endpoint::HealthCheck
        | Endpoint::Live
        | Endpoint::Ready
        | Endpoint::Metrics
        | Endpoint::Status
        | Endpoint::Version
        | Endpoint::OpenApi
        | Endpoint::Docs
        | Endpoint::AllowList
        | Endpoint::AllowEntry
        | Endpoint::OauthToken => of_the_node(endpoint)?,
        Endpoint::Ipset
        | Endpoint::Feed
        | Endpoint::FeedMisp
        | Endpoint::CrowdSec
        | Endpoint::ApiBan
        | Endpoint::ApiBanAfter => of_feeds(endpoint)?,
        Endpoint::IpAddresses
        | Endpoint::IpAddress
        | Endpoint::Numbers
        | Endpoint::Number
        | Endpoint::Countries
        | Endpoint::UserAgents
        | Endpoint::SipMethods => of_4x(endpoint)?,
        Endpoint::V1Rollups | Endpoint::V1Events | Endpoint::V1EventStream | Endpoint::V1Event => {
            of_log(endpoint)?
        }
        _ => of_v1(endpoint)?,
    };
    Some(operation)
}

fn of_the_node(endpoint: Endpoint) -> Option<Operation> {
    Some(match endpoint {
        Endpoint::Root => json("Root", "Ok", "The node answers."),
        Endpoint::HealthCheck => json("Health", "Health", "Whether the node serves and stores."),
        Endpoint::Live => text("Live", "text/plain", "The process answers."),
        Endpoint::Ready => text("Ready", "text/plain", "Whether to send traffic here."),
        Endpoint::Metrics => text("Metrics", "text/plain", "What is counted, for Prometheus."),
        Endpoint::Status => json("Status", "Status", "How the node does."),
        Endpoint::Version => json("Version", "Version", "The program and its version."),
        Endpoint::OpenApi => json("OpenApi", "Any", "This document."),
        Endpoint::Docs => text("Docs", "text/html", "This document as a page."),
        Endpoint::OauthToken => Operation {
            change: Some((Some("Credentials"), "Issued")),
            ..json("Token", "Issued", "A short-lived token for a client.")
        },
        Endpoint::AllowList => Operation {
            query: &[PAGE[0], PAGE[1]],
            change: Some((Some("AllowAddition"), "Allowed")),
            ..json("Allowed", "AllowList", "What nothing may act on, by page; POST adds an entry.")
        },
        Endpoint::AllowEntry => Operation {
            in_path: &[("entry", "An entry as the list shows it; its / is %2F.")],
            change: Some((None, "Removed")),
            ..json("Allowed", "Removed", "Removes an entry that was added.")
        },
        _ => return None,
    })
}

fn of_feeds(endpoint: Endpoint) -> Option<Operation> {
    let feed = Operation { query: FEED, has_etag: true, ..text("Feed", "text/plain", "") };
    Some(match endpoint {
        Endpoint::Ipset => Operation {
            id: "Ipset",
            summary: "A document for ipset restore.",
            query: &[
                "document",
                "ipset_family",
                "set",
                "timeout",
                "min_verification",
                "allow_empty",
                "since",
            ],
            ..feed
        },
        Endpoint::Feed => Operation {
            summary: "What is to be blocked, for something that blocks.",
            in_path: &[(
                "format",
                "plain, pf, csv, jsonl, nft, nft-json, mikrotik, firewalld, rpz, dnsbl, stix or misp.",
            )],
            ..feed
        },
        Endpoint::FeedMisp => Operation {
            id: "FeedMisp",
            summary: "A file of the feed for MISP.",
            in_path: &[("file", "manifest.json, or the event that it names.")],
            media: "application/json",
            schema: Some("Any"),
            ..feed
        },
        Endpoint::CrowdSec => Operation {
            query: &["startup", "scopes", "origins"],
            ..json("Decisions", "Decisions", "What bouncers of CrowdSec ask.")
        },
        Endpoint::ApiBan => Operation {
            in_path: &[("key", "A token.")],
            ..json("Banned", "Banned", "What clients of APIBAN ask first.")
        },
        Endpoint::ApiBanAfter => Operation {
            in_path: &[("key", "A token."), ("id", "The ID of the answer before.")],
            ..json("BannedAfter", "Banned", "What clients of APIBAN ask then.")
        },
        _ => return None,
    })
}

fn of_4x(endpoint: Endpoint) -> Option<Operation> {
    let found = Operation { has_nothing: true, ..json("", "", "") };
    let list = Operation { has_etag: true, ..found };
    let one = |id, schema, summary| Operation { id, schema: Some(schema), summary, ..found };
    let all = |id, schema, summary| Operation { id, schema: Some(schema), summary, ..list };
    Some(match endpoint {
        Endpoint::IpAddresses => all("IpAddresses", "IpAddresses", "Sources, newest first."),
        Endpoint::IpAddress => {
            let dip = one("IpAddress", "BadActor", "Whether an address was seen.");
            Operation { in_path: IP, ..dip }
        }
        Endpoint::Numbers => all("Numbers", "CalledNumbers", "Numbers, newest first."),
        Endpoint::Number => {
            let dip = one("Number", "PhoneNumber", "Whether a number was tried.");
            Operation { in_path: NUMBER, ..dip }
        }
        Endpoint::Countries => one("Countries", "CountryList", "Where numbers lead."),
        Endpoint::UserAgents => one("UserAgents", "UserAgentList", "User agents, newest first."),
        Endpoint::SipMethods => one("SipMethods", "SipMethodList", "Events by method."),
        _ => return None,
    })
}

fn of_v1(endpoint: Endpoint) -> Option<Operation> {
    const SOURCES: &[&str] = &[
        PAGE[0],
        PAGE[1],
        PAGE[2],
        PAGE[3],
        SEEN[0],
        SEEN[1],
        SEEN[2],
        SEEN[3],
        "method",
        "transport",
        "network",
        "blocked",
    ];
    const NUMBERS: &[&str] = &[
        PAGE[0], PAGE[1], PAGE[2], PAGE[3], SEEN[0], SEEN[1], SEEN[2], SEEN[3], "country", "kind",
        "prefix",
    ];
    const AGENTS: &[&str] =
        &[PAGE[0], PAGE[1], PAGE[2], PAGE[3], SEEN[0], SEEN[1], SEEN[3], "prefix"];
    Some(match endpoint {
        Endpoint::Check => Operation {
            query: &["ip", "number"],
            ..json("Check", "Check", "Whether to block an address, and what is known of a number.")
        },
        Endpoint::V1Sources => {
            Operation { query: SOURCES, ..json("Sources", "Sources", "Sources, by page.") }
        }
        Endpoint::V1Source => {
            let about = "One source, with why it is blocked or is not, and its history.";
            Operation { in_path: IP, query: &["history"], ..json("Source", "OneSource", about) }
        }
        Endpoint::V1Numbers => {
            Operation { query: NUMBERS, ..json("NumberPage", "Numbers", "Numbers, by page.") }
        }
        Endpoint::V1Number => {
            let one = json("OneNumber", "OneNumber", "One number, with its history.");
            Operation { in_path: NUMBER, query: &["history"], ..one }
        }
        Endpoint::V1UserAgents => Operation {
            query: AGENTS,
            ..json("UserAgentPage", "UserAgents", "User agents, by page.")
        },
        Endpoint::V1Methods => json("Methods", "Methods", "Events by method."),
        Endpoint::V1Transports => json("Transports", "Transports", "Events by transport."),
        Endpoint::V1Countries => json("CountryCounts", "Countries", "Numbers by country."),
        _ => return None,
    })
}

/// What is answered from the log and the hours.
fn of_log(endpoint: Endpoint) -> Option<Operation> {
    const EVENTS: &[&str] = &[
        PAGE[0],
        PAGE[1],
        SEEN[0],
        SEEN[1],
        SEEN[2],
        "source",
        "number",
        "method",
        "transport",
        "user_agent",
    ];
    Some(match endpoint {
        Endpoint::V1Rollups => Operation {
            query: &["span", "by", PAGE[0]],
            ..json("Rollups", "Rollups", "What was seen in the last hour, day, week or month.")
        },
        Endpoint::V1Events => Operation {
            query: EVENTS,
            ..json("Events", "Events", "Events, newest first, by page.")
        },
        Endpoint::V1EventStream => Operation {
            query: &["after", "source", "number", "method", "transport", SEEN[2], "user_agent"],
            ..text("EventStream", "text/event-stream", "Events as they come, each as JSON.")
        },
        Endpoint::V1Event => {
            let one = json("Event", "WholeEvent", "One event with its message.");
            Operation { in_path: &[("id", "The event's id.")], ..one }
        }
        _ => return None,
    })
}

/// The parameters of queries, by the names that [`Operation::query`] has. Some stand in a query under
/// another name, because it means another thing elsewhere.
pub(super) fn parameters() -> Value {
    let levels = ["unverified", "relayed", "return-path", "connected", "tls"];
    let text = || json!({"type": "string"});
    let words = |words: &[&str]| json!({"type": "string", "enum": words});
    let number =
        |least: u64, most: u64| json!({"type": "integer", "minimum": least, "maximum": most});
    let count = || json!({"type": "integer", "minimum": 0});
    let time = || json!({"type": "string", "format": "date-time"});
    let mut limit = number(1, PAGE_ROWS_MAX as u64);
    limit["default"] = json!(PAGE_ROWS);
    let known = [
        ("limit", "limit", "Rows of the page, at most.", limit),
        ("cursor", "cursor", "The \"next\" of the page before.", text()),
        ("sort", "sort", "What rows are sorted by.", words(&["last", "first", "count"])),
        ("order", "order", "Which end comes first.", words(&["desc", "asc"])),
        ("since", "since", "Seen last then or later.", time()),
        ("until", "until", "Seen last then or earlier.", time()),
        ("verification", "verification", "Proven at least so well.", words(&levels)),
        ("min_count", "min_count", "Seen at least so often.", count()),
        ("method", "method", "The name of a SIP method, other or none.", text()),
        ("transport", "transport", "How it travelled.", words(&["UDP", "TCP", "TLS"])),
        ("network", "prefix", "In this network.", text()),
        ("prefix", "prefix", "What it begins with.", text()),
        ("blocked", "blocked", "1: only what is blocked; 0: only the rest.", words(&["0", "1"])),
        ("country", "country", "Where it leads, ISO 3166-1 alpha-2.", text()),
        ("kind", "kind", "What it is.", words(&["called", "account"])),
        ("span", "span", "How far back, in whole hours.", words(&SPANS)),
        ("history", "history", "How far back its history goes.", words(&HISTORIES)),
        ("by", "by", "By what events are told apart.", words(&BY)),
        ("after", "after", "The id of the last event that was had.", text()),
        ("source", "source", "From this address.", text()),
        ("number", "number", "This number.", text()),
        ("ip", "ip", "This address.", text()),
        ("user_agent", "user_agent", "What the user agent has in it.", text()),
        ("family", "family", "The address family.", words(&["4", "6", "all"])),
        ("ipset_family", "family", "The address family.", words(&["4", "6"])),
        ("min_verification", "min_verification", "Proven at least so well.", words(&levels)),
        ("max_age", "max_age", "Seen within so many seconds.", count()),
        ("entries", "limit", "Entries at most.", number(1, FEED_ENTRIES_MAX as u64)),
        ("timeout", "timeout", "Longest timeout, in seconds.", number(1, IPSET_TIMEOUT_S_MAX)),
        ("allow_empty", "allow_empty", "1: also without an entry.", words(&["0", "1"])),
        ("name", "name", "What a table, list or set is called.", text()),
        ("set", "set", "What the set is called.", text()),
        (
            "document",
            "document",
            "Which lines it has.",
            words(&["full", "init", "refresh", "delta"]),
        ),
        ("startup", "startup", "Whether the bouncer has just begun.", words(&["true", "false"])),
        ("scopes", "scopes", "Ip, Range, or both with a comma.", text()),
        ("origins", "origins", "Where decisions come from.", text()),
    ];
    let parameter = |(key, name, about, schema): (&str, &str, &str, Value)| {
        let described =
            json!({"name": name, "in": "query", "description": about, "schema": schema});
        (key.to_owned(), described)
    };
    Value::Object(known.into_iter().map(parameter).collect::<Map<_, _>>())
}
