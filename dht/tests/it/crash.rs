//! kill -9 at every sync around a put, a restored backup and a clone: seen from outside there are never two
//! batches with one sequence, and keys and ledger are there.
//!
//! The node that is killed is a process: this test's own program, called again for [`child`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sentrypeer_dht::epoch::{Calendar, Epoch, Sequence, day_of};
use sentrypeer_dht::keys::{Identity, Place};
use sentrypeer_dht::limits::DAY_S;
use sentrypeer_dht::publisher::{Publisher, Stamp};
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::saved;
use sentrypeer_dht::state::{Files, Item, StateStore};
use sentrypeer_dht::trust::Trust;
use sentrypeer_dht::wire::batch::{Head, seal};
use sentrypeer_dht::{node, publisher};
use sentrypeer_storage::event::Verification;
use tempfile::TempDir;

use crate::node::{body, get, put};
use crate::service::{Peer, carrier, config_of, sees_since, start_with};

const PATIENCE: Duration = Duration::from_secs(120);
const EPOCH_S: u32 = 2;
const NETWORK: u32 = 8150;

const FOLDER: &str = "SENTRYPEER_TEST_CRASH_FOLDER";
const BOOTSTRAP: &str = "SENTRYPEER_TEST_CRASH_BOOTSTRAP";
const NEWS_FROM: &str = "SENTRYPEER_TEST_CRASH_NEWS_FROM";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn calendar() -> Calendar {
    Calendar::with_epoch_s(EPOCH_S)
}

/// Says before and after each save which it is, and goes on: the parent kills when it likes.
struct Telling {
    files: Files,
    saves: [AtomicUsize; 3],
}

impl StateStore for Telling {
    fn load(&self, item: Item) -> std::io::Result<Option<Vec<u8>>> {
        self.files.load(item)
    }

    fn save(&self, item: Item, bytes: &[u8]) -> std::io::Result<()> {
        let times = self.saves[item as usize].fetch_add(1, Ordering::Relaxed) + 1;
        println!("SAVING {item:?} {times}");
        self.files.save(item, bytes)?;
        println!("SAVED {item:?} {times}");
        Ok(())
    }

    fn stamp(&self) -> std::io::Result<Stamp> {
        self.files.stamp()
    }
}

#[test]
#[ignore = "the process that the tests below kill"]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let port = std::env::var(BOOTSTRAP).unwrap();
    let news_from = std::env::var(NEWS_FROM).unwrap().parse().unwrap();
    let bootstrap = vec![format!("127.0.0.1:{port}").parse().unwrap()];
    let config = config_of(&node::Config { network: NETWORK, bootstrap, port: 0 }, EPOCH_S);
    let files = Files::new(&Path::new(&folder).join("x.db"));
    let store = Telling { files, saves: Default::default() };
    let _service = start_with(config, Box::new(store), move || sees_since(news_from));
    loop {
        std::thread::park();
    }
}

/// A node in a process of its own.
struct Victim {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Victim {
    fn start(folder: &Path, bootstrap: u16, news_from: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .env(BOOTSTRAP, bootstrap.to_string())
            .env(NEWS_FROM, news_from.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    fn says(&mut self, wanted: &str) {
        let begin = Instant::now();
        let mut line = String::new();
        while !line.trim_end().ends_with(wanted) {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "ended before {wanted}");
            assert!(begin.elapsed() < PATIENCE, "{wanted} was not said");
        }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seed(folder: &Path) -> Option<[u8; 32]> {
    let seed = Files::new(&folder.join("x.db")).load(Item::Seed).unwrap()?;
    Some(seed.try_into().unwrap())
}

/// What lies in the DHT of this node, of all epochs since `first`, whoever put it: the ids of the batches
/// with each sequence.
fn published(
    reader: &node::Node,
    identity: &Identity,
    first: Epoch,
) -> BTreeMap<Sequence, BTreeSet<[u8; 32]>> {
    let mut found: BTreeMap<Sequence, BTreeSet<[u8; 32]>> = BTreeMap::new();
    let last = calendar().epoch(now_s());
    for epoch in (first.0..=last.0).map(Epoch) {
        let place = identity.day_key(calendar().day(epoch)).place(epoch);
        for value in get(reader, place, 0) {
            let signed = Head::decode(&value).unwrap().signed;
            found.entry(signed.header.sequence).or_default().insert(signed.id());
        }
    }
    found
}

fn twice(found: &BTreeMap<Sequence, BTreeSet<[u8; 32]>>) -> Vec<Sequence> {
    found.iter().filter(|(_, ids)| ids.len() > 1).map(|(sequence, _)| *sequence).collect()
}

/// What the state on the disk says is to be put again.
fn on_disk(folder: &Path) -> Vec<(Place, Vec<u8>)> {
    let files = Files::new(&folder.join("x.db"));
    let Some(bytes) = files.load(Item::Sequence).unwrap() else { return Vec::new() };
    let (stamp, now) = (files.stamp().unwrap(), now_s());
    let publisher = Publisher::load(&bytes, stamp, calendar().epoch(now)).unwrap();
    let again: Vec<publisher::Publication> = publisher.to_put_again(now, calendar());
    again.into_iter().flat_map(|publication| publication.values).collect()
}

/// A network with one partner that does not end, so that the ledger has something in it.
fn network(folder: &TempDir) -> (node::Node, Peer, u16) {
    let (carrier, config) = carrier(NETWORK);
    let port = carrier.port();
    let partner = Peer::start(folder, "partner", config_of(&config, EPOCH_S));
    partner.sees("144.21.55.38", Verification::Tls);
    (carrier, partner, port)
}

/// When a node is killed: this long after it has said so.
fn kills() -> Vec<(&'static str, Duration)> {
    let us = Duration::from_micros;
    let mut kills = Vec::new();
    for at in ["SAVING Ledger 1", "SAVED Ledger 1", "SAVING Sequence 1", "SAVED Sequence 1"] {
        kills.push((at, us(0)));
    }
    // In the middle of the save, and of the puts behind it.
    kills.extend([50, 150, 400, 1000, 3000].map(|late| ("SAVING Sequence 1", us(late))));
    kills.extend([300, 2000, 8000, 30_000, 120_000].map(|late| ("SAVED Sequence 1", us(late))));
    kills.extend([
        ("SAVED Ledger 2", us(0)),
        ("SAVING Sequence 2", us(0)),
        ("SAVED Sequence 2", us(0)),
    ]);
    kills
}

#[test]
fn a_node_that_is_killed_at_any_sync_says_nothing_twice_and_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let (carrier, partner, port) = network(&folder);
    let first = calendar().epoch(now_s());
    let known_seed = is_born(&folder, &state, port);
    let (mut knows_partner, mut promised) = (false, Vec::new());
    for (at, late) in kills() {
        let mut victim = Victim::start(&state, port, 0);
        victim.says(at);
        // Not waiting for anything: the moment is what is tried.
        std::thread::sleep(late);
        victim.kill();
        assert_eq!(seed(&state), Some(known_seed), "{at}: the keys are others");
        let knows = remembers(&state, &partner);
        assert!(knows || !knows_partner, "{at}: the ledger has forgotten");
        knows_partner |= knows;
        promised.extend(on_disk(&state));
    }
    assert!(knows_partner, "the ledger never had anything in it");
    // One more life, so that what the last one saved is put again.
    let mut victim = Victim::start(&state, port, 0);
    victim.says("SAVED Sequence 2");
    let identity = Identity::from_seed(&known_seed);
    promised.sort();
    promised.dedup();
    for (place, value) in &promised {
        await_value(&carrier, *place, value);
    }
    let found = published(&carrier, &identity, first);
    assert!(found.len() >= 10, "{} batches", found.len());
    assert_eq!(twice(&found), [], "two batches with one sequence");
    assert_eq!(partner.status().counts.proofs, 0);
}

/// Nodes that are killed while they become what they are: later they are that, or are born again. The
/// last one gets its key, and no more.
fn is_born(folder: &TempDir, state: &Path, port: u16) -> [u8; 32] {
    for (n, at) in ["SAVING Seed 1", "SAVED Seed 1"].into_iter().enumerate() {
        let unborn = folder.path().join(format!("unborn{n}"));
        std::fs::create_dir(&unborn).unwrap();
        let mut victim = Victim::start(&unborn, port, 0);
        victim.says(at);
        victim.kill();
        let before = seed(&unborn);
        assert!(before.is_some() || at.starts_with("SAVING"));
        let mut victim = Victim::start(&unborn, port, 0);
        victim.says("SAVED Ledger 1");
        assert!(before.is_none_or(|before| seed(&unborn) == Some(before)));
    }
    let mut victim = Victim::start(state, port, 0);
    victim.says("SAVED Seed 1");
    victim.kill();
    seed(state).unwrap()
}

fn remembers(state: &Path, partner: &Peer) -> bool {
    let Some(bytes) = Files::new(&state.join("x.db")).load(Item::Ledger).unwrap() else {
        return false;
    };
    let ledger = saved::decode(&bytes, Rules::default(), &mut Trust::default()).unwrap();
    ledger.get(partner.key()).is_some()
}

fn await_value(reader: &node::Node, place: Place, value: &[u8]) {
    let begin = Instant::now();
    while !get(reader, place, 0).iter().any(|found| found == value) {
        assert!(begin.elapsed() < PATIENCE, "what was saved was never put");
    }
}

/// A copy of the files, which are then others to the system.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_restored_backup_says_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let [state, backup, restored] =
        ["state", "backup", "restored"].map(|name| folder.path().join(name));
    std::fs::create_dir(&state).unwrap();
    let (carrier, _partner, port) = network(&folder);
    let first = calendar().epoch(now_s());
    let mut victim = Victim::start(&state, port, 0);
    victim.says("SAVED Sequence 2");
    copy(&state, &backup);
    victim.says("SAVED Sequence 5");
    victim.kill();
    copy(&backup, &restored);
    let before = seed(&state).unwrap();
    let mut victim = Victim::start(&restored, port, 0);
    // The first is the state with its new stamp.
    victim.says("SAVED Sequence 4");
    let identity = Identity::from_seed(&before);
    assert_eq!(seed(&restored), Some(before));
    let found = published(&carrier, &identity, first);
    assert!(found.len() >= 6, "{} batches", found.len());
    assert_eq!(twice(&found), [], "two batches with one sequence");
}

#[test]
fn a_clone_that_runs_beside_its_original_says_nothing_with_the_same_sequence() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..4).map(|n| folder.path().join(format!("state{n}"))).collect();
    std::fs::create_dir(&paths[0]).unwrap();
    let (carrier, _partner, port) = network(&folder);
    let first = calendar().epoch(now_s());
    let mut victim = Victim::start(&paths[0], port, 0);
    victim.says("SAVED Sequence 2");
    victim.kill();
    paths[1..].iter().for_each(|copied| copy(&paths[0], copied));
    // All have waited long enough, and begin to have something to tell in the same epoch.
    let news_from = calendar().start_s(calendar().epoch(now_s()).plus(6));
    let mut victims: Vec<Victim> =
        paths.iter().map(|path| Victim::start(path, port, news_from)).collect();
    for (victim, path) in victims.iter_mut().zip(&paths) {
        let times = if *path == paths[0] { 1 } else { 2 };
        victim.says(&format!("SAVED Sequence {times}"));
    }
    let identity = Identity::from_seed(&seed(&paths[0]).unwrap());
    let promised: Vec<_> = paths.iter().flat_map(|path| on_disk(path)).collect();
    for (place, value) in &promised {
        await_value(&carrier, *place, value);
    }
    let found = published(&carrier, &identity, first);
    assert_eq!(twice(&found), [], "two batches with one sequence");
    let by_epoch = found.keys().fold(BTreeMap::<Epoch, u32>::new(), |mut by_epoch, sequence| {
        *by_epoch.entry(sequence.epoch()).or_default() += 1;
        by_epoch
    });
    let both = by_epoch.values().filter(|batches| **batches > 2).count();
    assert!(both > 0, "they never published in one epoch: {by_epoch:?}");
}

#[test]
fn two_batches_with_one_sequence_would_be_found() {
    let (carrier, config) = carrier(NETWORK + 1);
    let reader = node::Node::start(&config).unwrap();
    let identity = Identity::from_seed(&[1; 32]);
    let epoch = calendar().epoch(now_s());
    assert!(
        u64::from(EPOCH_S) < DAY_S && calendar().day(epoch) == day_of(calendar().start_s(epoch))
    );
    let key = identity.day_key(calendar().day(epoch));
    for records in [1, 2] {
        let sequence = Sequence::new(epoch, 0);
        let sealed = seal(&identity, &key, sequence, [0; 32], &body(records));
        put(&carrier, key.place(epoch), &sealed.head, node::Kept::UntilCancelled);
    }
    get(&reader, key.place(epoch), 2);
    assert_eq!(twice(&published(&reader, &identity, epoch)), [Sequence::new(epoch, 0)]);
}
