//! `/ip-addresses/ipset`: a document for `ipset restore`.
//!
//! `full` works the first time and every time. It fills a second set and swaps the two, so the live
//! set is whole at every moment, and a document that breaks off midway changes nothing. `ipset`
//! stops at the first line that it does not like, so every line must be right: no address of the
//! other family, no unspecified address, no entry beyond `maxelem`, no timeout out of range.

use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use sentrypeer_storage::blocklist::{Blocked, Family, Selection, blocked, blocklist};
use sentrypeer_storage::event::{Time, Verification};

use super::cut::Cut;
use super::delta;
use crate::etag;
use crate::exchange::{Request, Response, TEXT};
use crate::limits::{
    CHUNK_BYTES, IPSET_ENTRIES_MAX, IPSET_HASHSIZE, IPSET_NAME_BYTES_MAX, IPSET_NAME_TIME_S_MAX,
    IPSET_SAMPLE_ROWS, IPSET_TIMEOUT_S_MAX, ROW_BYTES_MAX,
};
use crate::query::{Parameters, QueryError};
use crate::routes::View;
use crate::timestamp;

/// What the set that is being filled is called beside the live one.
const NEW_SUFFIX: &str = "-new";

const NAMES: [&str; 7] =
    ["document", "family", "set", "timeout", "min_verification", "allow_empty", "since"];

const SINCE: &str = "a time such as 2026-11-23T23:52:36Z (RFC 3339)";

/// Which lines a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    /// Everything: makes the live set if there is none, fills it, empty or not.
    Full,
    /// Only makes the live set, so that rules can name it before it is filled.
    Init,
    /// Fills a live set that is there.
    Refresh,
    /// Only what has changed since a time, for a live set that was filled then.
    Delta,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    document: Document,
    pub(super) family: Family,
    pub(super) set: String,
    pub(super) timeout_s_max: u64,
    pub(super) min_verification: Option<Verification>,
    allow_empty: bool,
    /// What a delta begins with; the beginning of time if nothing is said.
    pub(super) since: Time,
}

impl Options {
    fn parse(query: &str) -> Result<Self, QueryError> {
        let parameters = Parameters::parse(query, &NAMES)?;
        let document =
            parameters.value("document", "full, init, refresh or delta", Document::of)?;
        let family = parameters.value("family", "4 or 6", family)?.unwrap_or(Family::V4);
        let set = parameters.value("set", &set_name_rule(), set_name)?;
        let seconds = format!("a number of seconds from 1 to {IPSET_TIMEOUT_S_MAX}");
        let timeout = parameters.value("timeout", &seconds, timeout_s)?;
        let levels = "unverified, relayed, return-path, connected or tls";
        let verification = Verification::from_name;
        Ok(Self {
            document: document.unwrap_or(Document::Full),
            family,
            set: set.unwrap_or_else(|| default_set(family).to_owned()),
            timeout_s_max: timeout.unwrap_or(IPSET_TIMEOUT_S_MAX),
            min_verification: parameters.value("min_verification", levels, verification)?,
            allow_empty: parameters.value("allow_empty", "0 or 1", flag)?.unwrap_or(false),
            since: parameters.value("since", SINCE, timestamp::read)?.unwrap_or(Time(0)),
        })
    }
}

impl Options {
    fn selection(&self, view: &View) -> Selection {
        let min_verification = self.min_verification.unwrap_or(view.policy.min_verification);
        Selection { min_verification, family: Some(self.family) }
    }
}

impl Document {
    fn of(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "init" => Some(Self::Init),
            "refresh" => Some(Self::Refresh),
            "delta" => Some(Self::Delta),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Init => "init",
            Self::Refresh => "refresh",
            Self::Delta => "delta",
        }
    }
}

fn family(digit: &str) -> Option<Family> {
    match digit {
        "4" => Some(Family::V4),
        "6" => Some(Family::V6),
        _ => None,
    }
}

fn default_set(family: Family) -> &'static str {
    match family {
        Family::V4 => "sentrypeer",
        Family::V6 => "sentrypeer6",
    }
}

fn set_name_rule() -> String {
    let max = IPSET_NAME_BYTES_MAX - NEW_SUFFIX.len();
    format!("a name of 1 to {max} letters, digits, \"_\", \".\" or \"-\", not beginning with \"-\"")
}

/// A name beginning with `-` would be an option; `-new` must still fit behind it.
fn set_name(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let fits = (1..=IPSET_NAME_BYTES_MAX - NEW_SUFFIX.len()).contains(&name.len());
    (fits && !name.starts_with('-') && name.bytes().all(allowed)).then(|| name.to_owned())
}

/// Zero would mean for ever.
fn timeout_s(text: &str) -> Option<u64> {
    text.parse().ok().filter(|seconds| (1..=IPSET_TIMEOUT_S_MAX).contains(seconds))
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Answers with the document, or says why there is none.
pub(crate) fn document(view: &View, request: &Request<'_>) -> Response {
    let options = match Options::parse(request.query) {
        Ok(options) => options,
        Err(refused) => return Response::error(400, &refused.to_string()),
    };
    if options.document == Document::Init {
        return Response::text(200, TEXT, init_text(&options));
    }
    if options.document == Document::Delta {
        return delta::document(view, options, request.now);
    }
    let size = match Size::of(view, &options, request.now) {
        None if !options.allow_empty => return empty(&options),
        size => size.unwrap_or(Size { about: 0, cut: None }),
    };
    let selected = Selected { options: &options, now: request.now };
    // The entries are not counted for it, for that takes a walk over all of them: see `Selected`.
    let etag = etag::of(view, request, "ipset", view.snapshot.sources_changed, 0, &selected);
    etag::respond(request, etag::weak(&etag), || {
        let entries = Box::new(entries(view, &options, request.now));
        let generation = view.snapshot.generation;
        let now = request.now;
        let lines =
            Lines { entries, now, size, written: 0, options, generation, state: State::Head };
        Response::chunks(TEXT, Box::new(lines)).with_last_modified(view.snapshot.time)
    })
}

/// What must be known before the first line.
struct Size {
    /// How many entries there are, about: the set is made to fit them, and the kernel makes it larger if
    /// need be.
    about: usize,
    /// Which of them are in, where there may be too many.
    cut: Option<Cut>,
}

impl Size {
    /// `None` if there is no entry. A firewall waits for the first line, so as long as no set can be too
    /// small only a sample is looked at: the rows are in the order of a keyed hash. What peers say of
    /// comes on top, and is counted as if none of it were among those.
    fn of(view: &View, options: &Options, now: Time) -> Option<Self> {
        let all = || entries(view, options, now);
        let rows = view.snapshot.sources.len();
        let peers = view.snapshot.peers.sources();
        if rows + peers.len() > IPSET_ENTRIES_MAX {
            let cut = Cut::at(IPSET_ENTRIES_MAX, || all().map(|blocked| blocked.score));
            return (cut.kept > 0).then_some(Self { about: cut.kept, cut: Some(cut) });
        }
        let selection = options.selection(view);
        let sample = view.snapshot.sources.iter().take(IPSET_SAMPLE_ROWS);
        let found = sample.filter(|(key, row)| {
            blocked(key, row, &view.policy, selection, now).is_some_and(|entry| can_hold(&entry))
        });
        let found = found.count();
        let of_family = peers.iter().filter(|(key, _)| Family::of(key.ip()) == options.family);
        let about = found * rows / rows.clamp(1, IPSET_SAMPLE_ROWS) + of_family.count();
        (found > 0 || all().next().is_some()).then_some(Self { about, cut: None })
    }
}

fn init_text(options: &Options) -> String {
    let mut out = String::new();
    create(&mut out, &options.set, options.family, *IPSET_HASHSIZE.start());
    out
}

/// Loading it would empty the set and open the firewall; that must be asked for by name.
fn empty(options: &Options) -> Response {
    let family = match options.family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    Response::error(
        409,
        &format!(
            "There is no {family} address to block, and loading this document would empty the \
             set \"{}\". If that is wanted, add allow_empty=1. Addresses that are seen but not \
             verified are taken with min_verification=unverified.",
            options.set
        ),
    )
}

/// What a set of this family can hold, of what is to be blocked.
fn entries(
    view: &View,
    options: &Options,
    now: Time,
) -> impl Iterator<Item = Blocked> + Send + use<> {
    let (snapshot, policy) = (Arc::clone(&view.snapshot), Arc::clone(&view.policy));
    blocklist(snapshot, policy, options.selection(view), now).filter(can_hold)
}

/// The kernel keeps no unspecified address; ::1 is one under its /64.
fn can_hold(entry: &Blocked) -> bool {
    !entry.ip.is_unspecified()
}

/// What chooses the document, for its `ETag`.
///
/// The generation is that of any change to a source, not only of members: an address that is seen
/// again is to be blocked for longer, and who keeps the old document lets it go too soon. For the
/// same reason the name changes, even on a quiet node, whenever half of the longest timeout has
/// passed: entries loaded with `timeout=600` are gone from the kernel after 600 seconds, and a
/// client that is told "not modified" until then would stand there with an empty set. Entries whose time
/// is over need no new name: the kernel lets them go by itself. What is left of the document changes its
/// name once an hour all the same, so that none is kept for ever.
struct Selected<'a> {
    options: &'a Options,
    now: Time,
}

impl Display for Selected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { document, family, set, timeout_s_max, min_verification, .. } = self.options;
        let family = if *family == Family::V4 { 4 } else { 6 };
        let level = min_verification.map_or("policy", Verification::name);
        let period = self.now.0 / NS_PER_S / (timeout_s_max / 2).clamp(1, IPSET_NAME_TIME_S_MAX);
        let document = document.name();
        write!(f, "{document}.{family}.{set}.{timeout_s_max}.{level}.{period}")
    }
}

const NS_PER_S: u64 = 1_000_000_000;

/// The document, slice by slice.
struct Lines {
    entries: Box<dyn Iterator<Item = Blocked> + Send>,
    now: Time,
    size: Size,
    /// Entries so far.
    written: usize,
    options: Options,
    generation: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Entries,
    End,
}

impl Iterator for Lines {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut out = String::with_capacity(CHUNK_BYTES + ROW_BYTES_MAX);
        match self.state {
            State::Head => {
                self.head(&mut out);
                self.state = State::Entries;
            }
            State::Entries => {}
            State::End => return None,
        }
        while out.len() < CHUNK_BYTES {
            let Some(blocked) = self.entries.next() else {
                self.tail(&mut out);
                self.state = State::End;
                break;
            };
            if self.size.cut.as_mut().is_none_or(|cut| cut.takes(blocked.score)) {
                self.entry(&mut out, &blocked);
                self.written += 1;
            }
        }
        Some(out.into_bytes())
    }
}

/// Writing into a `String` does not fail, so its result is passed over.
impl Lines {
    fn head(&self, out: &mut String) {
        let Options { set, family, document, .. } = &self.options;
        let hashsize = hashsize(self.size.about);
        if *document == Document::Full {
            create(out, set, *family, hashsize);
        }
        create(out, &format!("{set}{NEW_SUFFIX}"), *family, hashsize);
        let _ = writeln!(out, "flush {set}{NEW_SUFFIX}");
    }

    fn entry(&self, out: &mut String, blocked: &Blocked) {
        let left_s = blocked.expires.0.saturating_sub(self.now.0).div_ceil(NS_PER_S);
        // Zero would mean for ever.
        let timeout = left_s.clamp(1, self.options.timeout_s_max);
        let (set, ip) = (&self.options.set, blocked.ip);
        let _ = writeln!(out, "add {set}{NEW_SUFFIX} {ip} timeout {timeout}");
    }

    fn tail(&self, out: &mut String) {
        let set = &self.options.set;
        let (kept, left_out) = (self.written, self.size.cut.map_or(0, |cut| cut.left_out));
        let _ = writeln!(out, "swap {set}{NEW_SUFFIX} {set}\ndestroy {set}{NEW_SUFFIX}");
        let entries = if kept == 1 { "entry" } else { "entries" };
        let _ = write!(out, "# {kept} {entries}, generation {}", self.generation);
        if left_out > 0 {
            let _ = write!(
                out,
                "; {left_out} with the lowest scores left out, because a set holds {IPSET_ENTRIES_MAX}"
            );
        }
        out.push('\n');
    }
}

/// `create … -exist` fails where a set exists with another family, netmask, maxelem or default
/// timeout, so these never change; the kernel passes over another hashsize. A default timeout of 0
/// means that entries can have one each, which all of ours do.
fn create(out: &mut String, set: &str, family: Family, hashsize: usize) {
    let family = match family {
        Family::V4 => "inet",
        Family::V6 => "inet6 netmask 64",
    };
    let _ = writeln!(
        out,
        "create {set} hash:ip family {family} hashsize {hashsize} maxelem {IPSET_ENTRIES_MAX} \
         timeout 0 -exist"
    );
}

/// One bucket for two entries: no bucket overflows while a set of a million is filled, so the kernel
/// never rehashes, and the set takes 40 MB.
fn hashsize(entries: usize) -> usize {
    (entries / 2).next_power_of_two().clamp(*IPSET_HASHSIZE.start(), *IPSET_HASHSIZE.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_name_leaves_room_for_the_second_set_and_is_no_option() {
        assert!(set_name(&"a".repeat(27)).is_some());
        assert!(set_name(&"a".repeat(28)).is_none());
        for name in ["", "-exist", "a b", "a\nb", "ä", "a;b"] {
            assert!(set_name(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_hashsize_follows_the_size() {
        assert_eq!(hashsize(0), 1_024);
        assert_eq!(hashsize(4_000), 2_048);
        assert_eq!(hashsize(IPSET_ENTRIES_MAX), 1 << 19);
    }

    #[test]
    fn a_bad_value_is_named() {
        let text = |query| Options::parse(query).unwrap_err().to_string();
        assert_eq!(text("family=5"), "parameter \"family\": \"5\" is not 4 or 6");
        assert!(text("timeout=0").starts_with("parameter \"timeout\""));
        assert!(text("timeout=2147484").contains("from 1 to 2147483"));
        assert!(text("documents=full").starts_with("parameter \"documents\" is not known here"));
    }
}
