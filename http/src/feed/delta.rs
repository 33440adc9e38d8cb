//! What has changed in an ipset since a time: entries to add or to refresh, and what is taken back.
//!
//! Entries whose time is over are not in it: the kernel lets them go by itself. The generations before
//! this one are gone, so a delta is told by a time, not by a generation.

use sentrypeer_storage::event::Time;

use super::choice::Choice;
use super::ipset::Options;
use super::list::{Entry, List, taken_back};
use crate::exchange::{Response, TEXT};
use crate::limits::{CHUNK_BYTES, DELTA_OVERLAP_NS, ROW_BYTES_MAX};
use crate::routes::View;
use crate::timestamp::Rfc3339;

/// The document. That it has no entry means that nothing has changed.
pub(super) fn document(view: &View, options: Options, now: Time) -> Response {
    let chosen = Choice {
        min_verification: options.min_verification,
        seen_since: options.since,
        ..Choice::of_all(Some(options.family))
    };
    let list = List::of(view, &chosen, now);
    let mut gone = taken_back(view, options.min_verification, now);
    gone.retain(|(ip, _)| sentrypeer_storage::blocklist::Family::of(*ip) == options.family);
    let (added, removed) = (list.len(), gone.len());
    let generation = view.snapshot.generation;
    // What came before this, and is on the way to the next generation, comes again or comes late.
    let as_of = now.min(view.snapshot.time).minus_ns(DELTA_OVERLAP_NS);
    let mut next = 0;
    let mut gone = gone.into_iter();
    let mut is_over = false;
    let slices = std::iter::from_fn(move || {
        let mut out = String::with_capacity(CHUNK_BYTES + ROW_BYTES_MAX);
        while out.len() < CHUNK_BYTES && !is_over {
            let set = &options.set;
            if let Some(entry) = list.get(next) {
                next += 1;
                out.push_str(&added_line(&options, &entry, now));
            } else if let Some((ip, _)) = gone.next() {
                out.push_str(&format!("del {set} {ip} -exist\n"));
            } else {
                let as_of = Rfc3339(as_of);
                out.push_str(&format!(
                    "# {added} added, {removed} taken back, generation {generation}, as of {as_of}\n"
                ));
                is_over = true;
            }
        }
        (!out.is_empty()).then(|| out.into_bytes())
    });
    Response::chunks(TEXT, Box::new(slices))
}

fn added_line(options: &Options, entry: &Entry, now: Time) -> String {
    let (set, ip, timeout) = (&options.set, entry.ip, entry.left_s(now, options.timeout_s_max));
    format!("add {set} {ip} timeout {timeout} -exist\n")
}
