//! The test vectors in `docs/peer-protocol.md` are what this crate writes and reads.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sentrypeer_dht::epoch::{Day, Epoch, Sequence};
use sentrypeer_dht::keys::{Identity, Network};
use sentrypeer_dht::wire::announcement::Announcement;
use sentrypeer_dht::wire::batch::{Head, Sealed, seal};
use sentrypeer_dht::wire::body::{Body, Withdrawals};
use sentrypeer_dht::wire::grant;
use sentrypeer_dht::wire::number::NumberRecord;
use sentrypeer_dht::wire::proof::Proof;
use sentrypeer_dht::wire::source::{SeenRecord, SourceRecord};
use sentrypeer_storage::event::{SourceKey, Verification};
use sentrypeer_storage::key::NumberKey;

const BEGIN: &str = "<!-- vectors -->\n```text\n";
const END: &str = "```\n<!-- end of vectors -->";

const DAY: Day = Day(20_781);
const EPOCH: Epoch = Epoch(20_781 * 144 + 3);

fn identity(which: u8) -> Identity {
    Identity::from_seed(&[which; 32])
}

fn source(address: &str, age: u32, count_log2: u8, methods: u16) -> SourceRecord {
    let verification = if count_log2 > 3 { Verification::Tls } else { Verification::ReturnPath };
    let seen = SeenRecord { minute: EPOCH.0 * 10 + 9 - age, count_log2, verification };
    SourceRecord { source: SourceKey::of(address.parse().unwrap()), seen, methods }
}

fn sources() -> Body {
    Body::sources(vec![
        source("144.21.55.36", 0, 1, 0x21),
        source("144.21.55.40", 7, 5, 0x21),
        source("2a00:1450:4001::7", 300, 0, 1),
    ])
}

fn numbers() -> Body {
    let seen = source("144.21.55.36", 2, 3, 0).seen;
    let number = |text: &str| NumberRecord { number: NumberKey::of(text.as_bytes()), seen };
    Body::numbers(vec![number("+46500729221"), number("900+46500729221"), number("+46500700000")])
}

fn withdrawals() -> Body {
    let sources = vec![SourceKey::of("144.21.55.36".parse().unwrap())];
    Body::withdrawals(Withdrawals { sources, numbers: vec![NumberKey::of(b"+46500729221")] })
}

fn batch(body: &Body, n: u16) -> Sealed {
    let identity = identity(1);
    seal(&identity, &identity.day_key(DAY), Sequence::new(EPOCH, n), [0; 32], body)
}

struct Vectors(String);

impl Vectors {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(self.0, "{name}, {} bytes", bytes.len());
        for line in hex.chunks(32) {
            let _ = writeln!(self.0, "  {}", line.concat());
        }
    }
}

fn vectors() -> String {
    let (one, two) = (identity(1), identity(2));
    let (public, pool) = (Network::default(), Network::pool(b"our pool"));
    let (node, seal_key) = (one.node(), one.seal_key());
    let mut out = Vectors(String::new());
    out.add("node key", &node.0);
    out.add("seal key", &seal_key);
    out.add("day key", &one.day_key(DAY).0);
    out.add("place of announcements, shard 5, page 1", &public.announcements(EPOCH, 5, 1).0);
    out.add("the same in the pool \"our pool\"", &pool.announcements(EPOCH, 5, 1).0);
    out.add("place of batches", &one.day_key(DAY).place(EPOCH).0);
    out.add("place of grants of shard 5 to it", &public.grants(node, DAY, 5).0);
    let next = Day(DAY.0 + 1);
    out.add(
        "place of its next day's grant to the node of seed 02…",
        &one.day_key(DAY).renewal(two.node(), next).0,
    );
    out.add("place of proofs against it", &public.proofs(node).0);
    for (name, body) in
        [("sources", sources()), ("numbers", numbers()), ("withdrawals", withdrawals())]
    {
        out.add(&format!("body of {name}"), &body.encode());
    }
    let sealed = batch(&sources(), 0);
    out.add("batch of those sources", &sealed.head);
    out.add("its id", &sealed.signed.id());
    let said = Announcement { node, epoch: EPOCH, batches: 1, records: 3, seal_key };
    out.add("announcement", &said.encode(&one, &public));
    out.add("announcement in the pool", &said.encode(&one, &pool));
    let grant = grant::seal(&one, two.node(), two.seal_key(), DAY, [3; 32]).unwrap();
    out.add("grant to the node of seed 02…, made key of 03…", &grant);
    let proof = Proof::of(&batch(&sources(), 0).signed, &batch(&numbers(), 0).signed).unwrap();
    out.add("proof", &proof.encode());
    out.0
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/peer-protocol.md")
}

#[test]
fn the_page_shows_the_vectors_that_this_crate_writes() {
    let text = std::fs::read_to_string(page()).unwrap();
    let begin = text.find(BEGIN).expect("the page has vectors") + BEGIN.len();
    let end = begin + text[begin..].find(END).expect("the vectors end");
    let vectors = vectors();
    if std::env::var_os("SENTRYPEER_WRITE_VECTORS").is_some() {
        let text = format!("{}{vectors}{}", &text[..begin], &text[end..]);
        std::fs::write(page(), text).unwrap();
        return;
    }
    assert!(
        text[begin..end] == vectors,
        "docs/peer-protocol.md has other vectors; if the format was changed on purpose, raise its \
         version, run this test with SENTRYPEER_WRITE_VECTORS=1, and look at what changed"
    );
}

#[test]
fn the_vectors_are_read_as_what_they_say() {
    let (one, two) = (identity(1), identity(2));
    for body in [sources(), numbers(), withdrawals()] {
        let head = Head::decode(&batch(&body, 0).head).unwrap();
        assert_eq!(head.open(&one.day_key(DAY), &[]), Ok(body));
    }
    let grant = grant::seal(&one, two.node(), two.seal_key(), DAY, [3; 32]).unwrap();
    assert_eq!(grant::open(&two, &grant).unwrap().day_key, one.day_key(DAY));
}
