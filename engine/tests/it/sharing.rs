//! Five nodes that share, each with an address of its own, and Debian's `dhtnode` between them.
//!
//! Each node, the bootstrap node and those who call have a network namespace; a bridge in one more
//! connects them. So links can be cut, and nothing leaves the namespaces.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sched::{CloneFlags, setns};
use sentrypeer_dht::epoch::Calendar;
use sentrypeer_dht::keys::Identity;
use sentrypeer_dht::ledger::{Ledger, Merit};
use sentrypeer_dht::limits::{DAY_S, QUORUM_AGE_MIN_S};
use sentrypeer_dht::rules::Rules;
use sentrypeer_dht::saved;
use sentrypeer_dht::state::{Files, Item, StateStore};
use sentrypeer_dht::trust::Trust;
use sentrypeer_dht::wire::NodeKey;
use serde_json::Value;

use crate::export::Namespace;
use crate::harness::{Node, has, plan, program, request};
use crate::streams::connect_from;

/// For each thing that is waited for. With epochs of six seconds it comes within some twenty.
const PATIENCE: Duration = Duration::from_secs(180);

const EPOCH_S: u32 = 6;

/// An OpenDHT network of its own, so that epochs may be short.
const NETWORK: u32 = 8300;

const BOOTSTRAP: &str = "10.44.0.200";

/// A namespace that is connected to the bridge, with an address there.
struct Place {
    namespace: Namespace,
    address: String,
    /// Its end of the cable on the bridge.
    port: String,
}

/// The bridge, in a namespace of its own.
struct Bridge(Namespace);

fn ip(words: &str) {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Bridge {
    /// `None` where there can be none, which was said.
    fn new() -> Option<Self> {
        let namespace = Namespace::new("bridge")?;
        let name = namespace.name();
        ip(&format!("-n {name} link add bridge type bridge"));
        ip(&format!("-n {name} link set bridge up"));
        Some(Self(namespace))
    }

    fn connect(&self, name: &str, address: &str) -> Place {
        let namespace = Namespace::new(name).unwrap();
        let (bridge, inside) = (self.0.name(), namespace.name());
        ip(&format!("-n {bridge} link add {name} type veth peer name eth0 netns {inside}"));
        ip(&format!("-n {bridge} link set {name} master bridge up"));
        ip(&format!("-n {inside} link set lo up"));
        ip(&format!("-n {inside} link set eth0 up"));
        ip(&format!("-n {inside} address add {address}/24 dev eth0"));
        // Where those who call are.
        ip(&format!("-n {inside} route add 144.21.55.0/24 dev eth0"));
        Place { namespace, address: address.to_owned(), port: name.to_owned() }
    }

    fn set(&self, place: &Place, state: &str) {
        ip(&format!("-n {} link set {} {state}", self.0.name(), place.port));
    }
}

impl Place {
    /// A command that runs here.
    fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace.name()]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Does something on a thread that is in this namespace.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace.name())).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

/// Debian's node, which only carries.
struct Carrier(Child);

impl Carrier {
    fn start(place: &Place) -> Self {
        let mut inner = Command::new("dhtnode");
        inner.args(["-p", "4222", "-n", &NETWORK.to_string()]);
        // It ends when its input does.
        let mut command = place.command(&inner);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One of the five.
struct Sharer {
    node: Node,
    place: Place,
}

/// How a node is started.
struct Role<'a> {
    number: u8,
    arguments: &'a [String],
    /// Nodes that it has known for long, and that have told it much that was true.
    friends: &'a [NodeKey],
}

fn seed(number: u8) -> [u8; 32] {
    [number; 32]
}

fn key(number: u8) -> NodeKey {
    Identity::from_seed(&seed(number)).node()
}

/// What a node remembers that has known these for longer than a quorum asks for.
fn remembered(friends: &[NodeKey]) -> Vec<u8> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let first_s = now_s - QUORUM_AGE_MIN_S - DAY_S;
    let calendar = Calendar::with_epoch_s(EPOCH_S);
    let mut ledger = Ledger::new(Rules::default());
    for friend in friends {
        let id = ledger.meet(*friend, calendar.epoch(first_s), first_s).unwrap();
        for epochs_ago in 1..=40 {
            let at_s = now_s - u64::from(epochs_ago * EPOCH_S);
            let merit = Merit { amount: 1.0, is_first: true };
            ledger.confirm(id, merit, calendar.epoch(at_s), at_s);
        }
    }
    saved::encode(&ledger, &Trust::default())
}

impl Sharer {
    fn start(bridge: &Bridge, role: &Role<'_>) -> Self {
        let place =
            bridge.connect(&format!("n{}", role.number), &format!("10.44.0.{}", role.number));
        let plan = plan(&["-p", &format!("--sip-listen={}:5060", place.address)]);
        let files = Files::new(&plan.database());
        files.save(Item::Seed, &seed(role.number)).unwrap();
        files.save(Item::Ledger, &remembered(role.friends)).unwrap();
        let mut inner = plan.command();
        inner.args(role.arguments).args([
            format!("--peer-network={NETWORK}"),
            format!("--peer-epoch-s={EPOCH_S}"),
            format!("--bootstrap={BOOTSTRAP}:4222"),
        ]);
        let command = place.command(&inner);
        Self { node: plan.start_as(command), place }
    }

    fn asked(&self, words: &[&str]) -> String {
        let output = program(&self.node.database()).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn peers(&self) -> Value {
        serde_json::from_str(&self.asked(&["peers", "--json"])).unwrap_or(Value::Null)
    }

    /// How many addresses others name to it.
    fn named(&self) -> u64 {
        self.peers()["named"]["addresses"].as_u64().unwrap_or(0)
    }

    /// The last byte of each address that it blocks.
    fn blocked(&self) -> BTreeSet<u8> {
        let list = self.asked(&["export", "plain", "--allow-empty"]);
        let hosts = list.lines().filter_map(|line| line.trim().strip_prefix("144.21.55."));
        hosts.map(|host| host.parse().unwrap()).collect()
    }

    /// A call from the node's own machine, which needs no cable.
    fn is_called_inside(&self, host: u8) {
        ip(&format!("-n {} address add 144.21.55.{host}/32 dev lo", self.place.namespace.name()));
        self.is_called(&self.place, host);
    }

    /// A call over TCP, which proves the caller's address.
    fn is_called(&self, world: &Place, host: u8) {
        let target: SocketAddr = format!("{}:5060", self.place.address).parse().unwrap();
        world.inside(|| {
            let mut stream = connect_from(SocketAddr::from(([144, 21, 55, host], 0)), target);
            let text = request("OPTIONS", "100", &format!("shared-{host}"), "TCP");
            stream.write_all(text.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 11]).unwrap();
        });
    }
}

/// Waits until the node has noticed that nobody takes what it tells.
fn await_unheard(cut: &Sharer) {
    let begin = Instant::now();
    let failed = || cut.node.metric("sentrypeer_peers_puts_failed_total");
    while cut.place.inside(failed) == 0 {
        assert!(begin.elapsed() < PATIENCE, "{:#}", cut.peers());
        std::thread::sleep(Duration::from_millis(200));
    }
    eprintln!("noticed after {:.0} s", begin.elapsed().as_secs_f64());
}

/// What each of the five names and blocks.
type Picture = [(u64, BTreeSet<u8>); 5];

fn picture(nodes: &[Sharer; 5]) -> Picture {
    nodes.each_ref().map(|node| (node.named(), node.blocked()))
}

fn expected(of: [(u64, &[u8]); 5]) -> Picture {
    of.map(|(named, blocked)| (named, blocked.iter().copied().collect()))
}

fn await_picture(nodes: &[Sharer; 5], what: &str, wanted: &Picture) {
    let begin = Instant::now();
    loop {
        let seen = picture(nodes);
        if seen == *wanted {
            eprintln!("{what}: after {:.0} s", begin.elapsed().as_secs_f64());
            return;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{what}: {seen:?} instead of {wanted:?}: {:#?}",
            nodes.each_ref().map(|node| format!("{:#}", node.peers()))
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether it can be tried here; says so aloud if not.
fn is_possible() -> bool {
    let is_built_in = cfg!(feature = "opendht");
    if !is_built_in {
        eprintln!("SKIPPED: this test needs a build with OpenDHT");
    }
    is_built_in && has("dhtnode")
}

fn callers(bridge: &Bridge) -> Place {
    let world = bridge.connect("world", "10.44.0.201");
    for host in 40..70 {
        ip(&format!("-n {} address add 144.21.55.{host}/32 dev eth0", world.namespace.name()));
    }
    world
}

/// 1 and 2 trust each other; 3 has known 1, 2 and 4 for long; 4 knows nobody; 5 shares nothing.
fn five(bridge: &Bridge) -> [Sharer; 5] {
    let trusts = |number| vec![format!("--peers-trusted={}", key(number))];
    let arguments = [trusts(2), trusts(1), vec![], vec![], vec!["--share=off".to_owned()]];
    let friends = [key(1), key(2), key(4)];
    std::array::from_fn(|at| {
        let friends = if at == 2 { friends.as_slice() } else { &[] };
        let role = Role { number: at as u8 + 1, arguments: &arguments[at], friends };
        Sharer::start(bridge, &role)
    })
}

#[test]
fn what_one_has_proven_all_know_and_those_block_it_who_have_reason_to() {
    if !is_possible() {
        return;
    }
    let Some(bridge) = Bridge::new() else { return };
    let (world, boot) = (callers(&bridge), bridge.connect("boot", BOOTSTRAP));
    let _carrier = Carrier::start(&boot);
    let nodes = five(&bridge);
    // Each sees somebody of its own, and one caller visits three of them.
    for (node, host) in nodes.iter().zip(41..) {
        node.is_called(&world, host);
    }
    for at in [0, 1, 3] {
        nodes[at].is_called(&world, 50);
    }
    // Own ones are blocked everywhere; 1 and 2 block each other's, 3 what three say that it knows, and 4
    // and 5 nothing that others say.
    let mut wanted = expected([
        (4, &[41, 42, 50]),
        (4, &[41, 42, 50]),
        (4, &[43, 50]),
        (4, &[44, 50]),
        (0, &[45]),
    ]);
    await_picture(&nodes, "what all have seen", &wanted);

    // Who is cut off learns nothing; the others go on.
    bridge.set(&nodes[0].place, "down");
    nodes[0].is_called_inside(55);
    await_unheard(&nodes[0]);
    nodes[1].is_called(&world, 51);
    nodes[3].is_called(&world, 52);
    wanted[0].1.insert(55);
    wanted[1].0 += 1;
    wanted[1].1.insert(51);
    wanted[2].0 += 2;
    wanted[3].0 += 1;
    wanted[3].1.insert(52);
    await_picture(&nodes, "without the first", &wanted);

    // What was seen and told meanwhile, and what is after the cable is mended, reaches both sides.
    bridge.set(&nodes[0].place, "up");
    nodes[0].is_called(&world, 53);
    nodes[1].is_called(&world, 54);
    await_healed(&nodes);

    assert_eq!((nodes[4].named(), nodes[4].blocked()), (0, BTreeSet::from([45])));
    let known_of_5 =
        nodes[..4].iter().any(|node| node.peers().to_string().contains(&key(5).to_string()));
    assert!(!known_of_5, "who shares nothing does not announce itself");
    for Sharer { node, place } in nodes {
        assert!(!node.lines().iter().any(|line| line.contains("panic")), "{:#?}", node.lines());
        assert!(node.stop().success());
        drop(place);
    }
}

/// Whether the two that trust each other block what each has seen since, and the others know of it.
fn await_healed(nodes: &[Sharer; 5]) {
    let begin = Instant::now();
    let has_healed = || {
        nodes[0].blocked().contains(&54)
            && nodes[1].blocked().is_superset(&BTreeSet::from([53, 55]))
            && nodes[2].named() >= 9
            && nodes[3].named() >= 8
    };
    while !has_healed() {
        let seen = picture(nodes);
        assert!(begin.elapsed() < PATIENCE, "not healed: {seen:?}: {:#}", nodes[0].peers());
        std::thread::sleep(Duration::from_millis(200));
    }
    eprintln!("healed after {:.0} s", begin.elapsed().as_secs_f64());
    let unheard = || nodes[0].node.metric("sentrypeer_peers_epochs_unheard_total");
    assert!(nodes[0].place.inside(unheard) > 0, "what could not be told was not noticed");
    let only_there = [&nodes[2], &nodes[3]].map(Sharer::blocked);
    assert!(only_there.iter().all(|blocked| blocked.is_disjoint(&BTreeSet::from([53, 54]))));
}
