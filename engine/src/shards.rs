//! The shards' threads: which processors they are pinned to, and which driver waits for them.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use rustls::ServerConfig;
use sentrypeer_storage::event::Transport;
use sentrypeer_storage::identity::Identity;
use sentrypeer_storage::intake::ShardIntake;

use crate::config::{self, Config, Listen};
use crate::counters::ShardCounters;
use crate::honeypot::Honeypot;
use crate::honeypot::cookie::CookieKey;
use crate::limits::{
    DESCRIPTORS_RESERVED, PROXY_WAITING_MAX, STREAMS_CLOSING_MAX, STREAMS_PER_SHARD_MAX,
    STREAMS_PER_SHARD_MIN,
};
use crate::net::listen::{Endpoint, Listening, Ports, StreamPort};
use crate::net::lobby::{FrontEnds, Lobby};
use crate::net::outlet::{Own, Rules, Seed};
use crate::net::{self, Driver, UringRefused};
use crate::shard::{Parts, Shard};

/// The driver that was asked for by name cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--driver uring: {0}; use --driver auto or --driver poll")]
pub struct DriverError(#[source] UringRefused);

/// What all shards have in common.
pub struct Plan {
    /// How they wait.
    pub driver: Driver,
    /// What they answer with; none in passive mode.
    pub honeypot: Option<Arc<Honeypot>>,
    /// Connections that each may hold.
    pub streams_max: usize,
    /// How TLS is spoken, where something listens for it.
    pub tls: Option<Arc<ArcSwap<ServerConfig>>>,
    /// What may be sent over UDP: each shard's share.
    pub rules: Arc<Rules>,
    /// Who connects on behalf of others.
    pub front_ends: Arc<ArcSwap<FrontEnds>>,
    /// Set when they are to stop.
    pub stop: Arc<AtomicBool>,
}

/// What each shard may send over UDP, by the configuration; `listening` is what listens, and `own`
/// are the machine's addresses.
#[must_use]
pub fn rules(config: &Config, listening: &[Listening], own: Vec<IpAddr>) -> Arc<Rules> {
    let udp = listening.iter().filter(|l| l.transport == Transport::Udp);
    Arc::new(Rules {
        limits: config.answer_rates.share(config.shards),
        seed: Seed::random(),
        own: Own { sockets: udp.map(|l| l.address).collect(), addresses: own },
    })
}

/// Where the configuration wants SIP, plain and over TLS.
#[must_use]
pub fn endpoints(config: &Config) -> (Vec<Endpoint>, Vec<Endpoint>) {
    let endpoint =
        |listen: &Listen| Endpoint { address: listen.addr, optional: listen.defaulted() };
    (
        config.sip_listen.iter().map(endpoint).collect(),
        config.tls_listen.iter().map(endpoint).collect(),
    )
}

/// Chooses the driver, after asking the kernel.
///
/// # Errors
///
/// If io_uring was asked for by name and cannot be used.
pub fn driver(wanted: config::Driver) -> Result<Driver, DriverError> {
    match (wanted, net::uring_usable()) {
        (config::Driver::Poll, _) => Ok(Driver::Poll),
        (_, Ok(())) => Ok(Driver::Uring),
        (config::Driver::Uring, Err(reason)) => Err(DriverError(reason)),
        (config::Driver::Auto, Err(reason)) => {
            log::warn!("{reason}; going on with the poll driver, which does the same");
            Ok(Driver::Poll)
        }
    }
}

/// Connections that each of `shards` shards may hold, so that the descriptors suffice for them and
/// for everything else.
#[must_use]
pub fn streams_max(descriptors: u64, shards: usize) -> usize {
    let left = descriptors.saturating_sub(DESCRIPTORS_RESERVED);
    let each = usize::try_from(left).unwrap_or(usize::MAX) / shards;
    // Those that wait for a header, and those that are being closed, have a descriptor too.
    let each = each.saturating_sub(PROXY_WAITING_MAX + STREAMS_CLOSING_MAX);
    each.clamp(STREAMS_PER_SHARD_MIN, STREAMS_PER_SHARD_MAX)
}

/// What answers, if the node answers.
#[must_use]
pub fn honeypot(config: &Config, identity: &Identity) -> Option<Arc<Honeypot>> {
    let key = CookieKey::from_secret(&identity.secret);
    config.responsive.then(|| Arc::new(Honeypot::new(config.conduct, key)))
}

/// Handles and counters, shard by shard.
pub type Spawned = (Vec<JoinHandle<()>>, Vec<Arc<ShardCounters>>);

/// Starts a thread for each shard, each on a processor of its own as far as there are enough.
/// `ended` is called when one ends, for whatever reason.
///
/// # Errors
///
/// If the system gives no thread.
pub fn spawn(
    plan: &Plan,
    ports: Vec<Ports>,
    intakes: Vec<ShardIntake>,
    ended: &Arc<dyn Fn() + Send + Sync>,
) -> io::Result<Spawned> {
    let processors = processors();
    let mut spawned = (Vec::new(), Vec::new());
    for (index, (mut ports, intake)) in ports.into_iter().zip(intakes).enumerate() {
        for port in &mut ports.udp {
            port.rules = Arc::clone(&plan.rules);
        }
        for port in &mut ports.streams {
            port.front_ends = Arc::clone(&plan.front_ends);
        }
        let counters = Arc::new(ShardCounters::default());
        let shard = Shard::new(Parts {
            intake,
            honeypot: plan.honeypot.clone(),
            counters: Arc::clone(&counters),
            streams_max: plan.streams_max,
            tls: plan.tls.clone(),
            udp: ports.udp,
            stop: Arc::clone(&plan.stop),
        });
        let lobby = Lobby::new(Arc::clone(&counters));
        let processor = processors.get(index % processors.len().max(1)).copied();
        let (driver, end) = (plan.driver, End(Arc::clone(ended)));
        let thread = thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
            let _end = end;
            pin(processor);
            drive(driver, shard, ports.streams, lobby);
        })?;
        spawned.0.push(thread);
        spawned.1.push(counters);
    }
    Ok(spawned)
}

/// Tells that a thread ended, even if it panicked.
struct End(Arc<dyn Fn() + Send + Sync>);

impl Drop for End {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn drive(driver: Driver, shard: Shard, streams: Vec<StreamPort>, lobby: Lobby) {
    let (shard, streams, lobby) = match driver {
        Driver::Poll => (shard, streams, lobby),
        Driver::Uring => match net::uring::run(shard, streams, lobby) {
            Ok(()) => return,
            Err(back) => {
                log::warn!("io_uring: {}; this shard goes on with the poll driver", back.reason);
                (*back.shard, back.streams, back.lobby)
            }
        },
    };
    if let Err(error) = net::poll::run(shard, streams, lobby) {
        log::error!("waiting for the sockets failed: {error}");
    }
}

/// The processors that this process may run on.
fn processors() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect()
}

/// Pins the calling thread. A thread that cannot be pinned runs all the same, only less evenly.
fn pin(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    let pinned = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        log::debug!("pinning to processor {processor}: {error}");
    }
}
