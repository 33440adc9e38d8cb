//! Pages of a table, by what stands last on the page before.
//!
//! A cursor is no row number: it holds the sorting value and the key of the last row of a page, so
//! rows that come or go elsewhere move nothing. Who was seen again between two pages has another
//! value, though, and may be missed or met twice; `sort=first` never changes and has no such gap.
//!
//! The table is a hash table, so a page takes one walk over all rows, which are bounded, and keeps no
//! more of them than the page has.
//!
//! What tells the tables apart is in a [`Listed`]; [`list`] does the rest for all of them.

use std::collections::BinaryHeap;

use sentrypeer_storage::aggregate::{Row, Seen};
use sentrypeer_storage::event::Time;
use sentrypeer_storage::key::Key;
use sentrypeer_storage::snapshot::{Snapshot, Table};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::refused;
use crate::access::hex;
use crate::exchange::{Request, Response};
use crate::limits::{CURSOR_BYTES_MAX, PAGE_ROWS, PAGE_ROWS_MAX};
use crate::query::{Parameters, QueryError};
use crate::routes::View;

/// A table of which there are pages. The value says which rows are wanted.
pub(super) trait Listed: Sized {
    type Key: Key;
    type Row: Row;
    type Shown: Serialize;
    /// The member of the answer that has the rows.
    const MEMBER: &'static str;
    /// What parameters it has beside those that say which page.
    const NAMES: &'static [&'static str];
    /// What somebody may well ask for and cannot have, with the reason.
    const NOT_KEPT: &'static [(&'static str, &'static str)] = &[];

    fn table(snapshot: &Snapshot) -> &Table<Self::Key, Self::Row>;
    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError>;
    /// Whether a row is wanted that was seen within the retention.
    fn fits(&self, view: &View, key: &Self::Key, row: &Self::Row, now: Time) -> bool;
    fn shown(view: &View, key: &Self::Key, row: &Self::Row, now: Time) -> Self::Shown;
}

/// Answers with a page of a table.
pub(super) fn list<L: Listed>(view: &View, request: &Request<'_>) -> Response {
    let names = [&NAMES, L::NAMES].concat();
    let parameters = Parameters::parse(request.query, &names);
    let (page, wanted) = match parameters.and_then(|p| Ok((Page::parse(&p)?, L::parse(&p)?))) {
        Ok(asked) => asked,
        Err(error) => return refused(&explained(error, L::NOT_KEPT)),
    };
    let now = request.now;
    let oldest = now.minus_ns(view.policy.retention_ns);
    let rows = page.of(L::table(&view.snapshot), |key, row| {
        row.seen().last > oldest && wanted.fits(view, key, row, now)
    });
    let shown: Vec<_> = rows.rows.iter().map(|(key, row)| L::shown(view, key, row, now)).collect();
    let Rows { total, next, .. } = rows;
    let answer =
        Answer { total, generation: view.snapshot.generation, member: L::MEMBER, shown, next };
    Response::json(200, &answer).with_last_modified(view.snapshot.time)
}

/// Says why a parameter is not known, where there is more to say than that.
fn explained(error: QueryError, not_kept: &[(&'static str, &'static str)]) -> QueryError {
    let QueryError::Unknown { name, .. } = &error else { return error };
    let known = not_kept.iter().find(|(known, _)| known == name);
    known.map_or(error, |&(name, why)| QueryError::NotKept { name, why })
}

/// A page as it is written.
struct Answer<T> {
    total: usize,
    generation: u64,
    member: &'static str,
    shown: Vec<T>,
    next: Option<String>,
}

impl<T: Serialize> Serialize for Answer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("total", &self.total)?;
        members.serialize_entry("generation", &self.generation)?;
        members.serialize_entry(self.member, &self.shown)?;
        if let Some(next) = &self.next {
            members.serialize_entry("next", next)?;
        }
        members.end()
    }
}

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Last,
    First,
    Count,
}

/// The most recent, the most frequent first, or the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Descending,
    Ascending,
}

/// Which of the rows that fit are on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page {
    sort: Sort,
    order: Order,
    limit: usize,
    after: Option<Mark>,
}

/// Where a row stands: rows are sorted by this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    rank: u64,
    key: Vec<u8>,
}

/// A page.
#[derive(Debug)]
struct Rows<'a, K, R> {
    /// How many rows fit, on all pages together.
    total: usize,
    rows: Vec<(&'a K, &'a R)>,
    /// The cursor of the next page; `None` on the last.
    next: Option<String>,
}

/// The names of the parameters that say which page.
const NAMES: [&str; 4] = ["limit", "sort", "order", "cursor"];

impl Page {
    fn parse(parameters: &Parameters<'_>) -> Result<Self, QueryError> {
        let sort = parameters.value("sort", "last, first or count", |name| match name {
            "last" => Some(Sort::Last),
            "first" => Some(Sort::First),
            "count" => Some(Sort::Count),
            _ => None,
        })?;
        let order = parameters.value("order", "desc or asc", |name| match name {
            "desc" => Some(Order::Descending),
            "asc" => Some(Order::Ascending),
            _ => None,
        })?;
        let mut page = Self {
            sort: sort.unwrap_or(Sort::Last),
            order: order.unwrap_or(Order::Descending),
            limit: limit(parameters)?,
            after: None,
        };
        let form = "the \"next\" of a page with the same sort and order";
        page.after = parameters.value("cursor", form, |text| page.read_mark(text))?;
        Ok(page)
    }

    /// Lower ranks come first.
    fn rank(&self, seen: &Seen) -> u64 {
        let value = match self.sort {
            Sort::Last => seen.last.0,
            Sort::First => seen.first.0,
            Sort::Count => seen.count,
        };
        match self.order {
            Order::Descending => !value,
            Order::Ascending => value,
        }
    }

    /// What a cursor begins with, so that it is not taken for one of another order.
    fn letters(&self) -> &'static str {
        match (self.sort, self.order) {
            (Sort::Last, Order::Descending) => "ld",
            (Sort::Last, Order::Ascending) => "la",
            (Sort::First, Order::Descending) => "fd",
            (Sort::First, Order::Ascending) => "fa",
            (Sort::Count, Order::Descending) => "cd",
            (Sort::Count, Order::Ascending) => "ca",
        }
    }

    fn write_mark(&self, rank: u64, key: &[u8]) -> String {
        format!("{}{rank:x}-{}", self.letters(), hex(key))
    }

    fn read_mark(&self, text: &str) -> Option<Mark> {
        if text.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let (rank, key) = text.strip_prefix(self.letters())?.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits(rank) || !digits(key) || key.len() % 2 != 0 {
            return None;
        }
        let rank = u64::from_str_radix(rank, 16).ok()?;
        let bytes = key.as_bytes().chunks_exact(2);
        let key = bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        Some(Mark { rank, key: key.collect::<Option<_>>()? })
    }

    /// The rows of this page, of those that fit.
    fn of<'a, K: Key, R: Row>(
        &self,
        table: &'a Table<K, R>,
        fits: impl Fn(&K, &R) -> bool,
    ) -> Rows<'a, K, R> {
        // The largest on top, which is what has to go when there is one too many.
        let mut first: BinaryHeap<(u64, &'a K)> = BinaryHeap::with_capacity(self.limit + 2);
        let mut total = 0;
        for (key, row) in table.iter().filter(|(key, row)| fits(key, row)) {
            total += 1;
            let rank = self.rank(row.seen());
            let is_behind = |mark: &Mark| (rank, key.as_bytes()) > (mark.rank, &*mark.key);
            let is_wanted = first.len() <= self.limit
                || first.peek().is_some_and(|largest| (rank, key) < *largest);
            if is_wanted && self.after.as_ref().is_none_or(is_behind) {
                first.push((rank, key));
                if first.len() > self.limit + 1 {
                    first.pop();
                }
            }
        }
        let mut places = first.into_sorted_vec();
        let is_last = places.len() <= self.limit;
        places.truncate(self.limit);
        let last = places.last().filter(|_| !is_last);
        let next = last.map(|(rank, key)| self.write_mark(*rank, key.as_bytes()));
        let rows = places.into_iter().filter_map(|(_, key)| Some((key, table.get(key)?)));
        Rows { total, rows: rows.collect(), next }
    }
}

/// The parameter `limit`: most rows of a page.
pub(crate) fn limit(parameters: &Parameters<'_>) -> Result<usize, QueryError> {
    let form = format!("a number from 1 to {PAGE_ROWS_MAX}");
    let read = |text: &str| text.parse().ok().filter(|n| (1..=PAGE_ROWS_MAX).contains(n));
    Ok(parameters.value("limit", &form, read)?.unwrap_or(PAGE_ROWS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, String> {
        let parameters = Parameters::parse(query, &NAMES).map_err(|e| e.to_string())?;
        Page::parse(&parameters).map_err(|e| e.to_string())
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written_and_goes_with_its_order() {
        let newest = page("").unwrap();
        let cursor = newest.write_mark(!5, &[0, 255]);
        let mark = Mark { rank: !5, key: vec![0, 255] };
        assert_eq!(page(&format!("cursor={cursor}")).unwrap().after, Some(mark));
        for other in ["sort=first", "sort=count", "order=asc"] {
            assert!(page(&format!("cursor={cursor}&{other}")).is_err(), "{other}");
        }
        for bad in ["", "ld", "ld-", "ld5", "ld5-0", "ld5-0g", "ld+5-00", "ld5-ä"] {
            assert!(page(&format!("cursor={bad}")).is_err(), "{bad}");
        }
        assert!(page(&format!("cursor=ld5-{}", "00".repeat(CURSOR_BYTES_MAX))).is_err());
    }

    #[test]
    fn a_page_has_a_bound() {
        assert_eq!(page(&format!("limit={PAGE_ROWS_MAX}")).unwrap().limit, PAGE_ROWS_MAX);
        for bad in ["0", "-1", "x", "1000000"] {
            assert!(page(&format!("limit={bad}")).unwrap_err().contains("limit"), "{bad}");
        }
    }
}
