//! The loop of the service's thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::Policy;

use super::agreed::Agreed;
use super::retry::Retry;
use super::{Config, Inputs, now_s, random};
use crate::epoch::Epoch;
use crate::keys::Place;
use crate::legacy::USER_TYPE;
use crate::limits::{
    AGREED_PAUSE, GET_TIMEOUT_S, GETS_AT_ONCE_MAX, GETS_PER_S_MAX, LONELY_AFTER, OWN_EVENTS_MAX,
    PUT_TIMEOUT_S, PUTS_PER_S_MAX, SHUTDOWN_PATIENCE,
};
use crate::node::{Event, Kept, Node, Operation};
use crate::saved;
use crate::session::{Action, Session, Tag, View};
use crate::state::{Item, StateStore};
use crate::status::{self, Status};
use crate::wire::NodeKey;

/// How much was begun in this second.
struct Second {
    since: Instant,
    gets: u32,
    puts: u32,
}

impl Second {
    fn new() -> Self {
        Self { since: Instant::now(), gets: 0, puts: 0 }
    }

    fn turn(&mut self) -> bool {
        let is_over = self.since.elapsed() >= Duration::from_secs(1);
        if is_over {
            *self = Self::new();
        }
        is_over
    }
}

/// An operation that is under way.
struct InFlight {
    tag: Tag,
    value: Option<Arc<[u8]>>,
    deadline: Instant,
}

/// Where the agent's results go, and what it is told meanwhile.
pub(super) struct Outlets {
    pub(super) status: Arc<ArcSwap<Status>>,
    pub(super) pardoned: Receiver<NodeKey>,
}

/// The thread's whole state.
pub(super) struct Agent {
    config: Config,
    inputs: Inputs,
    store: Box<dyn StateStore>,
    outlets: Outlets,
    session: Session,
    node: Option<Node>,
    in_flight: HashMap<Operation, InFlight>,
    /// An action that there was no room for yet.
    waiting: Option<Action>,
    gets: usize,
    second: Second,
    retry: Retry,
    agreed: Agreed,
    output_dropped: u64,
    alone_since: Instant,
    is_lonely: bool,
}

/// How long one wait for an event lasts: also how late the clock is looked at.
const WAIT: Duration = Duration::from_millis(200);

/// Events that are handled before the clock is looked at again.
const EVENTS_AT_ONCE: usize = 256;

impl Agent {
    pub(super) fn new(
        config: Config,
        inputs: Inputs,
        store: Box<dyn StateStore>,
        outlets: Outlets,
        session: Session,
        node: Node,
    ) -> Self {
        let epoch = Duration::from_secs(u64::from(config.settings.calendar.epoch_s()));
        Self {
            agreed: Agreed::new(epoch.min(AGREED_PAUSE)),
            config,
            inputs,
            store,
            outlets,
            session,
            node: Some(node),
            in_flight: HashMap::new(),
            waiting: None,
            gets: 0,
            second: Second::new(),
            retry: Retry::new(Instant::now()),
            output_dropped: 0,
            alone_since: Instant::now(),
            is_lonely: false,
        }
    }

    pub(super) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.keep_running();
            let policy = (self.inputs.policy)();
            self.tick(&policy);
            self.act();
            self.hear(&policy);
            if self.second.turn() {
                self.every_second(&policy);
            }
            while let Some(data) = self.session.next_output() {
                let sent = self.inputs.heard.as_ref().map(|heard| heard.try_send(data));
                self.output_dropped += u64::from(sent.is_some_and(|sent| sent.is_err()));
            }
        }
        let ledger = saved::encode(&self.session.book.ledger, &self.session.book.trust);
        self.save_ledger(&ledger);
        if let Some(mut node) = self.node.take()
            && !node.shut_down(SHUTDOWN_PATIENCE)
        {
            log::warn!("peers: OpenDHT did not end in time");
        }
    }

    fn tick(&mut self, policy: &Policy) {
        let snapshot = (self.inputs.snapshot)();
        let view = View { now_s: now_s(), snapshot: snapshot.as_deref(), policy };
        // Without random numbers there is no grant that only its recipient can open.
        let mut is_random = true;
        let mut next = || {
            random().unwrap_or_else(|_| {
                is_random = false;
                [0; 32]
            })
        };
        self.session.tick(view, &mut next);
        if !is_random {
            log::error!("peers: the system gives no random numbers");
        }
    }

    /// Starts OpenDHT again if it has ended.
    fn keep_running(&mut self) {
        if self.node.as_ref().is_some_and(Node::is_running) {
            return;
        }
        if let Some(mut node) = self.node.take() {
            node.shut_down(SHUTDOWN_PATIENCE);
            let pause = self.retry.failed(Instant::now(), true);
            log::warn!("peers: OpenDHT has ended; it is started again in {} s", pause.as_secs());
            self.in_flight.clear();
            self.gets = 0;
        }
        if Instant::now() < self.retry.at {
            std::thread::sleep(WAIT);
            return;
        }
        self.retry.times += 1;
        match Node::start(&self.config.node) {
            Ok(node) => {
                self.node = Some(node);
                self.retry.started = Instant::now();
                self.waiting = None;
                self.session.restarted(now_s());
            }
            Err(error) => {
                let pause = self.retry.failed(Instant::now(), false);
                log::warn!("peers: {error}; next try in {} s", pause.as_secs());
            }
        }
    }

    /// Does what the session wants, as far as there is room.
    fn act(&mut self) {
        while let Some(action) = self.waiting.take().or_else(|| self.session.next_action()) {
            if let Some(action) = self.perform(action) {
                self.waiting = Some(action);
                break;
            }
        }
        while self.may_get() {
            let Some(Action::Get(tag, place)) = self.session.next_get() else { break };
            self.get(tag, place);
        }
    }

    fn may_get(&self) -> bool {
        self.gets < GETS_AT_ONCE_MAX && self.second.gets < GETS_PER_S_MAX && self.node.is_some()
    }

    /// Performs an action, or gives it back if there is no room for it now.
    fn perform(&mut self, action: Action) -> Option<Action> {
        match action {
            Action::Get(tag, place) if self.may_get() => self.get(tag, place),
            Action::Put(tag, place, ref value) => {
                let node = self.node.as_ref().filter(|_| self.second.puts < PUTS_PER_S_MAX);
                let Some(node) = node else { return Some(action) };
                let is_legacy = tag == Tag::LegacyPut;
                let kept = if is_legacy { Kept::Once } else { Kept::UntilCancelled };
                let operation = node.put(place, value, is_legacy.then_some(USER_TYPE), kept);
                let Some(operation) = operation else { return Some(action) };
                self.second.puts += 1;
                let deadline = Instant::now() + Duration::from_secs(PUT_TIMEOUT_S);
                let value = Some(value.clone());
                self.in_flight.insert(operation, InFlight { tag, value, deadline });
            }
            Action::Cancel(place, id) => {
                if let Some(node) = &self.node {
                    node.cancel_put(place, id);
                }
            }
            Action::Listen(tag, place) => {
                let node = self.node.as_mut();
                let Some(operation) = node.and_then(|node| node.listen(place)) else {
                    return Some(action);
                };
                // A listener has no end.
                let deadline = Instant::now() + Duration::from_secs(u64::from(u32::MAX));
                self.in_flight.insert(operation, InFlight { tag, value: None, deadline });
            }
            Action::SaveSequence(bytes) => {
                let saved = self.store.save(Item::Sequence, &bytes);
                if let Err(error) = &saved {
                    log::error!(
                        "peers: the sequence cannot be saved ({error}); nothing is published"
                    );
                }
                self.session.sequence_saved(saved.is_ok(), now_s());
            }
            Action::SaveLedger(bytes) => self.save_ledger(&bytes),
            Action::Get(..) => return Some(action),
        }
        None
    }

    fn save_ledger(&self, bytes: &[u8]) {
        if let Err(error) = self.store.save(Item::Ledger, bytes) {
            log::warn!("peers: the ledger cannot be saved ({error})");
        }
    }

    fn get(&mut self, tag: Tag, place: Place) {
        let Some(operation) = self.node.as_ref().and_then(|node| node.get(place)) else {
            return self.session.got(tag);
        };
        self.gets += 1;
        self.second.gets += 1;
        let deadline = Instant::now() + Duration::from_secs(GET_TIMEOUT_S);
        self.in_flight.insert(operation, InFlight { tag, value: None, deadline });
    }

    /// Handles what OpenDHT tells, waiting for the first of it.
    fn hear(&mut self, policy: &Policy) {
        let mut patience = if self.waiting.is_some() { Duration::from_millis(20) } else { WAIT };
        for _ in 0..EVENTS_AT_ONCE {
            let Some(event) = self.node.as_ref().and_then(|node| node.event(patience)) else {
                return;
            };
            patience = Duration::ZERO;
            self.handle(&event, policy);
        }
    }

    fn handle(&mut self, event: &Event, policy: &Policy) {
        match event {
            Event::Value { operation, bytes, id, is_expired } => {
                let Some(InFlight { tag, .. }) = self.in_flight.get(operation) else { return };
                match *tag {
                    Tag::Legacy => {
                        self.session.legacy_value(bytes, *id, *is_expired, policy, now_s());
                    }
                    tag => self.session.value(tag, bytes, policy, now_s()),
                }
            }
            Event::Done { operation, is_ok, id } => {
                if let Some(ended) = self.in_flight.remove(operation) {
                    self.ended(ended, *is_ok, *id);
                }
            }
        }
    }

    fn ended(&mut self, ended: InFlight, is_ok: bool, id: u64) {
        match ended.value {
            Some(value) => self.session.put_done(ended.tag, value, is_ok, id, now_s()),
            None => {
                self.gets = self.gets.saturating_sub(1);
                self.session.got(ended.tag);
            }
        }
    }

    fn every_second(&mut self, policy: &Policy) {
        let now = Instant::now();
        let late: Vec<Operation> = self
            .in_flight
            .iter()
            .filter(|(_, in_flight)| in_flight.deadline <= now)
            .map(|(operation, _)| *operation)
            .collect();
        for operation in late {
            if let Some(node) = &self.node {
                node.forget(operation);
            }
            if let Some(ended) = self.in_flight.remove(&operation) {
                self.ended(ended, false, 0);
            }
        }
        for event in (self.inputs.events)(OWN_EVENTS_MAX) {
            self.session.own_event(&event, &self.inputs.producer, policy, now_s());
        }
        for node in self.outlets.pardoned.try_iter() {
            self.session.book.trust.pardon(node);
        }
        let snapshot = (self.inputs.snapshot)();
        let before = snapshot.as_ref().map(|snapshot| &snapshot.peers);
        let book = &self.session.book;
        self.agreed.tell(book, before, Time::now(), &mut self.inputs.peers);
        self.look_around();
        self.outlets.status.store(Arc::new(self.report()));
    }

    /// Says so when nobody is found.
    fn look_around(&mut self) {
        if !self.session.book.ledger.is_empty() || !self.config.settings.share {
            (self.alone_since, self.is_lonely) = (Instant::now(), false);
        } else if self.alone_since.elapsed() >= LONELY_AFTER && !self.is_lonely {
            self.is_lonely = true;
            let port = self.node.as_ref().map_or(0, Node::port);
            log::warn!(
                "peers: bootstrapped but no peers for 5 min: let UDP port {port} through the firewall, \
                 and name a node that is in the network (-b host:port)"
            );
        }
    }

    fn report(&self) -> Status {
        let (now_s, session) = (now_s(), &self.session);
        let epoch: Epoch = self.config.settings.calendar.epoch(now_s);
        let dropped = self.node.as_ref().map(Node::dropped).unwrap_or_default();
        let mut counts = session.counts.clone();
        counts.output_dropped += self.output_dropped;
        Status {
            node: Some(session.identity().node()),
            port: self.node.as_ref().map_or(0, Node::port),
            receive_buffer: self.node.as_ref().and_then(Node::receive_buffer),
            shares: self.config.settings.share,
            epoch,
            sequence: session.publisher().last(),
            held: session.held.map(|held| held.to_string()),
            twin_seen: session.publisher().twin_seen,
            partners: session.reader().partners(epoch),
            is_lonely: self.is_lonely,
            peers: status::peers(session, epoch, now_s),
            peers_evicted: session.book.ledger.evicted,
            named: (session.book.sources.len(), session.book.numbers.len()),
            listed: (session.book.sources.listed(), session.book.numbers.listed()),
            turned_away: (session.book.sources.stats, session.book.numbers.stats),
            gets_given_up: session.reader().given_up,
            counts,
            dropped: (dropped.events, dropped.values),
            restarts: self.retry.times,
        }
    }
}
