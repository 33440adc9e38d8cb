//! What the HTTP side is given: the policy that holds, the engine's metrics, the node's status.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sentrypeer_http::context::Context;
use sentrypeer_http::counters::Counters;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::identity::Identity;
use sentrypeer_storage::policy::{AllowList, Policy};
use sentrypeer_storage::{Options, Store};
use serde_json::json;

use crate::config::{Allowed, Config};
use crate::control::counts::OrderCounts;
use crate::control::outputs::Watched;
use crate::counters::{self, ShardCounters};
use crate::metrics;
use crate::net::listen::Listening;
use crate::peers::{self, Peers};

/// The program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the database is to be opened.
#[must_use]
pub fn storage_options(config: &Config, identity: &Identity) -> Options {
    let kept = &config.kept;
    Options {
        retention_ns: kept.events_ns(),
        messages_ns: kept.messages_ns(),
        rollup_hours: kept.hours(),
        log_bytes_max: kept.log_bytes_max(),
        ..Options::new(config.db.clone(), identity.node_id)
    }
}

/// The policy that the configuration asks for, without what was [added](crate::allow) to the allow-list.
#[must_use]
pub fn policy(config: &Config, revision: u64) -> Policy {
    Policy {
        legacy_min_verification: config.legacy_min_verification,
        block_private: config.block_private,
        retention_ns: config.kept.events_ns(),
        allow: allow_list(config),
        revision,
        ..Policy::default()
    }
}

/// What nothing may act on: the node's own addresses, what the operator lists, and the front ends,
/// behind which everybody may stand.
fn allow_list(config: &Config) -> AllowList {
    let Allowed { addresses, from_file, numbers, .. } = &config.allowed;
    AllowList::new(own_addresses(), config.test_addresses)
        .with_prefixes(
            addresses
                .iter()
                .chain(from_file.iter().map(|listed| &listed.prefix))
                .chain(&config.proxy_protocol_from)
                .copied(),
        )
        .with_numbers(numbers.iter().cloned())
}

/// The addresses of this machine's interfaces.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        log::warn!(
            "the addresses of this machine's interfaces cannot be read: they are not on the allow-list"
        );
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        })
        .collect()
}

/// What there is to tell about the running node, beside its database.
pub struct Facts {
    /// Who the node is.
    pub node_id: uuid::Uuid,
    /// Where its database is.
    pub database: String,
    /// How its shards wait.
    pub driver: String,
    /// What listens where.
    pub listening: Vec<Listening>,
    /// Each shard's counters.
    pub shards: Vec<Arc<ShardCounters>>,
    /// Whether it answers probes.
    pub responsive: bool,
    /// Its database, for readers.
    pub store: Store,
    /// Its outputs.
    pub outputs: Watched,
    /// Sharing with other nodes.
    pub peers: Peers,
}

/// The context of a running node, whose listeners are open.
#[must_use]
pub fn for_node(
    policy: Arc<ArcSwap<Policy>>,
    facts: Arc<Facts>,
    orders: Arc<OrderCounts>,
    any_origin: bool,
) -> Context {
    let counted = Arc::clone(&facts);
    Context {
        store: facts.store.clone(),
        policy: Box::new(move || policy.load_full()),
        version: VERSION,
        metrics: Box::new(move |out| {
            counters::render(&counted.shards, out);
            metrics::render(&counted.store, out);
            metrics::of_outputs(&counted.outputs.status(&counted.store, Time::now()), out);
            peers::metrics::render(&counted.peers, out);
            orders.render(out);
        }),
        status: Box::new(move || status(&facts)),
        any_origin,
        counters: Counters::default(),
    }
}

/// The context of a database whose node does not run.
#[must_use]
pub fn for_export(policy: Arc<ArcSwap<Policy>>, store: Store) -> Context {
    Context {
        store,
        policy: Box::new(move || policy.load_full()),
        version: VERSION,
        metrics: Box::new(|_| ()),
        status: Box::new(|| serde_json::Value::Null),
        any_origin: true,
        counters: Counters::default(),
    }
}

fn status(facts: &Facts) -> serde_json::Value {
    let store = &facts.store;
    let sum = |count| facts.shards.iter().map(|shard| shard.of(count)).sum::<u64>();
    let snapshot = store.snapshot();
    let listening: Vec<String> =
        facts.listening.iter().map(|l| format!("{} {}", l.transport.name(), l.address)).collect();
    json!({
        "version": VERSION,
        "node_id": facts.node_id.to_string(),
        "database": facts.database,
        "phase": store.phase().name(),
        "driver": facts.driver,
        "shards": facts.shards.len(),
        "mode": if facts.responsive { "responsive" } else { "passive" },
        "listening": listening,
        "events": snapshot.as_ref().map(|s| s.events()),
        "last_event": snapshot.as_ref().map(|s| s.through.0),
        "sources": snapshot.as_ref().map(|s| s.sources.len()),
        "numbers": snapshot.as_ref().map(|s| s.numbers.len()),
        "datagrams_received": sum(counters::Count::Datagrams),
        "events_shed": sum(counters::Count::ShedNoArena),
        "kernel_drops": sum(counters::Count::KernelDrops),
        "outputs": outputs_in_short(facts),
        "peers": peers_in_short(&facts.peers),
    })
}

/// How the outputs are doing, without where they go: more people read this than may know that.
fn outputs_in_short(facts: &Facts) -> Option<Vec<serde_json::Value>> {
    let all = facts.outputs.status(&facts.store, Time::now());
    let some = all
        .iter()
        .map(|output| {
            json!({
                "name": output.name,
                "state": output.state.name(),
                "lag_events": output.lag_events,
                "lag_s": output.lag_s,
                "failures": output.failures,
            })
        })
        .collect::<Vec<_>>();
    (!some.is_empty()).then_some(some)
}

/// How sharing is doing, without who the others are; none if the node does not share.
fn peers_in_short(peers: &Peers) -> Option<serde_json::Value> {
    let Some(status) = peers.status() else {
        return peers.is_wanted().then(|| json!({ "state": "starting" }));
    };
    Some(json!({
        "state": if status.port == 0 { "restarting" } else { "running" },
        "port": status.port,
        "shares": status.shares,
        "known": status.peers.len(),
        "readable": status.partners,
        "listed_addresses": status.listed.0,
        "listed_numbers": status.listed.1,
        "is_lonely": status.is_lonely,
        "held": status.held,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(args: &[&str]) -> (Options, Policy) {
        let words = std::iter::once("sentrypeer").chain(args.iter().copied());
        let loaded = crate::config::load(words.map(Into::into), std::iter::empty(), None).unwrap();
        let identity = Identity { node_id: uuid::Uuid::nil(), secret: [0; 32] };
        (storage_options(&loaded.config, &identity), policy(&loaded.config, 0))
    }

    #[test]
    fn what_is_kept_for_how_long_is_what_was_asked_for() {
        const HOUR_NS: u64 = 3_600_000_000_000;
        let (options, policy) = kept(&[]);
        let usual = Options::new("x", uuid::Uuid::nil());
        assert_eq!(options.retention_ns, usual.retention_ns);
        assert_eq!(options.messages_ns, usual.messages_ns);
        assert_eq!(options.rollup_hours, usual.rollup_hours);
        assert_eq!(options.log_bytes_max, usual.log_bytes_max);
        assert_eq!(policy.retention_ns, Policy::default().retention_ns);
        let (options, policy) = kept(&[
            "--events-keep-days=30",
            "--messages-keep-days=2",
            "--hours-keep-days=400",
            "--log-size-max-mb=16",
        ]);
        assert_eq!(options.retention_ns, 720 * HOUR_NS);
        assert_eq!(options.messages_ns, 48 * HOUR_NS);
        assert_eq!((options.rollup_hours, options.log_bytes_max), (9_600, 16_000_000));
        assert_eq!(policy.retention_ns, options.retention_ns);
    }
}
