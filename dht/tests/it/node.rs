//! Real OpenDHT on loopback.

use std::time::{Duration, Instant};

use sentrypeer_dht::epoch::{Day, Epoch, Sequence};
use sentrypeer_dht::keys::{Identity, Place};
use sentrypeer_dht::legacy::{self, USER_TYPE};
use sentrypeer_dht::limits::{CHUNK_BYTES_MAX, KEY_VALUES_MAX};
use sentrypeer_dht::node::{Config, Event, Kept, Node, Operation, StartError};
use sentrypeer_dht::record::KEY_HASH;
use sentrypeer_dht::wire::batch::{Head, seal};
use sentrypeer_dht::wire::body::Body;
use sentrypeer_dht::wire::source::{SeenRecord, SourceRecord};
use sentrypeer_storage::event::{SourceKey, Verification};
use sentrypeer_storage::policy::Policy;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

/// So many nodes that know each other, in a network of their own.
fn network(id: u32, count: usize) -> Vec<Node> {
    let first = Node::start(&Config { network: id, ..Config::default() }).unwrap();
    let bootstrap = vec![format!("127.0.0.1:{}", first.port()).parse().unwrap()];
    let mut nodes = vec![first];
    for _ in 1..count {
        let bootstrap = bootstrap.clone();
        nodes.push(Node::start(&Config { network: id, bootstrap, port: 0 }).unwrap());
    }
    nodes
}

/// Waits for the end of an operation: its values, and what the end told. Other events are dropped.
fn finish(node: &Node, operation: Operation) -> (Vec<Vec<u8>>, bool, u64) {
    let deadline = Instant::now() + PATIENCE;
    let mut values = Vec::new();
    while Instant::now() < deadline {
        match node.event(Duration::from_millis(200)) {
            Some(Event::Value { operation: of, bytes, .. }) if of == operation => {
                values.push(bytes);
            }
            Some(Event::Done { operation: of, is_ok, id }) if of == operation => {
                return (values, is_ok, id);
            }
            _ => {}
        }
    }
    panic!("the operation did not end");
}

/// Puts until a node has taken it: at first nobody is known.
pub fn put(node: &Node, place: Place, value: &[u8], kept: Kept) -> u64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let operation = node.put(place, value, Some(USER_TYPE), kept).unwrap();
        let (_, is_ok, id) = finish(node, operation);
        if is_ok {
            return id;
        }
        assert!(Instant::now() < deadline, "nobody took the value");
    }
}

/// Gets until so many values are there.
pub fn get(node: &Node, place: Place, count: usize) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (mut values, _, _) = finish(node, node.get(place).unwrap());
        values.sort();
        values.dedup();
        if values.len() >= count {
            return values;
        }
        assert!(Instant::now() < deadline, "{} of {count} values", values.len());
    }
}

pub fn body(records: u32) -> Body {
    let record = |n: u32| SourceRecord {
        source: SourceKey::of(std::net::Ipv4Addr::from(0x2000_0000 + n * 7919).into()),
        seen: SeenRecord {
            minute: 28_800_000 + n % 50,
            count_log2: 2,
            verification: Verification::Tls,
        },
        methods: n as u16,
    };
    Body::sources((0..records).map(record).collect())
}

#[test]
fn batches_of_one_node_are_read_by_another() {
    let nodes = network(8001, 3);
    let identity = Identity::from_seed(&[1; 32]);
    let (day, epoch) = (Day(20_000), Epoch(20_000 * 144));
    let key = identity.day_key(day);
    for (n, records) in [(0, 20), (1, 2000)] {
        let sealed = seal(&identity, &key, Sequence::new(epoch, n), [0; 32], &body(records));
        put(&nodes[1], key.place(epoch), &sealed.head, Kept::UntilCancelled);
        let head = Head::decode(&sealed.head).unwrap();
        for (place, chunk) in head.chunk_places().into_iter().zip(&sealed.chunks) {
            put(&nodes[1], place, chunk, Kept::UntilCancelled);
        }
    }
    let heads = get(&nodes[2], key.place(epoch), 2);
    let mut records = Vec::new();
    for head in heads.iter().map(|bytes| Head::decode(bytes).unwrap()) {
        let chunks =
            head.chunk_places().into_iter().map(|place| get(&nodes[2], place, 1).remove(0));
        let chunks: Vec<Vec<u8>> = chunks.collect();
        records.push(head.open(&key, &chunks).unwrap());
    }
    records.sort_by_key(Body::len);
    assert_eq!(records, [body(20), body(2000)]);
}

#[test]
fn a_value_as_4_x_publishes_it_is_heard_and_read() {
    let mut nodes = network(8002, 3);
    let listening = nodes[2].listen(Place(KEY_HASH)).unwrap();
    let value = serde_json::json!({
        "app_name": "sentrypeer", "app_version": "v4.0.6",
        "event_timestamp": "2026-11-23 23:52:36.740127093",
        "event_uuid": Uuid::new_v4().to_string(),
        "created_by_node_id": Uuid::new_v4().to_string(),
        "collected_method": "responsive", "transport_type": "UDP",
        "source_ip": "144.21.55.36", "destination_ip": "198.51.100.2",
        "called_number": "+442071234567", "sip_method": "INVITE",
        "sip_user_agent": "friendly-scanner", "sip_message": "INVITE sip:100@198.51.100.2",
    });
    let hostile: [&[u8]; 6] = [b"", b"{", b"[]", b"null", &[0xff; 600], &[b'x'; 20_000]];
    for junk in hostile.into_iter().filter(|junk| !junk.is_empty()) {
        put(&nodes[1], Place(KEY_HASH), junk, Kept::UntilCancelled);
    }
    put(&nodes[1], Place(KEY_HASH), value.to_string().as_bytes(), Kept::UntilCancelled);
    let mut reader = legacy::Reader::new(Uuid::new_v4());
    let (deadline, mut refused) = (Instant::now() + PATIENCE, 0);
    loop {
        assert!(Instant::now() < deadline, "not heard; {refused} refused");
        let event = nodes[2].event(Duration::from_millis(200));
        let Some(Event::Value { operation, bytes, is_expired: false, .. }) = event else {
            continue;
        };
        assert_eq!(operation, listening);
        match reader.read(&bytes, &Policy::default()) {
            Ok(record) => break assert_eq!(record.number, "+442071234567"),
            Err(_) => refused += 1,
        }
    }
}

#[test]
fn a_key_that_somebody_drowns_brings_no_more_than_its_bound() {
    let nodes = network(8003, 3);
    let place = Place([7; 20]);
    for n in 0..24_u8 {
        put(&nodes[1], place, &[n; CHUNK_BYTES_MAX], Kept::UntilCancelled);
    }
    let deadline = Instant::now() + PATIENCE;
    while nodes[2].dropped().values == 0 {
        let (values, _, _) = finish(&nodes[2], nodes[2].get(place).unwrap());
        let bytes: usize = values.iter().map(Vec::len).sum();
        assert!(values.len() <= KEY_VALUES_MAX && bytes <= 64 * 1024, "{bytes} bytes");
        assert!(Instant::now() < deadline, "the bound was never reached");
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let first = Node::start(&Config { network: 8004, ..Config::default() }).unwrap();
    let port = first.port();
    let second = Node::start(&Config { network: 8004, port, ..Config::default() });
    assert_eq!(second.unwrap_err(), StartError::PortTaken { port });
}

#[test]
fn a_node_ends_in_time_and_its_port_is_free_again() {
    let mut node = Node::start(&Config { network: 8005, ..Config::default() }).unwrap();
    let port = node.port();
    assert!(node.is_running() && node.receive_buffer().is_some_and(|size| size > 100_000));
    node.listen(Place([1; 20])).unwrap();
    assert!(node.put(Place([1; 20]), b"x", None, Kept::UntilCancelled).is_some());
    assert!(node.shut_down(Duration::from_secs(30)), "it did not end");
    assert!(!node.is_running() && node.get(Place([1; 20])).is_none());
    let again = Node::start(&Config { network: 8005, port, ..Config::default() }).unwrap();
    assert_eq!(again.port(), port);
}

#[test]
fn a_value_that_opendht_would_lose_is_not_put() {
    let node = Node::start(&Config { network: 8006, ..Config::default() }).unwrap();
    assert!(node.put(Place([1; 20]), &[0; 65_536], None, Kept::Once).is_none());
}
