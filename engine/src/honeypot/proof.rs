//! What a message proves of the address that it came from: whether it brings back what was sent to
//! that address. Nothing is remembered for it.

use sentrypeer_storage::event::{Time, Transport, Verification};

use super::Path;
use super::cookie::{CookieKey, Parties, Slot, Way};
use super::persona::Persona;
use crate::sip::{Anomalies, Anomaly, Kind, Message, Name, Via};

/// What a look at a message told.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What is odd or wrong about it.
    pub anomalies: Anomalies,
    /// How well it proves its source.
    pub verification: Verification,
    /// Whether it belongs to a dialog.
    pub dialog: Dialog,
    /// How many answers to a challenge there were, with this one: it carries a nonce of ours.
    pub tries: Option<u8>,
    /// Whether somebody may stand between its source and us.
    pub way: Way,
}

/// What the To-tag of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// There is none: a new request.
    New,
    /// We made it: a request inside a dialog.
    Ours,
    /// Somebody else did, or we did long ago.
    Foreign,
}

/// Cookies are written as the persona does, or short where there was little room.
const LEAN: [bool; 2] = [false, true];

/// Credentials of a request in which our nonce is looked for. One realm is ours; a request that went
/// through proxies has one for each.
const CREDENTIALS_MAX: usize = 4;

/// Anything odd about Via, and what a proxy may read as another Via where we see none.
const RELAYED: u64 = Anomaly::ViaSeveral.bit()
    | Anomaly::ViaSyntax.bit()
    | Anomaly::ViaBranch.bit()
    | Anomaly::BareCr.bit()
    | Anomaly::Nul.bit()
    | Anomaly::NoColon.bit()
    | Anomaly::NameSyntax.bit()
    | Anomaly::HeaderCap.bit();

impl Seen {
    /// What is seen without looking for cookies. `level` is what the way that the message came
    /// proves by itself: on a connection that has relayed before, every message may be relayed.
    #[must_use]
    pub fn without_cookies(message: &Message<'_>, level: Verification) -> Self {
        let anomalies = message.all_anomalies();
        let all = anomalies.observed | anomalies.invalid;
        let is_direct =
            level != Verification::Relayed && all & RELAYED == 0 && has_one_plain_via(message);
        let way = if is_direct { Way::Direct } else { Way::Relayed };
        let verification = match way {
            Way::Relayed if level > Verification::Relayed => Verification::Relayed,
            _ => level,
        };
        Self { anomalies, verification, dialog: Dialog::New, tries: None, way }
    }
}

/// Whether there is one Via, written so that no proxy reads it in another way than we do: without
/// what may hide or begin a second value, and without the branch of a proxy. Proxies match an answer
/// by the branch alone, and pass it on to whoever sent the request that had it.
fn has_one_plain_via(message: &Message<'_>) -> bool {
    let mut vias = message.vias();
    let (Some(via), None) = (vias.next(), vias.next()) else {
        // Without a Via there is no answer, and no proxy to pass one on.
        return message.header(Name::Via).is_none();
    };
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b",\"<>()\\".contains(byte);
    let branch = Via::parse(via).and_then(|via| via.branch()).unwrap_or_default();
    let is_of_a_proxy = branch.iter().filter(|byte| **byte == b'.').count() >= PROXY_BRANCH_DOTS;
    via.iter().all(is_plain) && !is_of_a_proxy
}

/// Dots in the branches that the widespread proxies write: `z9hG4bK1a2b.<hash>.0`. Those of
/// telephones have one at most.
const PROXY_BRANCH_DOTS: usize = 2;

/// What is seen of a message with the cookies of this key, as this persona writes them.
#[must_use]
pub fn look(
    message: &Message<'_>,
    path: &Path,
    level: Verification,
    now: Time,
    (key, persona): (&CookieKey, &Persona),
) -> Seen {
    let mut seen = Seen::without_cookies(message, level);
    if message.kind() != Kind::Request {
        return seen;
    }
    let parties = path.parties();
    let slots = Slot::of(now).good();
    let mut proven = false;
    if let Some(tag) = message.to_tag() {
        let way = way_of_tag(message, tag, parties, slots, (key, persona));
        proven |= way == Some(Way::Direct);
        seen.dialog = if way.is_some() { Dialog::Ours } else { Dialog::Foreign };
    }
    let mut nonces = message.credentials().take(CREDENTIALS_MAX).filter_map(|c| c.value("nonce"));
    if let Some((way, tries)) =
        nonces.find_map(|nonce| tries_of_nonce(nonce, parties, slots, (key, persona)))
    {
        proven |= way == Way::Direct;
        seen.tries = Some(tries.saturating_add(1));
    }
    // A connection proves its source by itself, or has relayed and proves nothing.
    if proven && path.transport == Transport::Udp {
        seen.verification = Verification::ReturnPath;
    }
    seen
}

/// Under which label the tag is ours, if it is.
fn way_of_tag(
    message: &Message<'_>,
    tag: &[u8],
    parties: Parties,
    slots: [Slot; 2],
    (key, persona): (&CookieKey, &Persona),
) -> Option<Way> {
    let call_id = message.call_id().unwrap_or_default();
    let from_tag = message.from_tag().unwrap_or_default();
    // No two styles write texts of the same length.
    let mut styles = LEAN.into_iter().map(|lean| persona.tag_style(lean));
    let (style, given) = styles.find_map(|style| Some((style, style.read(tag)?)))?;
    let is_ours = |way: Way, slot: Slot| {
        let ours = key.tag(parties, way, slot, call_id, from_tag);
        style.is(tag, &given, &ours, slot)
    };
    Way::ALL.into_iter().find(|way| slots.into_iter().any(|slot| is_ours(*way, slot)))
}

/// Under which label the nonce is ours, and how many answers came before it, if it is.
fn tries_of_nonce(
    text: &[u8],
    parties: Parties,
    slots: [Slot; 2],
    (key, persona): (&CookieKey, &Persona),
) -> Option<(Way, u8)> {
    LEAN.into_iter().find_map(|lean| {
        let style = persona.nonce_style(lean);
        let given = style.read(text)?;
        let tries = CookieKey::tries_of(&given.0);
        let is_ours = |way: Way, slot: Slot| {
            let ours = key.nonce(parties, way, slot, tries);
            style.is(text, &given, &ours, slot)
        };
        let way =
            Way::ALL.into_iter().find(|way| slots.into_iter().any(|slot| is_ours(*way, slot)))?;
        Some((way, tries))
    })
}
