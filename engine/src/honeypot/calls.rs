//! The calls of one shard that ring, or whose answer waits for its ACK: the only thing that the
//! honeypot remembers of a caller over UDP, and of proven ones alone.
//!
//! A call is three answers, written when its INVITE came, and the time at which something is due:
//!
//! ```text
//! INVITE ─► Ringing ── after the ringing ──► Answered ── ACK, or 32 s ──► gone
//!              └── CANCEL ──► Terminated ── ACK, or 32 s ──► gone
//! ```
//!
//! Final answers are repeated until their ACK (RFC 3261, 13.3.1.4 and 17.2.1), a reliable 180 until
//! its PRACK (RFC 3262, 3). No sockets and no clock: bytes and the time come in, bytes go out. That time
//! only ever goes forward.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hasher as _};
use std::net::{IpAddr, SocketAddr};

use sentrypeer_storage::event::{SourceKey, Time};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::limits::{CALL_ANSWERS_BYTES_MAX, CALLS_PER_SHARD_MAX, CALLS_PER_SOURCE_MAX};

/// RFC 3261, table 4: the first interval of a repetition, its longest, and how long it goes on.
const T1_NS: u64 = 500_000_000;
const T2_NS: u64 = 4_000_000_000;
const GIVE_UP_NS: u64 = 64 * T1_NS;

/// Which call a message is about: who sent it, Call-ID and From tag, as a keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey(u128);

/// A call that is to ring.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// Where its answers go.
    pub to: SocketAddr,
    /// Which of our addresses they come from.
    pub ours: SocketAddr,
    /// How long it rings.
    pub rings_ns: u64,
    /// The 180.
    pub ringing: Vec<u8>,
    /// Whether that is repeated until a PRACK comes.
    pub reliable: bool,
    /// The 200.
    pub answer: Vec<u8>,
    /// The 487 for a caller who hangs up before.
    pub terminated: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ringing,
    Answered,
    Terminated,
}

#[derive(Debug)]
struct Call {
    key: CallKey,
    call: NewCall,
    stage: Stage,
    /// When the stage began.
    since: Time,
    /// When something is due, and how long after that again.
    next: Time,
    interval_ns: u64,
    /// When the ringing ends.
    answers_at: Time,
    /// Whether the 180 has its PRACK.
    acknowledged: bool,
}

/// Something that is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// From which of our addresses.
    pub ours: SocketAddr,
    /// What.
    pub bytes: &'a [u8],
}

/// The table.
#[derive(Debug)]
pub struct Calls {
    seed: (u64, u64),
    slots: Vec<Option<Call>>,
    free: Vec<usize>,
    index: HashMap<CallKey, usize, BuildHasherDefault<FirstBytes>>,
    per_source: HashMap<SourceKey, usize>,
    /// Times with the slot that they are for. One that is not its call's any more is passed over.
    timers: BinaryHeap<Reverse<(Time, usize)>>,
}

impl Calls {
    /// An empty table. `seed` is random, so that nobody can choose what collides.
    #[must_use]
    pub fn new(seed: (u64, u64)) -> Self {
        Self {
            seed,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            per_source: HashMap::new(),
            timers: BinaryHeap::new(),
        }
    }

    /// The call that a message is about.
    #[must_use]
    pub fn key(&self, source: IpAddr, call_id: &[u8], from_tag: &[u8]) -> CallKey {
        let mut hasher = SipHasher24::new_with_keys(self.seed.0, self.seed.1);
        match source.to_canonical() {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.write_usize(call_id.len());
        hasher.write(call_id);
        hasher.write(from_tag);
        CallKey(hasher.finish128().as_u128())
    }

    /// How many calls there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Takes a call in; false if there is no room, or too much to remember. Its 180 is the caller's
    /// to send.
    pub fn ring(&mut self, key: CallKey, call: NewCall, now: Time) -> bool {
        let bytes = call.ringing.len() + call.answer.len() + call.terminated.len();
        let source = SourceKey::of(call.to.ip());
        let held = self.per_source.get(&source).copied().unwrap_or(0);
        let full = self.index.len() >= CALLS_PER_SHARD_MAX || held >= CALLS_PER_SOURCE_MAX;
        if full || bytes > CALL_ANSWERS_BYTES_MAX || self.index.contains_key(&key) {
            return false;
        }
        let answers_at = Time(now.0.saturating_add(call.rings_ns));
        let mut entry = Call {
            key,
            call,
            stage: Stage::Ringing,
            since: now,
            next: answers_at,
            interval_ns: T1_NS,
            answers_at,
            acknowledged: false,
        };
        if entry.call.reliable {
            entry.next = answers_at.min(Time(now.0 + T1_NS));
        }
        for bytes in [&mut entry.call.ringing, &mut entry.call.answer, &mut entry.call.terminated] {
            bytes.shrink_to_fit();
        }
        let slot = self.free.pop().unwrap_or(self.slots.len());
        self.timers.push(Reverse((entry.next, slot)));
        if slot == self.slots.len() {
            self.slots.push(Some(entry));
        } else {
            self.slots[slot] = Some(entry);
        }
        self.index.insert(key, slot);
        *self.per_source.entry(source).or_insert(0) += 1;
        true
    }

    /// What an INVITE that came again is answered with, if there is such a call.
    #[must_use]
    pub fn again(&self, key: CallKey) -> Option<&[u8]> {
        self.get(key).map(Call::bytes)
    }

    /// The caller hangs up before the answer: its 487 is sent with what is due next.
    pub fn cancel(&mut self, key: CallKey, now: Time) {
        let Some(&slot) = self.index.get(&key) else { return };
        if let Some(call) = &mut self.slots[slot]
            && call.stage == Stage::Ringing
        {
            call.begin(Stage::Terminated, now);
            call.next = now;
            self.timers.push(Reverse((now, slot)));
        }
    }

    /// A PRACK for the 180 came, perhaps not for the first time; says whether there is such a one.
    pub fn acknowledge_ringing(&mut self, key: CallKey) -> bool {
        let Some(&slot) = self.index.get(&key) else { return false };
        let Some(call) = &mut self.slots[slot] else { return false };
        let first = !std::mem::replace(&mut call.acknowledged, true);
        if call.call.reliable && first && call.stage == Stage::Ringing {
            call.next = call.answers_at;
            self.timers.push(Reverse((call.next, slot)));
        }
        call.call.reliable
    }

    /// The final answer has arrived, or the dialog is over: the call is forgotten.
    pub fn finish(&mut self, key: CallKey) {
        if let Some(&slot) = self.index.get(&key)
            && self.slots[slot].as_ref().is_some_and(|call| call.stage != Stage::Ringing)
        {
            self.forget(slot);
        }
    }

    /// Hands out what is due, at most `most` of it.
    pub fn due(&mut self, now: Time, most: usize, mut send: impl FnMut(Due<'_>)) {
        for _ in 0..most {
            match self.timers.peek() {
                Some(Reverse((at, _))) if *at <= now => {}
                _ => return,
            }
            let Some(Reverse((at, slot))) = self.timers.pop() else { return };
            let Some(call) = self.slots[slot].as_mut().filter(|call| call.next == at) else {
                continue;
            };
            if call.advance(now) {
                let NewCall { to, ours, .. } = call.call;
                send(Due { to, ours, bytes: call.bytes() });
                let next = call.next;
                self.timers.push(Reverse((next, slot)));
            } else {
                self.forget(slot);
            }
        }
    }

    fn get(&self, key: CallKey) -> Option<&Call> {
        self.slots[*self.index.get(&key)?].as_ref()
    }

    fn forget(&mut self, slot: usize) {
        let Some(call) = self.slots[slot].take() else { return };
        self.index.remove(&call.key);
        self.free.push(slot);
        let source = SourceKey::of(call.call.to.ip());
        if let Some(held) = self.per_source.get_mut(&source) {
            *held -= 1;
            if *held == 0 {
                self.per_source.remove(&source);
            }
        }
        // Times of calls that are gone must not pile up.
        if self.timers.len() > 2 * CALLS_PER_SHARD_MAX {
            let slots = &self.slots;
            self.timers.retain(|Reverse((at, slot))| {
                slots[*slot].as_ref().is_some_and(|call| call.next == *at)
            });
        }
    }
}

impl Call {
    /// What is (to be) sent in this stage.
    fn bytes(&self) -> &[u8] {
        match self.stage {
            Stage::Ringing => &self.call.ringing,
            Stage::Answered => &self.call.answer,
            Stage::Terminated => &self.call.terminated,
        }
    }

    fn begin(&mut self, stage: Stage, now: Time) {
        self.stage = stage;
        self.since = now;
        self.interval_ns = T1_NS;
    }

    /// Moves on to what is due at `now` and plans the next; false if it is time to give up.
    fn advance(&mut self, now: Time) -> bool {
        if self.stage == Stage::Ringing && now >= self.answers_at {
            self.begin(Stage::Answered, now);
        } else if self.stage != Stage::Ringing && now.0 >= self.since.0.saturating_add(GIVE_UP_NS) {
            return false;
        }
        self.next = Time(now.0.saturating_add(self.interval_ns));
        self.interval_ns = (2 * self.interval_ns).min(T2_NS);
        if self.stage == Stage::Ringing {
            self.next = self.next.min(self.answers_at);
        }
        true
    }
}

/// A key is a hash already: its first bytes are one too.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstBytes(u64);

impl std::hash::Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn call(rings_ms: u64, reliable: bool) -> NewCall {
        NewCall {
            to: "198.51.100.7:5060".parse().unwrap(),
            ours: "192.0.2.1:5060".parse().unwrap(),
            rings_ns: rings_ms * MS,
            ringing: b"180".to_vec(),
            reliable,
            answer: b"200".to_vec(),
            terminated: b"487".to_vec(),
        }
    }

    fn key(calls: &Calls, id: &str) -> CallKey {
        calls.key([198, 51, 100, 7].into(), id.as_bytes(), b"t")
    }

    /// What is sent up to `until` (ms), looking every 10 ms: when, and what.
    fn sent(calls: &mut Calls, from: u64, until: u64) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        for now in (from..=until).step_by(10) {
            calls.due(Time(now * MS), 100, |due| {
                all.push((now, String::from_utf8(due.bytes.to_vec()).unwrap()));
            });
        }
        all
    }

    fn texts(found: &[(u64, String)]) -> Vec<(u64, &str)> {
        found.iter().map(|(at, text)| (*at, text.as_str())).collect()
    }

    #[test]
    fn a_call_rings_is_answered_until_its_ack_and_forgotten() {
        let mut calls = Calls::new((1, 2));
        let id = key(&calls, "a");
        assert!(calls.ring(id, call(2_000, false), Time(0)));
        assert_eq!(calls.again(id), Some(&b"180"[..]));
        let found = sent(&mut calls, 0, 4_000);
        assert_eq!(texts(&found), [(2_000, "200"), (2_500, "200"), (3_500, "200")]);
        assert_eq!(calls.again(id), Some(&b"200"[..]));
        calls.finish(id);
        assert_eq!((calls.len(), calls.again(id)), (0, None));
        assert!(sent(&mut calls, 4_000, 60_000).is_empty());
    }

    #[test]
    fn an_answer_that_nobody_acknowledges_is_given_up_after_32_seconds() {
        let mut calls = Calls::new((1, 2));
        let id = key(&calls, "a");
        calls.ring(id, call(0, false), Time(0));
        let found = sent(&mut calls, 0, 100_000);
        let at: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
        assert_eq!(
            at,
            [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
        );
        assert!(calls.is_empty());
    }

    #[test]
    fn who_hangs_up_while_it_rings_is_told_so_and_later_is_not() {
        let mut calls = Calls::new((1, 2));
        let id = key(&calls, "a");
        calls.ring(id, call(2_000, false), Time(0));
        calls.cancel(id, Time(300 * MS));
        let found = sent(&mut calls, 300, 2_500);
        assert_eq!(texts(&found), [(300, "487"), (800, "487"), (1_800, "487")]);
        calls.finish(id);
        assert!(calls.is_empty());

        calls.ring(id, call(0, false), Time(0));
        assert_eq!(texts(&sent(&mut calls, 0, 0)), [(0, "200")]);
        calls.cancel(id, Time(10 * MS));
        assert_eq!(calls.again(id), Some(&b"200"[..]));
    }

    #[test]
    fn a_reliable_180_is_repeated_until_its_prack() {
        let mut calls = Calls::new((1, 2));
        let id = key(&calls, "a");
        calls.ring(id, call(5_000, true), Time(0));
        assert_eq!(texts(&sent(&mut calls, 0, 1_600)), [(500, "180"), (1_000, "180")]);
        // A PRACK that comes again is answered again, or its sender would give up the call.
        assert!(calls.acknowledge_ringing(id) && calls.acknowledge_ringing(id));
        assert_eq!(texts(&sent(&mut calls, 1_600, 5_000)), [(5_000, "200")]);
    }

    #[test]
    fn a_full_table_and_too_much_to_remember_are_refused() {
        let mut calls = Calls::new((1, 2));
        let from = |n: usize| {
            let n = u32::try_from(n / CALLS_PER_SOURCE_MAX).unwrap();
            NewCall { to: SocketAddr::from((n.to_be_bytes(), 5060)), ..call(1_000, false) }
        };
        for n in 0..CALLS_PER_SHARD_MAX {
            let id = key(&calls, &n.to_string());
            assert!(calls.ring(id, from(n), Time(0)));
            if n == CALLS_PER_SOURCE_MAX - 1 {
                assert!(!calls.ring(key(&calls, "one too many"), from(n), Time(0)));
            }
        }
        let one = key(&calls, "one more");
        assert!(!calls.ring(one, call(1_000, false), Time(0)));
        calls.cancel(key(&calls, "0"), Time(0));
        calls.finish(key(&calls, "0"));
        assert!(calls.ring(one, call(1_000, false), Time(0)));
        let mut calls = Calls::new((1, 2));
        let large = NewCall { answer: vec![b'x'; CALL_ANSWERS_BYTES_MAX], ..call(0, false) };
        assert!(!calls.ring(one, large, Time(0)) && calls.is_empty());
    }

    #[test]
    fn calls_that_are_given_up_leave_no_pile_of_times() {
        let mut calls = Calls::new((1, 2));
        for n in 0..5 * CALLS_PER_SHARD_MAX {
            let id = key(&calls, &n.to_string());
            assert!(calls.ring(id, call(60_000, false), Time(0)));
            calls.cancel(id, Time(0));
            calls.finish(id);
        }
        assert!(calls.is_empty() && calls.timers.len() <= 2 * CALLS_PER_SHARD_MAX + 2);
    }

    #[test]
    fn a_call_is_known_by_its_caller_call_id_and_tag() {
        let calls = Calls::new((1, 2));
        let of = |source: [u8; 4], id: &str, tag: &str| {
            calls.key(source.into(), id.as_bytes(), tag.as_bytes())
        };
        let one = of([192, 0, 2, 1], "ab", "c");
        assert_eq!(one, of([192, 0, 2, 1], "ab", "c"));
        for other in [of([192, 0, 2, 2], "ab", "c"), of([192, 0, 2, 1], "a", "bc")] {
            assert_ne!(one, other);
        }
    }
}
