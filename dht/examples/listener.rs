//! What it costs to read many nodes: processor time and memory of one reader, epoch by epoch.
//!
//! ```text
//! cargo run --release -p sentrypeer-dht --example listener -- [NODES] [RECORDS] [EPOCHS] [EPOCH S]
//! ```
//!
//! The nodes that are read are another process, so that what is shown is the reader's alone. It puts what
//! [NODES] nodes would: grants to the reader, and in each epoch an announcement and a batch each.

use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sentrypeer_dht::epoch::{Calendar, Epoch, Sequence, day_of};
use sentrypeer_dht::keys::{Identity, Network, Place, chunk_place, sha256, shard};
use sentrypeer_dht::node::{Config as NodeConfig, Kept, Node};
use sentrypeer_dht::service::{Config, Inputs, Service};
use sentrypeer_dht::session::Settings;
use sentrypeer_dht::state::{Files, Item, StateStore};
use sentrypeer_dht::wire::announcement::Announcement;
use sentrypeer_dht::wire::batch::seal;
use sentrypeer_dht::wire::body::Body;
use sentrypeer_dht::wire::grant;
use sentrypeer_dht::wire::source::{SeenRecord, SourceRecord};
use sentrypeer_storage::event::{SourceKey, Verification};
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::policy::Policy;
use uuid::Uuid;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const NETWORK: u32 = 8170;
const READER: [u8; 32] = [0xee; 32];

/// OpenDHT nodes that carry all this, beside the reader.
const CARRIERS: usize = 4;

/// OpenDHT takes 1,024 requests a second from one address, and here all have the same.
const PUTS_PER_S: u32 = 60;

#[derive(Clone, Copy)]
struct Plan {
    nodes: u32,
    records: u32,
    epochs: u32,
    epoch_s: u32,
}

fn main() -> Outcome {
    let argument = |at: usize, default: u32| {
        std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let plan = Plan {
        nodes: argument(1, 1000),
        records: argument(2, 50),
        epochs: argument(3, 5),
        epoch_s: argument(4, 60),
    };
    if std::env::args().nth(5).is_some() { publish(plan) } else { read(plan) }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn identity(n: u32) -> Identity {
    Identity::from_seed(&sha256(&n.to_be_bytes()))
}

// ---- The nodes that are read.

struct Publishers {
    plan: Plan,
    carriers: Vec<Node>,
    puts: usize,
}

fn publish(plan: Plan) -> Outcome {
    let first = Node::start(&NodeConfig { network: NETWORK, ..NodeConfig::default() })?;
    println!("{}", first.port());
    let bootstrap = vec![format!("127.0.0.1:{}", first.port()).parse()?];
    let mut carriers = vec![first];
    for _ in 1..CARRIERS {
        let bootstrap = bootstrap.clone();
        carriers.push(Node::start(&NodeConfig { network: NETWORK, bootstrap, port: 0 })?);
    }
    let mut publishers = Publishers { plan, carriers, puts: 0 };
    publishers.grant();
    let calendar = Calendar::with_epoch_s(plan.epoch_s);
    let mut epoch = calendar.epoch(now_s());
    loop {
        publishers.tell(epoch);
        while calendar.epoch(now_s()) <= epoch {
            std::thread::sleep(Duration::from_millis(100));
        }
        epoch = calendar.epoch(now_s());
    }
}

impl Publishers {
    fn put(&mut self, place: Place, value: &[u8]) {
        self.puts += 1;
        let carrier = &self.carriers[self.puts % CARRIERS];
        if carrier.put(place, value, None, Kept::Once).is_none() {
            eprintln!("a put was refused");
        }
        for carrier in &self.carriers {
            while carrier.event(Duration::ZERO).is_some() {}
        }
        std::thread::sleep(Duration::from_secs(1) / PUTS_PER_S);
    }

    fn grant(&mut self) {
        let (reader, day) = (Identity::from_seed(&READER), day_of(now_s()));
        for n in 0..self.plan.nodes {
            let granter = identity(n);
            let made = sha256(&granter.node().0);
            let Some(sealed) = grant::seal(&granter, reader.node(), reader.seal_key(), day, made)
            else {
                continue;
            };
            let place = Network::default().grants(reader.node(), day, shard(granter.node()));
            self.put(place, &sealed);
        }
    }

    fn tell(&mut self, epoch: Epoch) {
        let calendar = Calendar::with_epoch_s(self.plan.epoch_s);
        for n in 0..self.plan.nodes {
            let (who, day) = (identity(n), calendar.day(epoch));
            let key = who.day_key(day);
            let body = body(n, epoch, self.plan.records);
            let sealed = seal(&who, &key, Sequence::new(epoch, 0), [0; 32], &body);
            self.put(key.place(epoch), &sealed.head);
            for chunk in &sealed.chunks {
                self.put(chunk_place(&sha256(chunk)), chunk);
            }
            let said = Announcement {
                node: who.node(),
                epoch,
                batches: 1,
                records: body.len(),
                seal_key: who.seal_key(),
            };
            let value = said.encode(&who, &Network::default());
            let place = Network::default().announcements(epoch, shard(who.node()), 0);
            self.put(place, &value);
        }
    }
}

/// Half of it what others name too.
fn body(n: u32, epoch: Epoch, records: u32) -> Body {
    let record = |at: u32| {
        let mine = if at.is_multiple_of(2) { 0 } else { n.wrapping_mul(40_503) };
        let host = (epoch.0.wrapping_mul(8192) + at + mine) & 0xff_ffff;
        let minute = (now_s() / 60) as u32;
        SourceRecord {
            source: SourceKey::of(Ipv4Addr::from(0x2d00_0000 | host).into()),
            seen: SeenRecord { minute, count_log2: 2, verification: Verification::Tls },
            methods: 1,
        }
    };
    Body::sources((0..records).map(record).collect())
}

// ---- The reader.

/// Ends the other process when this one ends.
struct Others(Child);

impl Drop for Others {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn others(plan: Plan) -> Result<(Others, String), Box<dyn std::error::Error>> {
    let numbers = [plan.nodes, plan.records, plan.epochs, plan.epoch_s].map(|n| n.to_string());
    let mut child = Command::new(std::env::current_exe()?)
        .args(numbers)
        .arg("publish")
        .stdout(Stdio::piped())
        .spawn()?;
    let said = child.stdout.take().ok_or("no output")?;
    let mut port = String::new();
    BufReader::new(said).read_line(&mut port)?;
    Ok((Others(child), port.trim_end().to_owned()))
}

fn read(plan: Plan) -> Outcome {
    let (_others, port) = others(plan)?;
    let folder = std::env::temp_dir().join(format!("sentrypeer-listener-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let files = Files::new(&folder.join("x.db"));
    files.save(Item::Seed, &READER)?;
    let calendar = Calendar::with_epoch_s(plan.epoch_s);
    let bootstrap = vec![format!("127.0.0.1:{port}").parse()?];
    let config = Config {
        node: NodeConfig { network: NETWORK, bootstrap, port: 0 },
        settings: Settings { legacy: false, calendar, ..Settings::default() },
        ..Config::default()
    };
    let mut service = Service::start(config, inputs(), Box::new(files))?;
    println!("epoch  readable  batches  records   named  CPU s  of a core  RSS MB  most MB");
    for _ in 0..plan.epochs {
        of_an_epoch(&service, calendar)?;
    }
    println!("refused: {:?}", service.status().counts.refused);
    service.stop();
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn inputs() -> Inputs {
    let producer = Producer {
        app_name: Cow::Borrowed("listener"),
        app_version: Cow::Borrowed("0"),
        node_id: Uuid::nil(),
    };
    Inputs {
        snapshot: Box::new(|| None),
        policy: Box::new(|| Arc::new(Policy::default())),
        events: Box::new(|_| Vec::new()),
        producer,
        peers: Box::new(|_| true),
        heard: None,
    }
}

/// Waits for the end of an epoch, and says what it has cost.
fn of_an_epoch(service: &Service, calendar: Calendar) -> Outcome {
    let epoch = calendar.epoch(now_s());
    let (cpu, counts) = (cpu_s()?, service.status().counts.clone());
    while calendar.epoch(now_s()) <= epoch {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (spent, status) = (cpu_s()? - cpu, service.status());
    println!(
        "{:>5} {:>9} {:>8} {:>8} {:>7} {:>6.2} {:>8.2} % {:>7.1} {:>8.1}",
        epoch.0 % 100_000,
        status.partners,
        status.counts.batches_got - counts.batches_got,
        status.counts.records_got - counts.records_got,
        status.named.0,
        spent,
        spent * 100.0 / f64::from(calendar.epoch_s()),
        memory_mb("VmRSS")?,
        memory_mb("VmHWM")?,
    );
    Ok(())
}

/// Processor time of this process so far; the system counts it in hundredths of a second.
fn cpu_s() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

fn memory_mb(name: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
    let kb: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kb / 1024.0)
}
