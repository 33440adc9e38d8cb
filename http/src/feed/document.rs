//! A feed as an answer: the list in a format, slice by slice, or why there is none.

use ring::digest::{Context as Digest, SHA256};
use sentrypeer_storage::blocklist::Family;

use super::choice::Choice;
use super::format::{Facts, Format, Place};
use super::list::List;
use super::misp;
use crate::access::hex;
use crate::etag;
use crate::exchange::{Request, Response};
use crate::limits::{CHUNK_BYTES, IPSET_NAME_TIME_S_MAX, ROW_BYTES_MAX};
use crate::routes::View;

const NS_PER_S: u64 = 1_000_000_000;

/// `/api/v1/feeds/{format}`
pub(crate) fn answer(view: &View, name: &str, request: &Request<'_>) -> Response {
    match Format::from_name(name) {
        None => {
            let known = Format::ALL.map(Format::name).join(", ");
            Response::error(404, &format!("There is no such feed. There are: {known}."))
        }
        Some(format) => document(view, format, request),
    }
}

/// `/api/v1/feeds/misp/{file}`: what a MISP server fetches: a list of events, and the one there is.
pub(crate) fn misp_file(view: &View, file: &str, request: &Request<'_>) -> Response {
    let id = misp::event_id(view.snapshot.node_id).to_string();
    if file == "manifest.json" {
        return match list(view, Format::Misp, request) {
            Ok((_, facts)) => Response::json(200, &misp::manifest(&facts)),
            Err(refused) => *refused,
        };
    }
    if file.strip_suffix(".json") == Some(&id) {
        return document(view, Format::Misp, request);
    }
    Response::error(404, &format!("There are manifest.json and {id}.json."))
}

fn document(view: &View, format: Format, request: &Request<'_>) -> Response {
    let (list, facts) = match list(view, format, request) {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let changed = view.snapshot.sources_changed;
    let all = facts.entries + facts.left_out;
    // Also on a quiet node an entry has ever less time left: see `ipset`.
    let period_s = (facts.choice.timeout_s_max / 2).clamp(1, IPSET_NAME_TIME_S_MAX);
    let period = request.now.0 / NS_PER_S / period_s;
    // Where an entry of this node's ends, one of peers may take its place: their sum stays.
    let selected = format!("{}.{period}.{}", facts.choice, list.by_peers);
    let etag = etag::of(view, request, format.name(), changed, all, &selected);
    let (entries, generation) = (facts.entries.to_string(), facts.generation.to_string());
    let response = etag::respond(request, etag::weak(&etag), || {
        let digest = Digest::new(&SHA256);
        let lines = Lines { list, facts, format, next: 0, digest, before: None, is_over: false };
        Response::chunks(format.content_type(), Box::new(lines))
            .with_last_modified(view.snapshot.time)
    });
    response.with("X-SentryPeer-Entries", entries).with("X-SentryPeer-Generation", generation)
}

fn list(
    view: &View,
    format: Format,
    request: &Request<'_>,
) -> Result<(List, Facts), Box<Response>> {
    let choice = Choice::parse(request.query, format)
        .map_err(|refused| Box::new(Response::error(400, &refused.to_string())))?;
    let list = List::of(view, &choice, request.now);
    if list.len() == 0 && !choice.allow_empty {
        return Err(Box::new(empty()));
    }
    let facts = Facts {
        now: request.now,
        generation: view.snapshot.generation,
        node_id: view.snapshot.node_id,
        entries: list.len(),
        left_out: list.left_out,
        choice,
    };
    Ok((list, facts))
}

/// Loading it would open the firewall; that must be asked for by name.
fn empty() -> Response {
    Response::error(
        409,
        "There is no address to block, and loading this document would open what it closed. If that \
         is wanted, add allow_empty=1. Addresses that are seen but not verified are taken with \
         min_verification=unverified.",
    )
}

/// The document, slice by slice.
struct Lines {
    list: List,
    facts: Facts,
    format: Format,
    next: usize,
    /// Of everything that was written.
    digest: Digest,
    /// The family of the entry before.
    before: Option<Family>,
    is_over: bool,
}

impl Iterator for Lines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_over {
            return None;
        }
        let mut out = String::with_capacity(CHUNK_BYTES + ROW_BYTES_MAX);
        if self.next == 0 {
            self.format.head(&mut out, &self.facts);
        }
        while out.len() < CHUNK_BYTES && !self.is_over {
            let Some(entry) = self.list.get(self.next) else {
                self.format.tail(&mut out, &self.facts);
                self.is_over = true;
                break;
            };
            let family = Family::of(entry.ip);
            let same_family = self.before.replace(family) == Some(family);
            let known = self.format.shows_what_is_known().then(|| self.list.known(self.next));
            let place = Place { index: self.next, same_family, known: known.flatten() };
            self.format.entry(&mut out, &self.facts, &entry, &place);
            self.next += 1;
        }
        self.digest.update(out.as_bytes());
        if self.is_over {
            let sha256 = hex(self.digest.clone().finish().as_ref());
            self.format.trailer(&mut out, &self.facts, &sha256);
        }
        Some(out.into_bytes())
    }
}
