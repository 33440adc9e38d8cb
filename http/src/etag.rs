//! `ETag` and `If-None-Match` (RFC 9110, sections 8.8.3 and 13.1.2).

use std::fmt::Display;

use crate::exchange::{Request, Response};
use crate::routes::View;

/// The name of one state of one document.
///
/// `changed` is the last generation that changed the document, and `selected` whatever of the
/// request chooses what it shows. `visible` is the number of entries in it: within one generation
/// and policy, time alone changes a document too, for entries expire and scores decay; both only
/// ever take entries away, so their number tells the states of one generation apart. But an entry of
/// this node's may give way to what peers say of the same address: who shows both puts the number of the
/// latter into `selected`. Each content coding is another document.
pub(crate) fn of(
    view: &View,
    request: &Request<'_>,
    document: &str,
    changed: u64,
    visible: usize,
    selected: &dyn Display,
) -> String {
    let database = view.snapshot.database_id.simple();
    let policy = view.policy.revision;
    let coding = request.coding().name();
    format!("\"{document}.{database}.{changed}.{policy}.{visible}.{selected}.{coding}\"")
}

/// Says that two documents with this name mean the same but need not have the same bytes.
pub(crate) fn weak(etag: &str) -> String {
    format!("W/{etag}")
}

/// `response` with its name, or the news that the client has it already.
pub(crate) fn respond(
    request: &Request<'_>,
    etag: String,
    response: impl FnOnce() -> Response,
) -> Response {
    let held = request.if_none_match.is_some_and(|list| names(list, &etag));
    let response = if held { Response::not_modified() } else { response() };
    response.with_etag(etag)
}

/// Whether `list` names `etag`, by the weak comparison that `If-None-Match` asks for. Our names
/// have no comma in them, so a comma parts two names.
fn names(list: &str, etag: &str) -> bool {
    let opaque = |name: &'_ str| name.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || list.split(',').any(|name| opaque(name) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_searched_by_weak_comparison() {
        assert!(names("\"a\", W/\"b\"", "\"b\""));
        assert!(names("\"b\"", "W/\"b\""));
        assert!(names("*", "\"b\""));
        assert!(!names("\"bb\"", "\"b\""));
        assert!(!names("", "\"b\""));
        assert!(!names("b", "\"b\""));
    }
}
