//! `/api/v1/allow-list` over real sockets, with a book in memory.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, LazyLock, Mutex};

use arc_swap::ArcSwap;
use sentrypeer_http::access::{Access, Scope, Scopes, Settings};
use sentrypeer_http::allow::{Added, AllowBook, AllowError, Entry, Origin, Subject};
use sentrypeer_http::front::api::{Front, serve_with, serve_with_allow_list};
use sentrypeer_http::front::setup::{Bound, Setup};
use sentrypeer_http::limits::{ALLOW_REASON_BYTES_MAX, REQUEST_BODY_BYTES_MAX};
use sentrypeer_http::token_file;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::policy::{AllowList, Policy};
use serde_json::{Value, json};

use crate::client::{Client, Reply};
use crate::node::{NS_PER_S, Node, at, proven};
use crate::openapi::{document, fits};

const LIST: &str = "/api/v1/allow-list";

/// What a node keeps: entries, and the policy that they make.
#[derive(Debug)]
struct Book {
    entries: Mutex<Vec<Entry>>,
    policy: Arc<ArcSwap<Policy>>,
}

const ENTRIES_MAX: usize = 5;

impl Book {
    fn renew(&self, entries: &[Entry]) {
        let prefixes = entries.iter().filter_map(|entry| match entry.subject {
            Subject::Network(prefix) => Some(prefix),
            Subject::Number(_) => None,
        });
        let numbers = entries.iter().filter_map(|entry| match &entry.subject {
            Subject::Network(_) => None,
            Subject::Number(pattern) => Some(pattern.clone()),
        });
        let mut next = Policy::clone(&self.policy.load());
        next.allow = AllowList::new([], true).with_prefixes(prefixes).with_numbers(numbers);
        next.revision += 1;
        self.policy.store(Arc::new(next));
    }
}

impl AllowBook for Book {
    fn entries(&self, now: Time) -> Vec<Entry> {
        let entries = self.entries.lock().unwrap();
        entries.iter().filter(|e| e.expires.is_none_or(|end| end > now)).cloned().collect()
    }

    fn add(&self, entry: Entry) -> Result<Added, AllowError> {
        let mut entries = self.entries.lock().unwrap();
        let is_same = |e: &Entry| e.subject == entry.subject && e.origin == Origin::Added;
        let found = entries.iter().position(is_same);
        if let Some(place) = found {
            entries[place] = entry;
        } else if entries.len() < ENTRIES_MAX {
            entries.push(entry);
        } else {
            return Err(AllowError::Full);
        }
        self.renew(&entries);
        Ok(if found.is_some() { Added::Replaced } else { Added::New })
    }

    fn remove(&self, subject: &Subject) -> Result<(), AllowError> {
        let mut entries = self.entries.lock().unwrap();
        let place = entries.iter().position(|entry| entry.subject == *subject);
        let place = place.ok_or(AllowError::Unknown)?;
        if entries[place].origin != Origin::Added {
            return Err(AllowError::Configured);
        }
        entries.remove(place);
        self.renew(&entries);
        Ok(())
    }
}

struct Served {
    node: Node,
    front: Front,
    read: String,
    write: String,
    _folder: tempfile::TempDir,
}

fn served() -> Served {
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[proven("198.18.0.7", "1", now), proven("198.18.0.8", "2", now)]);
    let configured = Entry {
        subject: "10.0.0.0/8".parse().unwrap(),
        reason: String::new(),
        expires: None,
        origin: Origin::Configuration,
    };
    let (entries, policy) = (Mutex::new(vec![configured]), Arc::clone(&node.policy));
    let book = Arc::new(Book { entries, policy });
    let folder = tempfile::tempdir().unwrap();
    let tokens = token_file::path(&folder.path().join("s.redb"));
    let token = |name, scope| {
        let made = token_file::make(&tokens, name, Scopes::of([scope]), None, None).unwrap();
        format!("Authorization: Bearer {}\r\n", made.0.text())
    };
    let (read, write) = (token("reader", Scope::Read), token("carol", Scope::Write));
    let access = Arc::new(Access::new(Settings::default(), token_file::load(&tokens).unwrap()));
    let tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let bound = Bound { tcp, unix: Vec::new() };
    let setup = Setup { bound, access, ..Setup::default() };
    let front = serve_with_allow_list(setup, book, Arc::clone(&node.ctx)).unwrap();
    Served { node, front, read, write, _folder: folder }
}

const JSON: &str = "Content-Type: application/json\r\n";

impl Served {
    fn address(&self) -> SocketAddr {
        self.front.addresses()[0]
    }

    fn ask(&self, line: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let mut client = Client::connect(self.address());
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {length}\r\n") };
        client.send(
            format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}").as_bytes(),
        );
        client.reply_to(line.split(' ').next().unwrap()).unwrap()
    }

    fn add(&self, entry: &Value) -> (u16, Value) {
        let headers = format!("{}{JSON}", self.write);
        let reply = self.ask(&format!("POST {LIST}"), &headers, &entry.to_string());
        (reply.status, json_of(&reply))
    }

    fn remove(&self, entry: &str) -> u16 {
        let headers = format!("{}{JSON}", self.write);
        self.ask(&format!("DELETE {LIST}/{entry}"), &headers, "").status
    }

    fn list(&self, query: &str) -> Value {
        json_of(&self.ask(&format!("GET {LIST}{query}"), "", ""))
    }
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// The lines of the audit.
static AUDIT: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

struct Auditor;

impl log::Log for Auditor {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            AUDIT.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn audited(line: &str) -> bool {
    AUDIT.lock().unwrap().iter().any(|found| found == line)
}

#[test]
fn a_change_counts_at_once_in_every_document_and_is_audited() {
    if log::set_logger(&Auditor).is_ok() {
        log::set_max_level(log::LevelFilter::Info);
    }
    let served = served();
    let feed = || served.ask("GET /ip-addresses/ipset", "", "");
    let before = feed();
    let etag = before.header("etag").unwrap().to_owned();
    assert!(String::from_utf8(before.body).unwrap().contains("add sentrypeer-new 198.18.0.7 "));
    let (status, entry) =
        served.add(&json!({"entry": "198.18.0.7", "reason": "the branch office"}));
    let expected = json!({
        "entry": "198.18.0.7/32", "kind": "network", "reason": "the branch office", "origin": "added"
    });
    assert_eq!((status, &entry), (201, &expected));
    assert!(audited(
        "127.0.0.1 (token carol): added 198.18.0.7/32 on the allow-list: the branch office"
    ));
    // The node is quiet: nothing but the list has changed.
    let after = served.ask("GET /ip-addresses/ipset", &format!("If-None-Match: {etag}\r\n"), "");
    assert_eq!(after.status, 200);
    assert!(!String::from_utf8(after.body).unwrap().contains("198.18.0.7"));
    let check = json_of(&served.ask("GET /api/v1/check?ip=198.18.0.7", "", ""));
    assert_eq!(check["ip"]["allowed"], "the allow-list (198.18.0.7/32)");
    assert_eq!(served.remove("198.18.0.7%2F32"), 200);
    assert!(audited("127.0.0.1 (token carol): removed 198.18.0.7/32 from the allow-list"));
    assert!(String::from_utf8(feed().body).unwrap().contains("add sentrypeer-new 198.18.0.7 "));
}

#[test]
fn only_who_may_write_changes_it_and_no_page_of_another_site_and_all_may_read() {
    let served = served();
    let body = json!({"entry": "1.2.3.4", "reason": "x"}).to_string();
    let (read, write) = (&served.read, &served.write);
    let foreign = format!("{write}{JSON}Origin: http://evil.example\r\n");
    for (headers, status) in [
        (JSON.to_owned(), 401),
        (format!("{JSON}Authorization: Bearer sp_x\r\n"), 401),
        (format!("{JSON}{read}"), 403),
        (foreign, 403),
        (format!("{write}Content-Type: text/plain\r\n"), 415),
        (write.clone(), 415),
        (format!("{write}{JSON}Origin: http://localhost\r\n"), 201),
    ] {
        let reply = served.ask(&format!("POST {LIST}"), &headers, &body);
        assert_eq!(reply.status, status, "{headers}");
        let gone = served.ask(&format!("DELETE {LIST}/1.2.3.4"), &headers, "");
        assert_eq!(gone.status, if status == 201 { 200 } else { status }, "{headers}");
    }
    assert_eq!(served.list("")["total"], 1);
    assert_eq!(served.ask(&format!("GET {LIST}"), read, "").status, 200);
    let head = served.ask(&format!("HEAD {LIST}"), read, "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let put = served.ask(&format!("PUT {LIST}"), &format!("{write}{JSON}"), &body);
    assert_eq!((put.status, put.header("allow")), (405, Some("GET, HEAD, POST")));
    let body = served.ask(&format!("DELETE {LIST}/1.2.3.4"), &format!("{write}{JSON}"), "{}");
    assert_eq!(body.status, 413);
}

#[test]
fn what_is_no_entry_is_refused_and_changes_nothing() {
    let served = served();
    let long = "x".repeat(ALLOW_REASON_BYTES_MAX + 1);
    for bad in [
        json!({"entry": "alice", "reason": "x"}),
        json!({"entry": "1.2.3.4/33", "reason": "x"}),
        json!({"entry": "1.2.3.4"}),
        json!({"entry": "1.2.3.4", "reason": ""}),
        json!({"entry": "1.2.3.4", "reason": " "}),
        json!({"entry": "1.2.3.4", "reason": long}),
        json!({"entry": "1.2.3.4", "reason": "x\nroot: all is well"}),
        json!({"entry": "1.2.3.4", "reason": "x\u{2028}root: all is well"}),
        json!({"entry": "1.2.3.4", "reason": "x\u{202e}llew si lla"}),
        json!({"entry": "1.2.3.4", "reason": "x", "expires": "2001-01-01T00:00:00Z"}),
        json!({"entry": "1.2.3.4", "reason": "x", "expires": "soon"}),
        json!({"entry": "1.2.3.4", "reason": "x", "until": "2091-01-01T00:00:00Z"}),
        json!(["1.2.3.4"]),
        json!("1.2.3.4"),
    ] {
        let (status, problem) = served.add(&bad);
        assert_eq!(status, 400, "{bad}");
        assert!(problem["detail"].as_str().unwrap().len() > 20, "{problem}");
    }
    let (status, _) =
        served.add(&json!({"entry": "1.2.3.4", "reason": "x".repeat(REQUEST_BODY_BYTES_MAX)}));
    assert_eq!(status, 413);
    assert_eq!(served.list("")["total"], 1);
}

#[test]
fn an_entry_is_replaced_and_one_of_the_configuration_stays_and_there_is_a_bound() {
    let served = served();
    let document = document(&served.node);
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let end = "2091-01-01T00:00:00Z";
    let add =
        |reason: &str| served.add(&json!({"entry": "+44800*", "reason": reason, "expires": end}));
    let (status, entry) = add("a");
    assert_eq!((status, &entry["kind"]), (201, &json!("number")));
    assert_eq!(entry["expires"], "2091-01-01T00:00:00.000000000Z");
    fits(&document, &schema("Allowed"), &entry, "an entry");
    assert_eq!(add("b").0, 200);
    let check = served.node.get("/api/v1/check?number=0044800123456", at(60)).body;
    assert!(check.contains("\"allowed\": \"the allow-list\""), "{check}");
    for number in 0..ENTRIES_MAX - 2 {
        let entry = format!("192.0.2.{number}");
        assert_eq!(served.add(&json!({"entry": entry, "reason": "c"})).0, 201);
    }
    assert_eq!(served.add(&json!({"entry": "7000", "reason": "d"})).0, 409);
    assert_eq!(served.remove("10.0.0.0%2f8"), 409);
    for unknown in ["7000", "10.0.0.0", "alice", "%ff"] {
        assert_eq!(served.remove(unknown), 404, "{unknown}");
    }
    let (mut query, mut found) = ("?limit=2".to_owned(), Vec::new());
    loop {
        let page = served.list(&query);
        fits(&document, &schema("AllowList"), &page, "the list");
        assert_eq!(page["total"], ENTRIES_MAX);
        let entries = page["entries"].as_array().unwrap();
        found.extend(entries.iter().map(|entry| entry["entry"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&cursor={}", next.replace('/', "%2F"));
    }
    let all = ["+44800*", "10.0.0.0/8", "192.0.2.0/32", "192.0.2.1/32", "192.0.2.2/32"];
    assert_eq!(found, all);
}

#[test]
fn a_node_without_a_book_says_so() {
    let node = Node::with(&[]);
    let tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let setup = Setup { bound: Bound { tcp, unix: Vec::new() }, ..Setup::default() };
    let front = serve_with(setup, Arc::clone(&node.ctx)).unwrap();
    assert_eq!(Client::connect(front.addresses()[0]).get(LIST).status, 404);
}
