//! The lines that a node says when it starts: what listens where, how, which database, who it is,
//! and what the operator should know about the choices that were made.

use sentrypeer_storage::event::{Time, Verification};
use sentrypeer_storage::{Phase, Store};

use crate::config::{Allowed, Config, Sharing};
use crate::context::{Facts, VERSION};
use crate::fronts::Fronts;
use crate::honeypot::Calls;
use crate::limits::STREAMS_PER_SHARD_MAX;

/// Says what runs where.
pub fn say(config: &Config, facts: &Facts, fronts: &Fronts, streams_max: usize) {
    log::info!("version {VERSION}, node {}", facts.node_id);
    log::info!("database {}", facts.database);
    let shards = facts.shards.len();
    let plural = if shards == 1 { "" } else { "s" };
    log::info!("{shards} shard{plural}, driver {}", facts.driver);
    if facts.listening.is_empty() {
        log::info!("SIP is off: this node only serves what it has");
    }
    for listening in &facts.listening {
        log::info!("listening on {} {}", listening.transport.name(), listening.address);
    }
    log::info!("{}", mode(config));
    for address in fronts.api() {
        log::info!("API on {}://{address}", fronts.scheme());
    }
    for socket in fronts.sockets() {
        log::info!("API on the Unix socket {}", socket.display());
    }
    if let Some(address) = fronts.dip() {
        log::info!("dip lane on http://{address}");
    }
    for output in facts.outputs.status(&facts.store, Time::now()) {
        log::info!("output {}: {}", output.name, output.target);
    }
    if let Some(sharing) = &config.sharing {
        log::info!("{}", peers(sharing));
    }
    if config.legacy_min_verification == Verification::Unverified {
        log::info!(
            "/ip-addresses and /numbers list every source, proven or not (--strict demands proof)"
        );
    }
    if let Some(allowed) = allowed(&config.allowed) {
        log::info!("{allowed}");
    }
    warn(config, streams_max);
}

/// With whom is shared, and what.
fn peers(sharing: &Sharing) -> String {
    let network = match &sharing.pool {
        Some(_) => "a private pool".to_owned(),
        None => format!("network {}", sharing.network),
    };
    let gives = match sharing.gives {
        true => "what is proven is shared",
        false => "nothing is given, so nothing is got (--share)",
    };
    let legacy = if sharing.legacy { "; nodes of 4.x are heard" } else { "" };
    format!("peer to peer in {network}: {gives}{legacy}")
}

/// What the operator has listed, if anything.
fn allowed(allowed: &Allowed) -> Option<String> {
    let addresses = allowed.addresses.len() + allowed.from_file.len();
    let numbers = allowed.numbers.len();
    (addresses + numbers > 0).then(|| {
        format!("never acted on: {addresses} addresses and prefixes, {numbers} numbers (allow)")
    })
}

fn mode(config: &Config) -> String {
    if !config.responsive {
        let passive = "passive: nothing is answered, so UDP sources cannot be verified at all";
        return format!("{passive} (-r answers)");
    }
    let name = config.conduct.persona.name;
    let calls = match config.conduct.calls {
        Calls::Answer => "answered".to_owned(),
        Calls::Challenge => "challenged, and then answered".to_owned(),
        Calls::Reject(status) => format!("rejected with {status}"),
    };
    format!(
        "responsive: requests are answered as {name} does (--persona), calls are {calls} (--calls)"
    )
}

fn warn(config: &Config, streams_max: usize) {
    if config.test_addresses {
        log::warn!(
            "--test-addresses: special-purpose and own addresses count like any other; for tests only"
        );
    }
    if streams_max < STREAMS_PER_SHARD_MAX {
        log::warn!(
            "so few descriptors may be open that each shard holds only {streams_max} connections \
             instead of {STREAMS_PER_SHARD_MAX} (ulimit -n)"
        );
    }
}

/// Says that the database is ready, once it is; whether there is anything left to wait for.
#[must_use]
pub fn announce_when_ready(store: &Store) -> bool {
    if let Some(snapshot) = store.snapshot() {
        log::info!(
            "ready: {} events in the log, {} sources, {} numbers",
            snapshot.events(),
            snapshot.sources.len(),
            snapshot.numbers.len()
        );
        return true;
    }
    matches!(store.phase(), Phase::Failed | Phase::Stopped)
}
