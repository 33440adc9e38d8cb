//! The two lists of 4.x: what was seen, newest first, whatever its verification.
//!
//! A list may have millions of rows, so none of it is built as a whole: first the places of the
//! rows that are to be shown are put in order, then slice by slice the rows are written while the
//! client reads. Both steps look at the same generation.

use std::fmt::{Display, Write};
use std::sync::Arc;

use sentrypeer_storage::aggregate::{NumberRow, Row, SourceRow};
use sentrypeer_storage::blocklist;
use sentrypeer_storage::event::{SourceKey, Time};
use sentrypeer_storage::key::{Key, NumberKey};
use sentrypeer_storage::snapshot::{Place, Snapshot, Table};
use sentrypeer_storage::utc::Utc;
use serde::Serialize;

use crate::exchange::{Request, Response};
use crate::limits::{CHUNK_BYTES, ROW_BYTES_MAX};
use crate::lookup::Reading;
use crate::routes::View;
use crate::{etag, json};

/// `/ip-addresses`
pub(crate) fn sources(view: &View, request: &Request<'_>) -> Response {
    respond::<Sources>(view, request, view.snapshot.sources_changed)
}

/// `/numbers`
pub(crate) fn numbers(view: &View, request: &Request<'_>) -> Response {
    respond::<Numbers>(view, request, view.snapshot.numbers_changed)
}

/// What tells the two lists apart.
trait List: Send + 'static {
    type Key: Key;
    type Row: Row;
    const DOCUMENT: &'static str;
    /// The members of the envelope: the total's, and the list's.
    const MEMBERS: [&'static str; 2];
    const EMPTY: &'static str;

    fn table(snapshot: &Snapshot) -> &Table<Self::Key, Self::Row>;
    /// When each row that is to be shown was last seen, and where it is.
    fn listed(view: &View, now: Time) -> Vec<(Time, Place)>;
    fn append(out: &mut Vec<u8>, key: &Self::Key, row: &Self::Row, oldest: Time);
}

fn respond<L: List>(view: &View, request: &Request<'_>, changed: u64) -> Response {
    let mut order = L::listed(view, request.now);
    if order.is_empty() {
        return Response::nothing(L::EMPTY);
    }
    let nothing: &dyn Display = &"all";
    let etag = etag::of(view, request, L::DOCUMENT, changed, order.len(), nothing);
    etag::respond(request, etag, || {
        order.sort_unstable_by_key(|(last, _)| std::cmp::Reverse(*last));
        let oldest = request.now.minus_ns(view.policy.retention_ns);
        let pages = Pages::<L>::new(Arc::clone(&view.snapshot), order, oldest);
        Response::json_chunks(Box::new(pages)).with_last_modified(view.snapshot.time)
    })
}

/// The list as text, slice by slice.
struct Pages<L> {
    snapshot: Arc<Snapshot>,
    order: std::vec::IntoIter<(Time, Place)>,
    oldest: Time,
    state: State,
    list: std::marker::PhantomData<L>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Rows,
    End,
}

impl<L: List> Pages<L> {
    fn new(snapshot: Arc<Snapshot>, order: Vec<(Time, Place)>, oldest: Time) -> Self {
        let order = order.into_iter();
        Self { snapshot, order, oldest, state: State::Start, list: std::marker::PhantomData }
    }

    fn append_row(&self, out: &mut Vec<u8>, mut place: Place) {
        if let Some((key, row)) = L::table(&self.snapshot).step(&mut place) {
            L::append(out, key, row, self.oldest);
        }
    }
}

impl<L: List> Iterator for Pages<L> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(CHUNK_BYTES + ROW_BYTES_MAX);
        let mut first = self.state == State::Start;
        match self.state {
            State::Start => {
                let [total, list] = L::MEMBERS;
                let envelope = format!("{{\"{total}\": {}, \"{list}\": [", self.order.len());
                out.extend_from_slice(envelope.as_bytes());
                self.state = State::Rows;
            }
            State::Rows => {}
            State::End => return None,
        }
        while out.len() < CHUNK_BYTES {
            let Some((_, place)) = self.order.next() else {
                out.extend_from_slice(b"]}");
                self.state = State::End;
                break;
            };
            if !std::mem::take(&mut first) {
                out.extend_from_slice(b", ");
            }
            self.append_row(&mut out, place);
        }
        Some(out)
    }
}

/// What 4.x writes as text: times, and counts too.
struct AsText<T>(T);

impl<T: Display> Serialize for AsText<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // As long as a time: text that grows piece by piece is moved at every piece.
        let mut text = String::with_capacity(32);
        // Writing into a String does not fail.
        let _ = write!(text, "{}", self.0);
        serializer.serialize_str(&text)
    }
}

struct Sources;

impl List for Sources {
    type Key = SourceKey;
    type Row = SourceRow;
    const DOCUMENT: &'static str = "ip-addresses";
    const MEMBERS: [&'static str; 2] = ["ip_addresses_total", "ip_addresses"];
    const EMPTY: &'static str = "No bad actors found";

    fn table(snapshot: &Snapshot) -> &Table<SourceKey, SourceRow> {
        &snapshot.sources
    }

    fn listed(view: &View, now: Time) -> Vec<(Time, Place)> {
        let rows = blocklist::listed_sources(&view.snapshot, &view.policy, now);
        rows.map(|(place, row)| (row.seen.last, place)).collect()
    }

    fn append(out: &mut Vec<u8>, key: &SourceKey, row: &SourceRow, oldest: Time) {
        #[derive(Serialize)]
        struct Source {
            ip_address: std::net::IpAddr,
            seen_last: AsText<Utc>,
            seen_count: AsText<u64>,
            verification: &'static str,
            origin: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            prefix: Option<String>,
        }
        let ip = row.ip(key);
        let source = Source {
            ip_address: ip,
            seen_last: AsText(Utc(row.seen.last)),
            seen_count: AsText(row.seen.count),
            verification: row.verification(oldest).name(),
            origin: OWN,
            prefix: ip.is_ipv6().then(|| format!("{}/64", key.ip())),
        };
        json::append(out, &source);
    }
}

/// Where an entry comes from: this node itself.
pub(crate) const OWN: &str = "own";

struct Numbers;

impl List for Numbers {
    type Key = NumberKey;
    type Row = NumberRow;
    const DOCUMENT: &'static str = "numbers";
    const MEMBERS: [&'static str; 2] = ["called_numbers_total", "called_numbers"];
    const EMPTY: &'static str = "No phone numbers found";

    fn table(snapshot: &Snapshot) -> &Table<NumberKey, NumberRow> {
        &snapshot.numbers
    }

    fn listed(view: &View, now: Time) -> Vec<(Time, Place)> {
        let rows = blocklist::listed_numbers(&view.snapshot, &view.policy, now);
        rows.map(|(place, row)| (row.seen.last, place)).collect()
    }

    fn append(out: &mut Vec<u8>, key: &NumberKey, row: &NumberRow, oldest: Time) {
        #[derive(Serialize)]
        struct Number<'a> {
            called_number: &'a str,
            seen_last: AsText<Utc>,
            seen_count: AsText<u64>,
            kinds: &'static [&'static str],
            verification: &'static str,
            origin: &'static str,
            #[serde(flatten)]
            reading: Option<Reading>,
        }
        let number = Number {
            called_number: &String::from_utf8_lossy(key.as_bytes()),
            seen_last: AsText(Utc(row.seen.last)),
            seen_count: AsText(row.seen.count),
            kinds: kinds(row),
            verification: row.verification(oldest).name(),
            origin: OWN,
            reading: Reading::of(key.as_bytes()),
        };
        json::append(out, &number);
    }
}

/// What a number is: something that was called, an account that was tried, or both.
pub(crate) fn kinds(row: &NumberRow) -> &'static [&'static str] {
    match (row.is_called(), row.is_account()) {
        (true, true) => &["called", "account"],
        (true, false) => &["called"],
        (false, true) => &["account"],
        (false, false) => &[],
    }
}
