//! A network of many nodes, simulated epoch by epoch with the crate's own ledger, grants, quorum and
//! encoding. Only cryptography and the DHT's routing are left out: a batch is handed over if the reader
//! has the day key, the value was there when it asked, and the get was not lost.
//!
//! What is in it: nodes that come and go, clocks that are wrong, gets that are lost; liars that all
//! name the same victims, some of them old keys; Sybils, three hundred keys made on one day; free
//! riders that publish nothing, and others that repeat what they read.
//!
//! A network that is too large for that is simulated in part: some light nodes whole, and of the others what
//! they publish. To whom such a one grants is what one of the whole light nodes decides.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use sentrypeer_dht::book::{Book, Now, PeerBatch, Subject};
use sentrypeer_dht::epoch::{Day, Epoch, Sequence, day_of};
use sentrypeer_dht::keys::shard;
use sentrypeer_dht::ledger::Peer;
use sentrypeer_dht::limits::{
    DAY_S, GRANT_AHEAD_S, PAGE_VALUES, PUT_KEPT_S, READ_AFTER_S, READ_AGAIN_S, READ_JITTER_S,
    SEAL_BYTES,
};
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::trust::Trust;
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_dht::wire::body::{Body, Records};
use sentrypeer_dht::wire::grant::GRANT_BYTES;
use sentrypeer_dht::wire::header::{HEADER_BYTES, SIGNATURE_BYTES};
use sentrypeer_dht::wire::source::{SeenRecord, SourceRecord};
use sentrypeer_storage::event::{SourceKey, Verification};
use sentrypeer_storage::policy::Policy;

const START: u64 = 20_783 * DAY_S;
const EPOCH_S: u64 = 600;
const EPOCHS_A_DAY: u32 = 144;
const ANNOUNCEMENT_BYTES: u64 = 141;
const ATTACKERS: u32 = 0x2000_0000;
const VICTIMS: u32 = 0x5000_0000;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub honest: usize,
    pub full_readers: usize,
    /// Of the other honest nodes those that are simulated whole.
    pub light: usize,
    /// Partners that the other honest nodes read at once.
    pub light_partners: usize,
    pub liars: usize,
    pub sybils: usize,
    pub silent_riders: usize,
    pub echo_riders: usize,
    pub days: u32,
    /// New attackers a day. Three in ten scan the whole net and visit this part of the sensors, per
    /// mille; the others a twentieth of that.
    pub attackers_a_day: u32,
    pub visits_per_mille: u32,
    pub victims: u32,
    /// Gets that are lost, of a thousand.
    pub lost_per_mille: u64,
    /// Nodes that are away at any time, of a thousand.
    pub away_per_mille: u64,
    pub seed: u64,
    pub threads: usize,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Seconds from the first sighting anywhere until 95 % of the full readers know, of each attacker.
    pub known_s: Vec<u64>,
    /// The same until 95 % of them list it.
    pub listed_s: Vec<u64>,
    /// Attackers that were to become known, and all that appeared early enough for it.
    pub tracked: usize,
    /// Innocent addresses that any honest node ever listed.
    pub false_blocks: usize,
    /// Bytes that a full reader gets in an hour, a light one, and what a node puts.
    pub full_got_per_hour: u64,
    pub light_got_per_hour: u64,
    pub put_per_hour: u64,
    /// Most bytes that lay on one key, and most that were read from one key in an epoch.
    pub hottest_key_bytes: u64,
    pub hottest_key_read_bytes: u64,
    /// Of the honest nodes' batches of the last day, the part that each kind could read, per mille.
    pub readable: Vec<(&'static str, u64)>,
    /// Honest nodes that a full reader can read, per mille, at the end of each day.
    pub readable_by_day: Vec<u64>,
    pub votes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Full,
    Light,
    /// Only what it publishes is simulated.
    Mere,
    Liar,
    Sybil,
    Silent,
    Echo,
}

impl Kind {
    fn is_honest(self) -> bool {
        matches!(self, Self::Full | Self::Light | Self::Mere)
    }

    fn reads(self) -> bool {
        !matches!(self, Self::Mere | Self::Liar | Self::Sybil)
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}

struct Node {
    index: usize,
    kind: Kind,
    key: NodeKey,
    skew_s: i64,
    random: Random,
    is_away: bool,
    book: Book,
    /// For each granter the days for which it has granted us its key.
    keys: Vec<[u32; 2]>,
    inbox: Vec<(u32, u32)>,
    partners: Vec<u32>,
    /// Sightings that were not told yet, or for an echo what it read.
    pending: Vec<(u32, u64)>,
    told: HashSet<u32>,
    known: HashSet<u32>,
    listed: HashSet<u32>,
    false_listed: HashSet<u32>,
    news: Vec<(u32, u64, bool)>,
    grants: Vec<(u32, u32)>,
    got_bytes: u64,
    put_bytes: u64,
    votes: u64,
    could_read: u64,
}

/// A batch in the DHT.
struct Publication {
    by: u32,
    key: NodeKey,
    kind: Kind,
    epoch: Epoch,
    put_s: u64,
    kept_s: u64,
    body: Body,
    bytes: u64,
}

/// When each attacker visits which sensor: sorted by time.
struct World {
    visits: Vec<(u64, u32, u32)>,
    first_s: Vec<u64>,
}

pub fn run(plan: Plan) -> Outcome {
    let mut random = Random(plan.seed);
    let world = world(&plan, &mut random);
    let mut nodes = nodes(&plan, &mut random);
    let index: HashMap<NodeKey, u32> =
        nodes.iter().map(|node| (node.key, node.index as u32)).collect();
    let mut recent: Vec<Publication> = Vec::new();
    let mut outcome = Outcome::default();
    let mut reached: Vec<(u32, u32)> = vec![(0, 0); world.first_s.len()];
    let mut next_visit = 0;
    for step in 0..plan.days * EPOCHS_A_DAY {
        let begin_s = START + u64::from(step) * EPOCH_S;
        visit(&world, &mut next_visit, begin_s + EPOCH_S, &mut nodes);
        publish(&mut nodes, &plan, step, begin_s, &mut recent);
        recent.retain(|publication| publication.kept_s + EPOCH_S / 2 > begin_s);
        heat(&mut outcome, &recent, &plan, step);
        in_parallel(&mut nodes, plan.threads, |node| {
            live(node, &plan, step, begin_s, &recent, &index);
        });
        deliver_grants(&mut nodes, &plan, &mut outcome);
        note(&mut nodes, &world, &plan, &mut reached, &mut outcome);
        if (step + 1) % EPOCHS_A_DAY == 0 {
            outcome.readable_by_day.push(readable(&nodes, &plan, step));
        }
    }
    finish(&nodes, &world, &plan, &mut outcome);
    outcome
}

fn in_parallel(nodes: &mut [Node], threads: usize, work: impl Fn(&mut Node) + Sync) {
    // Taking turns spreads the full readers, which come first, over all threads.
    let mut shares: Vec<Vec<&mut Node>> = (0..threads).map(|_| Vec::new()).collect();
    for (at, node) in nodes.iter_mut().enumerate() {
        shares[at % threads].push(node);
    }
    let work = &work;
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || share.into_iter().for_each(work));
        }
    });
}

fn world(plan: &Plan, random: &mut Random) -> World {
    let mut world = World { visits: Vec::new(), first_s: Vec::new() };
    for day in 0..plan.days {
        for _ in 0..plan.attackers_a_day {
            let attacker = world.first_s.len() as u32;
            let begin = START + u64::from(day) * DAY_S + random.below(DAY_S);
            // Most are gone after hours, some stay for days.
            let span =
                if random.per_mille(200) { 3 * DAY_S } else { 4 * 3600 + random.below(20 * 3600) };
            let is_broad = random.per_mille(300);
            let visits = u64::from(plan.visits_per_mille) / if is_broad { 1 } else { 20 };
            let mut first = u64::MAX;
            for sensor in 0..plan.honest as u32 {
                for _ in 0..2 {
                    if random.below(2000) < visits {
                        let at = begin + random.below(span);
                        first = first.min(at);
                        world.visits.push((at, attacker, sensor));
                    }
                }
            }
            world.first_s.push(first);
        }
    }
    world.visits.sort_unstable();
    world
}

fn nodes(plan: &Plan, random: &mut Random) -> Vec<Node> {
    let kinds = [
        (Kind::Full, plan.full_readers),
        (Kind::Light, plan.light),
        (Kind::Mere, plan.honest - plan.full_readers - plan.light),
        (Kind::Liar, plan.liars),
        (Kind::Sybil, plan.sybils),
        (Kind::Silent, plan.silent_riders),
        (Kind::Echo, plan.echo_riders),
    ];
    let all: usize = kinds.iter().map(|(_, count)| count).sum();
    let kinds = kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
    let mut nodes: Vec<Node> =
        kinds.enumerate().map(|(index, kind)| node(index, kind, all, random)).collect();
    // The network is older than a week: honest keys are, and half of the liars' are too.
    let old: Vec<NodeKey> = nodes
        .iter()
        .filter(|node| node.kind.is_honest() || (node.kind == Kind::Liar && node.index % 2 == 0))
        .map(|node| node.key)
        .collect();
    let before = START - 8 * DAY_S;
    for node in nodes.iter_mut().filter(|node| node.kind.is_honest() && node.reads()) {
        for key in &old {
            node.book.ledger.meet(*key, Epoch((before / EPOCH_S) as u32), before);
        }
    }
    nodes
}

fn node(index: usize, kind: Kind, all: usize, random: &mut Random) -> Node {
    let mut key = NodeKey([0; 32]);
    key.0.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_be_bytes()));
    // Most clocks are right to a minute, some by a quarter of an hour wrong, either way.
    let skew_s = match random.below(1000) {
        0..10 => 900,
        10..20 => -900,
        _ => random.below(120) as i64 - 60,
    };
    Node {
        index,
        kind,
        key,
        skew_s,
        random: Random(random.next()),
        is_away: false,
        book: Book::new(Rules::default(), Trust::default()),
        keys: vec![[0; 2]; if kind.reads() { all } else { 0 }],
        inbox: Vec::new(),
        partners: Vec::new(),
        pending: Vec::new(),
        told: HashSet::new(),
        known: HashSet::new(),
        listed: HashSet::new(),
        false_listed: HashSet::new(),
        news: Vec::new(),
        grants: Vec::new(),
        got_bytes: 0,
        put_bytes: 0,
        votes: 0,
        could_read: 0,
    }
}

impl Node {
    fn clock(&self, true_s: u64) -> u64 {
        true_s.saturating_add_signed(self.skew_s)
    }

    fn true_time(&self, clock_s: u64) -> u64 {
        clock_s.saturating_add_signed(-self.skew_s)
    }

    fn now(&self, true_s: u64) -> Now {
        let s = self.clock(true_s);
        Now { s, epoch: Epoch((s / EPOCH_S) as u32) }
    }

    fn can_read(&self, by: u32, day: Day) -> bool {
        self.keys[by as usize].contains(&day.0)
    }

    fn reads(&self) -> bool {
        self.kind.reads()
    }
}

fn address(base: u32, n: u32) -> SourceKey {
    SourceKey::of(IpAddr::V4(Ipv4Addr::from(base + n)))
}

fn number_of(source: SourceKey) -> (bool, u32) {
    let IpAddr::V4(v4) = source.ip() else { return (false, 0) };
    let bits = v4.to_bits();
    if bits >= VICTIMS { (true, bits - VICTIMS) } else { (false, bits - ATTACKERS) }
}

fn visit(world: &World, next: &mut usize, until_s: u64, nodes: &mut [Node]) {
    while let Some((at, attacker, sensor)) =
        world.visits.get(*next).filter(|visit| visit.0 < until_s)
    {
        *next += 1;
        let node = &mut nodes[*sensor as usize];
        node.pending.push((*attacker, *at));
        if node.known.insert(*attacker) {
            node.news.push((*attacker, *at, false));
        }
    }
}

/// What each node puts in this step.
fn publish(
    nodes: &mut [Node],
    plan: &Plan,
    step: u32,
    begin_s: u64,
    recent: &mut Vec<Publication>,
) {
    for node in nodes {
        if node.random.per_mille(if node.is_away { 50 } else { plan.away_per_mille / 20 }) {
            node.is_away = !node.is_away;
        }
        if node.is_away {
            continue;
        }
        // The put lies between 50 and 90 % of the epoch that the node's own clock shows.
        let epoch = Epoch((node.clock(begin_s + 300) / EPOCH_S) as u32);
        let put_clock = u64::from(epoch.0) * EPOCH_S + 300 + node.random.below(240);
        let put_s = node.true_time(put_clock);
        let records = told(node, plan, step, put_s);
        if records.is_empty() {
            continue;
        }
        let body = Body::sources(records);
        let bytes = (HEADER_BYTES + SIGNATURE_BYTES + SEAL_BYTES + body.encode().len()) as u64;
        node.put_bytes += bytes + ANNOUNCEMENT_BYTES;
        let kept_s = node.true_time(u64::from(epoch.0 + 1) * EPOCH_S + PUT_KEPT_S);
        recent.push(Publication {
            by: node.index as u32,
            key: node.key,
            kind: node.kind,
            epoch,
            put_s,
            kept_s,
            body,
            bytes,
        });
    }
}

fn told(node: &mut Node, plan: &Plan, step: u32, put_s: u64) -> Vec<SourceRecord> {
    let minute = (node.clock(put_s) / 60) as u32;
    let record = |source, minute| SourceRecord {
        source,
        seen: SeenRecord { minute, count_log2: 2, verification: Verification::ReturnPath },
        methods: 1,
    };
    match node.kind {
        Kind::Full | Kind::Light | Kind::Mere | Kind::Echo => {
            let (now, later): (Vec<_>, Vec<_>) =
                node.pending.drain(..).partition(|(_, at)| *at <= put_s);
            node.pending = later;
            let told_now = node.now(put_s);
            let mut records = Vec::new();
            for (attacker, at) in now {
                let source = address(ATTACKERS, attacker);
                if node.kind.is_honest() && node.reads() {
                    node.book.own_source(&source, told_now);
                }
                if node.told.insert(attacker) {
                    records.push(record(source, (node.clock(at) / 60) as u32));
                }
            }
            // Who has nothing of its own begins with something made up.
            if node.kind == Kind::Echo && records.is_empty() && step % 6 == node.index as u32 % 6 {
                let made_up = node.random.below(100_000) as u32;
                records.push(record(address(VICTIMS, plan.victims + made_up), minute));
            }
            records
        }
        // All liars name the same victims, and each some of its own.
        Kind::Liar if step % 6 == node.index as u32 % 6 => (0..plan.victims / 2)
            .chain((0..200).map(|_| node.random.below(100_000) as u32))
            .map(|victim| record(address(VICTIMS, victim), minute))
            .collect(),
        Kind::Sybil if step >= EPOCHS_A_DAY && step % 36 == node.index as u32 % 36 => {
            (0..plan.victims).map(|victim| record(address(VICTIMS, victim), minute)).collect()
        }
        _ => Vec::new(),
    }
}

/// What one node does in a step: reads, grants, forgets.
fn live(
    node: &mut Node,
    plan: &Plan,
    step: u32,
    begin_s: u64,
    recent: &[Publication],
    index: &HashMap<NodeKey, u32>,
) {
    if node.is_away || !node.reads() {
        return;
    }
    let now = node.now(begin_s + EPOCH_S - 1);
    let turn = step + node.index as u32;
    if node.kind == Kind::Full || turn.is_multiple_of(4) {
        for publication in recent.iter().filter(|p| p.epoch.0 + 1 == now.epoch.0) {
            if publication.key != node.key {
                node.book.ledger.announced(publication.key, [1; 32], publication.epoch, now.s);
                node.got_bytes += ANNOUNCEMENT_BYTES;
            }
        }
    }
    if turn.is_multiple_of(6) {
        look_for_grants(node, plan, now);
    }
    read(node, plan, begin_s, recent);
    if node.kind.is_honest() {
        if turn.is_multiple_of(6) {
            grant(node, now, index);
        }
        if turn.is_multiple_of(if node.kind == Kind::Full { 6 } else { 144 }) {
            node.book.sweep(now);
        }
    }
}

fn look_for_grants(node: &mut Node, plan: &Plan, now: Now) {
    for (granter, day) in std::mem::take(&mut node.inbox) {
        let days = &mut node.keys[granter as usize];
        days[day as usize % 2] = day;
        node.got_bytes += GRANT_BYTES as u64;
    }
    let today = day_of(now.s);
    let mut can: Vec<(u64, u32)> = (0..node.keys.len() as u32)
        .filter(|by| node.can_read(*by, today))
        // Whoever reads few reads others every day.
        .map(|by| {
            (Random(u64::from(by) << 32 ^ node.index as u64 ^ u64::from(today.0) << 16).next(), by)
        })
        .collect();
    can.sort_unstable();
    let max = if node.kind == Kind::Light { plan.light_partners } else { usize::MAX };
    node.partners = can.into_iter().take(max).map(|(_, by)| by).collect();
    node.partners.sort_unstable();
}

fn read(node: &mut Node, plan: &Plan, begin_s: u64, recent: &[Publication]) {
    // The epoch that has just ended by the node's own clock.
    let Some(epoch) = (node.clock(begin_s + 120) / EPOCH_S).checked_sub(1) else { return };
    let jitter = node.random.below(READ_JITTER_S);
    let first_s = node.true_time((epoch + 1) * EPOCH_S + READ_AFTER_S + jitter);
    for publication in recent.iter().filter(|p| u64::from(p.epoch.0) == epoch) {
        let day = Day((u64::from(publication.epoch.0) * EPOCH_S / DAY_S) as u32);
        if publication.key == node.key || !node.can_read(publication.by, day) {
            continue;
        }
        node.could_read += u64::from(publication.kind.is_honest());
        let is_partner = node.partners.binary_search(&publication.by).is_ok();
        if !is_partner || !is_worth_reading(node, publication) {
            continue;
        }
        for at in [first_s, first_s + READ_AGAIN_S] {
            let is_there = publication.put_s + 5 <= at && at < publication.kept_s;
            if is_there && !node.random.per_mille(plan.lost_per_mille) {
                take(node, publication, at);
                break;
            }
        }
    }
}

/// A node whose word is worth nothing is not read, but for now and then.
fn is_worth_reading(node: &Node, publication: &Publication) -> bool {
    let peer = node.book.ledger.get(publication.key);
    peer.is_none_or(Peer::is_plausible) || publication.epoch.0.is_multiple_of(36)
}

fn take(node: &mut Node, publication: &Publication, at: u64) {
    node.got_bytes += publication.bytes;
    if node.kind == Kind::Echo {
        if let Records::Sources(records) = publication.body.records() {
            node.pending.extend(records.iter().map(|r| (number_of(r.source).1, at)));
        }
        return;
    }
    if node.kind == Kind::Silent {
        return;
    }
    let sequence = Sequence::new(publication.epoch, 0);
    let policy = Policy::default();
    let now = node.now(at);
    let taken = node.book.accept(publication.key, sequence, &publication.body, &policy, now);
    let Ok(PeerBatch { entries, .. }) = taken else { return };
    node.votes += entries.len() as u64;
    for entry in entries {
        let Subject::Source(source) = entry.subject else { continue };
        let (is_victim, number) = number_of(source);
        if is_victim {
            if entry.listing.is_some() {
                node.false_listed.insert(number);
            }
            continue;
        }
        if node.known.insert(number) {
            node.news.push((number, at, false));
        }
        if entry.listing.is_some() && node.listed.insert(number) {
            node.news.push((number, at, true));
        }
    }
}

fn grant(node: &mut Node, now: Now, index: &HashMap<NodeKey, u32>) {
    let today = day_of(now.s);
    let seed = node.random.next();
    let mut made = node.book.grants(today, now, seed);
    if day_of(now.s + GRANT_AHEAD_S) != today {
        made.extend(node.book.grants(day_of(now.s + GRANT_AHEAD_S), now, seed));
    }
    node.put_bytes += (made.len() * GRANT_BYTES) as u64;
    node.grants
        .extend(made.iter().filter_map(|grant| Some((*index.get(&grant.node)?, grant.day.0))));
}

fn deliver_grants(nodes: &mut [Node], plan: &Plan, outcome: &mut Outcome) {
    for granter in 0..nodes.len() {
        for (to, day) in std::mem::take(&mut nodes[granter].grants) {
            let to = &mut nodes[to as usize];
            if to.reads() {
                to.inbox.extend(followers(granter, plan).map(|granter| (granter as u32, day)));
            }
        }
    }
    // Grants to one node lie on 64 keys of each day.
    for node in nodes {
        let bytes = (node.inbox.len() * GRANT_BYTES / 64) as u64;
        outcome.hottest_key_bytes = outcome.hottest_key_bytes.max(bytes);
    }
}

/// A node, and those that grant as it does.
fn followers(granter: usize, plan: &Plan) -> impl Iterator<Item = usize> {
    let whole = plan.full_readers + plan.light;
    let is_light = (plan.full_readers..whole).contains(&granter);
    let first = if is_light { granter + plan.light } else { usize::MAX };
    std::iter::once(granter).chain((first..plan.honest).step_by(plan.light.max(1)))
}

/// How much lies on the keys of this epoch, and how much is read from them.
fn heat(outcome: &mut Outcome, recent: &[Publication], plan: &Plan, step: u32) {
    let epoch = Epoch(((START / EPOCH_S) as u32) + step);
    let mut shards: HashMap<(u8, u64), u64> = HashMap::new();
    let mut filled: HashMap<u8, u64> = HashMap::new();
    let mut largest = 0;
    for publication in recent.iter().filter(|p| p.epoch == epoch) {
        let place = filled.entry(shard(publication.key)).or_default();
        *shards.entry((shard(publication.key), *place / PAGE_VALUES as u64)).or_default() +=
            ANNOUNCEMENT_BYTES;
        *place += 1;
        largest = largest.max(publication.bytes);
    }
    let page = shards.values().copied().max().unwrap_or(0);
    outcome.hottest_key_bytes = outcome.hottest_key_bytes.max(page).max(largest);
    let lookers = (plan.full_readers + (plan.honest - plan.full_readers) / 4) as u64;
    outcome.hottest_key_read_bytes = outcome.hottest_key_read_bytes.max(page * lookers);
}

fn note(
    nodes: &mut [Node],
    world: &World,
    plan: &Plan,
    reached: &mut [(u32, u32)],
    outcome: &mut Outcome,
) {
    let needed = (plan.full_readers * 95).div_ceil(100) as u32;
    let mut news: Vec<(u32, u64, bool)> = Vec::new();
    for node in nodes {
        if node.kind == Kind::Full {
            news.append(&mut node.news);
        } else {
            node.news.clear();
        }
    }
    news.sort_unstable_by_key(|(_, at, _)| *at);
    for (attacker, at, is_listing) in news {
        let (known, listed) = &mut reached[attacker as usize];
        let (count, delays) = if is_listing {
            (listed, &mut outcome.listed_s)
        } else {
            (known, &mut outcome.known_s)
        };
        *count += 1;
        if *count == needed && is_tracked(world.first_s[attacker as usize], plan) {
            delays.push(at.saturating_sub(world.first_s[attacker as usize]));
        }
    }
}

/// The first days are for getting to know each other; the last leaves time to become known.
fn is_tracked(first_s: u64, plan: &Plan) -> bool {
    if first_s == u64::MAX {
        return false;
    }
    let end = START + u64::from(plan.days) * DAY_S;
    first_s >= START + u64::from(plan.days / 2) * DAY_S && first_s + DAY_S < end
}

/// Of the honest nodes, the part that a full reader has the key of today, per mille.
fn readable(nodes: &[Node], plan: &Plan, step: u32) -> u64 {
    let day = day_of(START + u64::from(step) * EPOCH_S);
    let full = nodes.iter().filter(|node| node.kind == Kind::Full);
    let can: usize =
        full.map(|node| (0..plan.honest as u32).filter(|by| node.can_read(*by, day)).count()).sum();
    (can * 1000 / (plan.full_readers * (plan.honest - 1))) as u64
}

fn finish(nodes: &[Node], world: &World, plan: &Plan, outcome: &mut Outcome) {
    outcome.tracked = world.first_s.iter().filter(|first| is_tracked(**first, plan)).count();
    let mut falsely: HashSet<u32> = HashSet::new();
    for node in nodes.iter().filter(|node| node.kind.is_honest()) {
        falsely.extend(&node.false_listed);
        let listed = node.book.sources.iter_listed().map(|(source, _)| number_of(*source));
        falsely.extend(listed.filter(|(is_victim, _)| *is_victim).map(|(_, number)| number));
    }
    outcome.false_blocks = falsely.len();
    let hours = u64::from(plan.days) * 24;
    let mean = |kind: Kind, value: fn(&Node) -> u64| {
        let of: Vec<u64> = nodes.iter().filter(|node| node.kind == kind).map(value).collect();
        of.iter().sum::<u64>() / (of.len() as u64).max(1)
    };
    outcome.full_got_per_hour = mean(Kind::Full, |node| node.got_bytes) / hours;
    outcome.light_got_per_hour = mean(Kind::Light, |node| node.got_bytes) / hours;
    outcome.put_per_hour = mean(Kind::Full, |node| node.put_bytes) / hours;
    if std::env::var_os("SENTRYPEER_SIMULATION_DETAILS").is_some() {
        details(nodes, plan);
    }
    outcome.votes = nodes.iter().map(|node| node.votes).sum();
    let day = day_of(START + u64::from(plan.days) * DAY_S - 1);
    for (name, kind) in [
        ("full readers", Kind::Full),
        ("light readers", Kind::Light),
        ("echo riders", Kind::Echo),
        ("silent riders", Kind::Silent),
    ] {
        let can =
            |node: &&Node| (0..plan.honest as u32).filter(|by| node.can_read(*by, day)).count();
        let of: Vec<usize> = nodes.iter().filter(|n| n.kind == kind).map(|n| can(&n)).collect();
        let all = (of.len() * plan.honest).max(1);
        outcome.readable.push((name, (of.iter().sum::<usize>() * 1000 / all) as u64));
    }
}

/// What nodes think of each other at the end, for who tunes the limits.
fn details(nodes: &[Node], plan: &Plan) {
    let now_s = START + u64::from(plan.days) * DAY_S;
    let honest: HashSet<NodeKey> =
        nodes.iter().filter(|node| node.kind.is_honest()).map(|node| node.key).collect();
    for kind in [Kind::Full, Kind::Light] {
        let of = nodes.iter().filter(|node| node.kind == kind);
        let peers: Vec<&Peer> = of
            .flat_map(|node| node.book.ledger.iter())
            .filter(|peer| honest.contains(&peer.node) && peer.got > 0)
            .collect();
        let show = |name: &str, value: &dyn Fn(&Peer) -> f64| {
            let mut values: Vec<f64> = peers.iter().map(|peer| value(peer)).collect();
            values.sort_by(f64::total_cmp);
            let at = |part: usize| values.get(values.len() * part / 100).copied().unwrap_or(0.0);
            println!("{kind:?} {name}: 10 % {:.1}, half {:.1}, 90 % {:.1}", at(10), at(50), at(90));
        };
        println!("{kind:?}: {} pairs that were read", peers.len());
        show("credit", &|peer| peer.credit(now_s));
        show("first", &|peer| peer.first(now_s));
        show("got", &|peer| peer.got as f64);
        show("confirmed", &|peer| peer.confirmed as f64);
    }
}

/// The value below which so many of a thousand lie.
pub fn quantile(values: &[u64], per_mille: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted
        .get((sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}

/// What came out, for people.
pub fn report(plan: &Plan, outcome: &Outcome, seconds: f64) -> String {
    let minutes = |values: &[u64], q| quantile(values, q) as f64 / 60.0;
    let readable: Vec<String> = outcome
        .readable
        .iter()
        .map(|(name, part)| format!("{name} {:.1} %", *part as f64 / 10.0))
        .collect();
    let by_day: Vec<String> =
        outcome.readable_by_day.iter().map(|part| format!("{:.0}", *part as f64 / 10.0)).collect();
    format!(
        "{} publishers, {} full readers ({} others whole), {} days; {} liars, {} Sybils, {} + {} free riders; {:.0} s\n\
         known to 95 %: {} of {} attackers; after minutes: median {:.1}, 90 % {:.1}, 99 % {:.1}\n\
         listed at 95 %: {} of {} attackers; after minutes: median {:.0}, 90 % {:.0}\n\
         false blocks: {}\n\
         bytes an hour: a full reader gets {}, a light one {}, a node puts {}\n\
         hottest key: {} bytes on it, {} read from it in an epoch\n\
         can read of the honest on the last day: {}\n\
         full readers can read of the honest, by day, in %: {}\n\
         votes: {}",
        plan.honest,
        plan.full_readers,
        plan.light,
        plan.days,
        plan.liars,
        plan.sybils,
        plan.silent_riders,
        plan.echo_riders,
        seconds,
        outcome.known_s.len(),
        outcome.tracked,
        minutes(&outcome.known_s, 500),
        minutes(&outcome.known_s, 900),
        minutes(&outcome.known_s, 990),
        outcome.listed_s.len(),
        outcome.tracked,
        minutes(&outcome.listed_s, 500),
        minutes(&outcome.listed_s, 900),
        outcome.false_blocks,
        outcome.full_got_per_hour,
        outcome.light_got_per_hour,
        outcome.put_per_hour,
        outcome.hottest_key_bytes,
        outcome.hottest_key_read_bytes,
        readable.join(", "),
        by_day.join(" "),
        outcome.votes,
    )
}
