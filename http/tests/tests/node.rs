//! A store with events in it, and the context around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sentrypeer_http::{Context, Lane, Request, Response, handle};
use sentrypeer_storage::event::{
    Anomalies, Collected, EventRef, NumberKind, Seq, Time, Transport, Verification,
};
use sentrypeer_storage::intake::{self, ShardIntake};
use sentrypeer_storage::policy::{AllowList, Policy};
use sentrypeer_storage::{Options, Phase, Store, WriterThread, start};
use uuid::Uuid;

pub const VERSION: &str = "9.8.7";
pub const NS_PER_S: u64 = 1_000_000_000;
/// 2026-11-23 23:52:36.740127093 UTC.
pub const START: Time = Time(1_795_477_956_740_127_093);

/// `START` and some seconds.
pub fn at(seconds: u64) -> Time {
    Time(START.0 + seconds * NS_PER_S)
}

pub struct Node {
    pub ctx: Arc<Context>,
    pub policy: Arc<ArcSwap<Policy>>,
    pub intakes: Vec<ShardIntake>,
    thread: Option<WriterThread>,
    pushed: u64,
    _folder: tempfile::TempDir,
}

/// An INVITE over UDP from `source`.
pub fn event<'a>(source: &str, number: &'a str, time: Time) -> EventRef<'a> {
    EventRef {
        time,
        source: (source.parse::<std::net::IpAddr>().unwrap(), 5060).into(),
        destination: "192.0.2.1:5060".parse().unwrap(),
        transport: Transport::Udp,
        verification: Verification::Unverified,
        collected: Collected::Responsive,
        number_kind: NumberKind::Called,
        anomalies: Anomalies::default(),
        method: b"INVITE",
        number: number.as_bytes(),
        user_agent: b"friendly-scanner",
        message: b"INVITE sip:100@192.0.2.1 SIP/2.0\r\n\r\n",
    }
}

/// The same over TCP, so that the source has proven its address.
pub fn proven<'a>(source: &str, number: &'a str, time: Time) -> EventRef<'a> {
    EventRef {
        transport: Transport::Tcp,
        verification: Verification::Connected,
        ..event(source, number, time)
    }
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Node {
    /// A node that has counted `events`.
    pub fn with(events: &[EventRef<'_>]) -> Self {
        let mut node = Self::opened(|folder| folder.join("test.redb"));
        wait_until("there is a snapshot", || node.ctx.store.snapshot().is_some());
        node.push(events.iter().copied());
        node
    }

    /// A node whose database cannot be opened: it never has a snapshot.
    pub fn without_snapshot() -> Self {
        Self::opened(|folder| {
            let path = folder.join("test.redb");
            std::fs::write(&path, "no database, and never will be one").unwrap();
            path
        })
    }

    fn opened(path: impl FnOnce(&std::path::Path) -> std::path::PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Nothing may expire by the machine's clock: the tests have their own time.
        let retention_ns = 100 * 365 * 86_400 * NS_PER_S;
        let mut options = Options::new(path(folder.path()), Uuid::from_u128(7));
        options.retention_ns = retention_ns;
        let (intakes, writer) = intake::channel(1);
        let (store, thread) = start(options, writer);
        let policy = Policy { allow: AllowList::new([], true), revision: 1, ..Policy::default() };
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        let ctx = Arc::new(context(store, Arc::clone(&policy)));
        Self { ctx, policy, intakes, thread: Some(thread), pushed: 0, _folder: folder }
    }

    /// Stores events and waits until they are published.
    pub fn push<'a>(&mut self, events: impl Iterator<Item = EventRef<'a>>) {
        let mut arena = None;
        for event in events {
            self.pushed += 1;
            loop {
                let current = arena.get_or_insert_with(|| take(&mut self.intakes[0]));
                if current.push(&event).is_ok() {
                    break;
                }
                arena.take().into_iter().for_each(|full| {
                    assert_eq!(self.intakes[0].hand_over(full), 0);
                });
            }
        }
        arena.into_iter().for_each(|rest| {
            assert_eq!(self.intakes[0].hand_over(rest), 0);
        });
        let through = Seq(self.pushed);
        wait_until("the events are published", || {
            self.ctx.store.snapshot().is_some_and(|snapshot| snapshot.through >= through)
        });
    }

    /// Ends the writer, as the node's end does.
    pub fn end_writer(&mut self) {
        self.intakes.clear();
        wait_until("the writer has ended", || self.ctx.store.phase() == Phase::Stopped);
    }

    /// Changes the policy, as a reload does.
    pub fn set_policy(&self, change: impl FnOnce(&mut Policy)) {
        let mut next = Policy::clone(&self.policy.load());
        change(&mut next);
        next.revision += 1;
        self.policy.store(Arc::new(next));
    }

    /// What the API answers to `GET` at `now`.
    pub fn get(&self, target: &str, now: Time) -> Answer {
        self.ask(Request { now, ..request(target) })
    }

    pub fn ask(&self, request: Request<'_>) -> Answer {
        Answer::of(handle(&self.ctx, &request))
    }
}

fn take(intake: &mut ShardIntake) -> sentrypeer_storage::arena::Arena {
    let mut taken = None;
    wait_until("there is an arena", || {
        taken = intake.take();
        taken.is_some()
    });
    taken.unwrap()
}

impl Drop for Node {
    fn drop(&mut self) {
        self.intakes.clear();
        // A database that could not be opened is what some tests are about.
        let _ = self.thread.take().map(WriterThread::join);
    }
}

fn context(store: Store, policy: Arc<ArcSwap<Policy>>) -> Context {
    Context {
        store,
        policy: Box::new(move || policy.load_full()),
        version: VERSION,
        metrics: Box::new(|out| out.push_str("# engine\n")),
        status: Box::new(status),
        any_origin: true,
        counters: Default::default(),
    }
}

/// What the program above says of itself, of a node that has just begun.
pub fn status() -> serde_json::Value {
    serde_json::json!({
        "version": VERSION,
        "node_id": Uuid::from_u128(7).to_string(),
        "database": "sentrypeer.db",
        "phase": "opening",
        "driver": "poll",
        "shards": 1,
        "mode": "responsive",
        "listening": ["UDP 0.0.0.0:5060"],
        "events": null,
        "last_event": null,
        "sources": null,
        "numbers": null,
        "datagrams_received": 0,
        "events_shed": 0,
        "kernel_drops": 0,
        "outputs": null,
        "peers": null,
    })
}

/// A `GET` of a path with or without a query.
pub fn request(target: &str) -> Request<'_> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: "GET",
        path,
        query,
        content_type: None,
        accept: None,
        accept_encoding: None,
        if_none_match: None,
        now: at(60),
        lane: Lane::Api,
    }
}

/// A response with its body in one piece.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn of(response: Response) -> Self {
        let headers = response.headers().map(|(n, v)| (n.to_owned(), v.into_owned())).collect();
        let status = response.status;
        let body = String::from_utf8(response.body.into_bytes()).unwrap();
        Self { status, headers, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Status and body, to compare with what is expected.
    pub fn pair(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}
