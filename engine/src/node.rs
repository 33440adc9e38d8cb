//! A node's life: everything is opened, what runs where is said, signals are waited for, and
//! everything is ended in the order that loses nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use sentrypeer_export::Outputs;
use sentrypeer_storage::identity;
use sentrypeer_storage::intake;
use sentrypeer_storage::{self as storage, Store, WriterThread};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::allow::Book;
use crate::config::{Config, ConfigError, Loaded};
use crate::context::{self, Facts};
use crate::control::charge::Charge;
use crate::control::counts::OrderCounts;
use crate::control::outputs::Watched;
use crate::control::{self, Control};
use crate::fronts::{self, Fronts};
use crate::guard::Guard;
use crate::limits::{OUTPUTS_STOP_MS, PEERS_STOP_MS, READY_POLL_MS, STOP_MS};
use crate::net::{self, listen};
use crate::peers::Peers;
use crate::reload::Reloadable;
use crate::{outputs, shards, startup};

/// Why the node cannot run, or ended by itself. Each says what failed and what to do.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the main thread waits for.
enum Happening {
    /// SIGHUP came.
    Reload,
    /// SIGTERM or SIGINT came.
    Stop,
    /// The writer's thread ended, with its reason if it had one.
    WriterEnded(Result<(), Failure>),
    /// A shard's thread ended.
    ShardEnded,
}

/// Runs a node until a signal ends it. `load` reads the configuration again, for SIGHUP.
#[must_use]
pub fn run(config: Config, load: &dyn Fn() -> Result<Loaded, ConfigError>) -> ExitCode {
    let ended = Node::start(config).and_then(|node| node.attend(load));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A running node.
struct Node {
    happenings: Receiver<Happening>,
    stop: Arc<AtomicBool>,
    shards: Vec<JoinHandle<()>>,
    store: Store,
    reloadable: Reloadable,
    outputs: Outputs,
    peers: Peers,
    /// What answers questions, once it does.
    outside: Option<(Fronts, Control)>,
}

impl Node {
    /// Opens everything. Sockets are bound before the database is opened, and shards answer before
    /// it is ready.
    fn start(config: Config) -> Result<Self, Failure> {
        let (report, happenings) = unbounded();
        watch_signals(report.clone())?;
        let descriptors = net::raise_descriptor_limit();
        let bound = control::bind(&config.db)?;
        let identity = identity::load_or_create(&config.db)?;
        let guard = Guard::new(&config)?;
        let allow = Book::open(&config)?;
        allow.watch_ends()?;
        let fronts = fronts::bind(&config, &guard)?;
        let (sip, tls) = shards::endpoints(&config);
        let (ports, listening) = listen::open(&sip, &tls, config.shards.get())?;
        let reloadable = Reloadable::new(config, guard, allow, &listening)?;
        let config = reloadable.config();
        let driver = shards::driver(config.driver)?;

        let (intakes, writer_end) = intake::channel(config.shards.get());
        let (store, writer) =
            storage::start(context::storage_options(config, &identity), writer_end);
        watch_writer(writer, report.clone())?;
        let policy = || reloadable.allow().policy();
        let peers = Peers::prepare(config, identity.node_id, &store, policy())?;
        let outputs = outputs::start(config, &identity, &store, policy())?;
        let stop = Arc::new(AtomicBool::new(false));
        let streams_max = shards::streams_max(descriptors, config.shards.get());
        let plan = shards::Plan {
            driver,
            honeypot: shards::honeypot(config, &identity),
            streams_max,
            tls: reloadable.tls(),
            front_ends: reloadable.front_ends(),
            rules: shards::rules(config, &listening, context::own_addresses()),
            stop: Arc::clone(&stop),
        };
        let ended: Arc<dyn Fn() + Send + Sync> =
            Arc::new(move || drop(report.send(Happening::ShardEnded)));
        let (shards, counters) = shards::spawn(&plan, ports, intakes, &ended)?;
        let watched = Watched::new(outputs.handles().cloned());
        let outside = None;
        let mut node =
            Self { happenings, stop, shards, store, reloadable, outputs, peers, outside };
        let facts = Facts {
            node_id: identity.node_id,
            database: node.reloadable.config().db.display().to_string(),
            driver: driver.to_string(),
            listening,
            shards: counters,
            responsive: node.reloadable.config().responsive,
            store: node.store.clone(),
            outputs: watched,
            peers: node.peers.clone(),
        };
        match node.open_to_outside(facts, bound, fronts, streams_max) {
            Ok(()) => Ok(node),
            // The shards have answered already: what they have is stored.
            Err(error) => match node.end(Err(error), false) {
                Err(error) => Err(error),
                Ok(()) => Err("the node did not start".into()),
            },
        }
    }

    /// Starts to answer questions, and says what runs where.
    fn open_to_outside(
        &mut self,
        facts: Facts,
        control: control::Bound,
        fronts: fronts::Bound,
        streams_max: usize,
    ) -> Result<(), Failure> {
        let facts = Arc::new(facts);
        let allow = Arc::clone(self.reloadable.allow());
        let orders = Arc::<OrderCounts>::default();
        let any_origin = self.reloadable.config().api.any_origin;
        let charge = Charge {
            store: self.store.clone(),
            tokens: self.reloadable.guard().tokens(),
            outputs: facts.outputs.clone(),
            peers: facts.peers.clone(),
            allow: Some(allow.clone()),
        };
        let (told, counted) = (Arc::clone(&facts), Arc::clone(&orders));
        let context = Arc::new(context::for_node(allow.policy(), told, counted, any_origin));
        let control = control.serve(Arc::clone(&context), charge, orders)?;
        let fronts = fronts.serve(&context, allow)?;
        startup::say(self.reloadable.config(), &facts, &fronts, streams_max);
        self.outside = Some((fronts, control));
        Ok(())
    }

    /// Waits for what happens, until it is time to end.
    fn attend(mut self, load: &dyn Fn() -> Result<Loaded, ConfigError>) -> Result<(), Failure> {
        let mut announced = false;
        loop {
            if !announced {
                announced = startup::announce_when_ready(&self.store);
                // It reads the database: nothing waits for it until that is open, and nothing after.
                if announced
                    && self.store.snapshot().is_some()
                    && let Err(error) = self.peers.start()
                {
                    return self.end(Err(error.into()), false);
                }
            }
            let happening = if announced {
                self.happenings.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.happenings.recv_timeout(Duration::from_millis(READY_POLL_MS))
            };
            match happening {
                Ok(Happening::Reload) => {
                    self.reloadable.reload(load());
                    self.outputs.reopen();
                }
                Ok(Happening::Stop) => {
                    log::info!("stopping: no more intake, the last events are being stored");
                    return self.end(Ok(()), false);
                }
                Ok(Happening::WriterEnded(result)) => {
                    let result = result.and_then(|()| Err("the writer ended by itself".into()));
                    return self.end(result, true);
                }
                Ok(Happening::ShardEnded) => {
                    let error = "a shard ended by itself; see the lines above".into();
                    return self.end(Err(error), false);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return self.end(Err("nobody watches the signals any more".into()), false);
                }
            }
        }
    }

    /// Ends everything: intake first, then the writer's last commit, then the rest. `outcome` is
    /// what the process is to end with if that succeeds.
    fn end(self, outcome: Result<(), Failure>, writer_ended: bool) -> Result<(), Failure> {
        watch_the_clock()?;
        let peers = self.peers.stop();
        // Before the shards let go of the writer: it stores how far the outputs have got.
        for output in self.outputs.stop(Duration::from_millis(OUTPUTS_STOP_MS)) {
            log::warn!(
                "output {output}: its receiver keeps it waiting; what that has not confirmed comes again"
            );
        }
        peers.wait(Duration::from_millis(PEERS_STOP_MS));
        self.stop.store(true, Ordering::Relaxed);
        for shard in self.shards {
            if shard.join().is_err() {
                log::error!("a shard panicked; what it had not handed over is lost");
            }
        }
        let stored = if writer_ended { Ok(()) } else { await_writer(&self.happenings) };
        if let Some((fronts, control)) = self.outside {
            fronts.stop();
            drop(control);
        }
        if let (Ok(()), Some(snapshot)) = (&outcome, self.store.snapshot()) {
            log::info!("stopped; {} events are in the log", snapshot.events());
        }
        outcome.and(stored)
    }
}

/// Waits for the writer's last commit.
fn await_writer(happenings: &Receiver<Happening>) -> Result<(), Failure> {
    loop {
        match happenings.recv() {
            Ok(Happening::WriterEnded(result)) => return result,
            Ok(Happening::Reload | Happening::Stop | Happening::ShardEnded) => {}
            Err(_) => return Err("the writer's end was not seen".into()),
        }
    }
}

/// Ends the process with an error if its orderly end takes too long.
fn watch_the_clock() -> Result<(), Failure> {
    thread::Builder::new().name("stop-watch".to_owned()).spawn(|| {
        thread::sleep(Duration::from_millis(STOP_MS));
        log::error!("the stop took longer than {STOP_MS} ms: ending without the rest");
        std::process::exit(1);
    })?;
    Ok(())
}

/// Reports signals. A second one that asks for the end gets it at once.
fn watch_signals(report: Sender<Happening>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for signal in &mut signals {
            let happening = match signal {
                SIGHUP => Happening::Reload,
                _ if stopping => {
                    log::warn!("a second signal: ending at once");
                    std::process::exit(1);
                }
                _ => {
                    stopping = true;
                    Happening::Stop
                }
            };
            if report.send(happening).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn watch_writer(writer: WriterThread, report: Sender<Happening>) -> Result<(), Failure> {
    thread::Builder::new().name("writer-watch".to_owned()).spawn(move || {
        let result = writer.join().map_err(Failure::from);
        // When nobody listens any more the process is ending anyway.
        let _ = report.send(Happening::WriterEnded(result));
    })?;
    Ok(())
}
