//! Header names, and how they are told apart.
//!
//! The sixteen bytes that a line begins with are taken as one number. The colon's place, the first
//! two letters and one multiplication say which name it can be; two masked comparisons say whether
//! it is. No branch depends on which name that was, and shuffled messages mispredict nothing here.

use memchr::memchr;

use super::bytes::{WINDOW, first_hit, hits, is_lws, trim, window};

/// The headers that the parser knows by name (RFC 3261, section 20, and as noted).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Name {
    /// `Via`, compact `v`.
    Via,
    /// `From`, compact `f`.
    From,
    /// `To`, compact `t`.
    To,
    /// `Call-ID`, compact `i`.
    CallId,
    /// `CSeq`.
    CSeq,
    /// `Contact`, compact `m`.
    Contact,
    /// `User-Agent`.
    UserAgent,
    /// `Content-Length`, compact `l`.
    ContentLength,
    /// `Content-Type`, compact `c`.
    ContentType,
    /// `Max-Forwards`.
    MaxForwards,
    /// `Authorization`.
    Authorization,
    /// `Proxy-Authorization`.
    ProxyAuthorization,
    /// `Expires`.
    Expires,
    /// `Route`.
    Route,
    /// `Record-Route`.
    RecordRoute,
    /// `Supported`, compact `k`.
    Supported,
    /// `Require`.
    Require,
    /// `Proxy-Require`.
    ProxyRequire,
    /// `Server`.
    Server,
    /// `Date`.
    Date,
    /// `Event`, compact `o` (RFC 6665).
    Event,
    /// `Refer-To`, compact `r` (RFC 3515).
    ReferTo,
    /// `RAck` (RFC 3262).
    RAck,
}

impl Name {
    /// How many there are.
    pub(super) const COUNT: usize = Self::RAck as usize + 1;

    /// The mask with only this name's bit.
    #[inline]
    pub(super) const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The name as RFC 3261 writes it, in full.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Via => "Via",
            Self::From => "From",
            Self::To => "To",
            Self::CallId => "Call-ID",
            Self::CSeq => "CSeq",
            Self::Contact => "Contact",
            Self::UserAgent => "User-Agent",
            Self::ContentLength => "Content-Length",
            Self::ContentType => "Content-Type",
            Self::MaxForwards => "Max-Forwards",
            Self::Authorization => "Authorization",
            Self::ProxyAuthorization => "Proxy-Authorization",
            Self::Expires => "Expires",
            Self::Route => "Route",
            Self::RecordRoute => "Record-Route",
            Self::Supported => "Supported",
            Self::Require => "Require",
            Self::ProxyRequire => "Proxy-Require",
            Self::Server => "Server",
            Self::Date => "Date",
            Self::Event => "Event",
            Self::ReferTo => "Refer-To",
            Self::RAck => "RAck",
        }
    }
}

/// What [`classify`] tells of a header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classified {
    /// The name, if it is a known one.
    pub(super) name: Option<Name>,
    /// Where the colon stands in the line.
    pub(super) colon: usize,
    /// Whether white space stands before the colon.
    pub(super) spaced: bool,
}

/// The name and colon of the line `input[start..end]`; `None` if it has no colon.
#[inline(always)]
pub(super) fn classify(input: &[u8], start: usize, end: usize) -> Option<Classified> {
    let window = window(&input[start..]);
    let colon = first_hit(hits(window, b':'));
    let entry = &TABLE[slot(window, colon)];
    if window & entry.mask == entry.want {
        return Some(Classified { name: Some(entry.name), colon, spaced: false });
    }
    let line = &input[start..end];
    if colon < line.len() && colon < WINDOW && colon > 0 && line[0] > b' ' && line[colon - 1] > b' '
    {
        return Some(Classified { name: None, colon, spaced: false });
    }
    classify_slowly(line)
}

/// [`classify`] for a line with a long name, with white space around its name, or without a colon.
#[inline(never)]
fn classify_slowly(line: &[u8]) -> Option<Classified> {
    let colon = memchr(b':', line)?;
    let name = trim(&line[..colon]);
    let spaced = colon > 0 && is_lws(line[colon - 1]);
    Some(Classified { name: lookup(name), colon, spaced })
}

/// The known name that `name` is, in any case, if it is one.
fn lookup(name: &[u8]) -> Option<Name> {
    let mut padded = [0; WINDOW];
    let Some(room) = padded.get_mut(..=name.len()) else {
        let long = Name::ProxyAuthorization;
        return name.eq_ignore_ascii_case(long.text().as_bytes()).then_some(long);
    };
    room[..name.len()].copy_from_slice(name);
    room[name.len()] = b':';
    let window = u128::from_le_bytes(padded);
    let entry = &TABLE[slot(window, name.len())];
    (window & entry.mask == entry.want).then_some(entry.name)
}

/// What a slot of the table holds: the bytes of a name and its colon in capitals, and a mask that
/// clears the case of letters and all that follows the colon.
struct Entry {
    mask: u128,
    want: u128,
    name: Name,
}

const SLOTS: usize = 64;

/// Found by trying odd numbers at random: with it no two names share a slot, which
/// [`TABLE`] checks when it is compiled.
const SPREAD: u32 = 0x20fc_dc0b;

/// The slot that a name of this length with these first two letters would have.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "only the lowest bytes count")]
const fn slot(window: u128, length: usize) -> usize {
    let key = (window as u32 & 0xffff) | 0x2020 | (length as u32) << 16;
    (key.wrapping_mul(SPREAD) >> 26) as usize % SLOTS
}

static TABLE: [Entry; SLOTS] = {
    // What no window can be: the wanted bits are not in the mask.
    const EMPTY: Entry = Entry { mask: 0, want: 1, name: Name::Via };
    let mut table = [EMPTY; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        let (text, name) = NAMES[index];
        let (mask, want) = masked(text.as_bytes());
        let slot = slot(want, text.len());
        assert!(table[slot].mask == 0, "two names share a slot: find another SPREAD");
        table[slot] = Entry { mask, want, name };
        index += 1;
    }
    table
};

/// The mask and the wanted bits for a name.
const fn masked(text: &[u8]) -> (u128, u128) {
    let (mut mask, mut want) = ([0; WINDOW], [0; WINDOW]);
    let mut at = 0;
    while at < text.len() {
        mask[at] = if text[at].is_ascii_alphabetic() { 0xdf } else { 0xff };
        want[at] = text[at].to_ascii_uppercase();
        at += 1;
    }
    mask[at] = 0xff;
    want[at] = b':';
    (u128::from_le_bytes(mask), u128::from_le_bytes(want))
}

/// Every way to write a known name that fits into a window (RFC 3261, 7.3.3 and 20).
const NAMES: [(&str, Name); 32] = [
    ("via", Name::Via),
    ("v", Name::Via),
    ("from", Name::From),
    ("f", Name::From),
    ("to", Name::To),
    ("t", Name::To),
    ("call-id", Name::CallId),
    ("i", Name::CallId),
    ("cseq", Name::CSeq),
    ("contact", Name::Contact),
    ("m", Name::Contact),
    ("user-agent", Name::UserAgent),
    ("content-length", Name::ContentLength),
    ("l", Name::ContentLength),
    ("content-type", Name::ContentType),
    ("c", Name::ContentType),
    ("max-forwards", Name::MaxForwards),
    ("authorization", Name::Authorization),
    ("expires", Name::Expires),
    ("route", Name::Route),
    ("record-route", Name::RecordRoute),
    ("supported", Name::Supported),
    ("k", Name::Supported),
    ("require", Name::Require),
    ("proxy-require", Name::ProxyRequire),
    ("server", Name::Server),
    ("date", Name::Date),
    ("event", Name::Event),
    ("o", Name::Event),
    ("refer-to", Name::ReferTo),
    ("r", Name::ReferTo),
    ("rack", Name::RAck),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &[u8]) -> Option<(Option<Name>, usize, bool)> {
        classify(line, 0, line.len()).map(|found| (found.name, found.colon, found.spaced))
    }

    #[test]
    fn every_name_is_known_in_full_and_compact_and_in_any_case() {
        for (text, name) in
            NAMES.into_iter().chain([("proxy-authorization", Name::ProxyAuthorization)])
        {
            for text in [text.to_owned(), text.to_uppercase()] {
                for rest in [":", ":x", ": some value that is long enough"] {
                    let line = format!("{text}{rest}");
                    assert_eq!(found(line.as_bytes()), Some((Some(name), text.len(), false)));
                    let line = format!("{text} \t{rest}");
                    assert_eq!(found(line.as_bytes()), Some((Some(name), text.len() + 2, true)));
                }
            }
        }
    }

    #[test]
    fn a_name_that_only_resembles_a_known_one_is_not_known() {
        for line in [
            "Call\rID: x",
            "Vib: x",
            "Toto: x",
            "x: 1",
            "Fro\x4d\x1f: x",
            "\u{36}ia: x",
            "Call-I\u{24}:x",
        ] {
            assert_eq!(found(line.as_bytes()).unwrap().0, None, "{line:?}");
        }
    }

    #[test]
    fn a_colon_beyond_the_line_does_not_count() {
        assert_eq!(classify(b"CSeq\r\nTo: x and more", 0, 4), None);
        assert_eq!(classify(b"", 0, 0), None);
    }

    #[test]
    fn an_unknown_name_has_its_colon_at_any_length() {
        for length in 0..40 {
            let line = format!("{}: x", "n".repeat(length));
            assert_eq!(found(line.as_bytes()), Some((None, length, false)));
        }
    }
}
