//! Somebody drowns every announcement key. Strangers cannot meet then; partners read each other as before.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sentrypeer_dht::epoch::{Calendar, Epoch};
use sentrypeer_dht::keys::{Network, shard};
use sentrypeer_dht::limits::{KEY_BYTES_MAX, PAGES, SHARDS};
use sentrypeer_dht::node::{Config, Event, Kept, Node};
use sentrypeer_storage::event::Verification;

use crate::service::{Peer, carrier, config_of};

const EPOCH_S: u32 = 12;

/// Two of these are more than is read of a key.
const JUNK_BYTES: usize = KEY_BYTES_MAX / 2 + 256;

/// One machine's flood has a rate, for OpenDHT takes only so much of one address, and here all have the same.
const PUTS_PER_S: u32 = 80;

fn now() -> Epoch {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Calendar::with_epoch_s(EPOCH_S).epoch(now)
}

/// Fills every page of every shard, epoch by epoch, from the next one on; `flooded` is the last that is full.
fn flood(config: &Config, flooded: &AtomicU32, stop: &AtomicBool) {
    let node = Node::start(config).unwrap();
    let network = Network::default();
    let mut epoch = now().plus(1);
    while !stop.load(Ordering::Relaxed) {
        for (shard, page) in (0..SHARDS).flat_map(|shard| (0..PAGES).map(move |page| (shard, page)))
        {
            for junk in [[0xa5; JUNK_BYTES], [0x5a; JUNK_BYTES]] {
                // What is lost is lost: a flooder does not wait.
                let _ =
                    node.put(network.announcements(epoch, shard, page), &junk, None, Kept::Once);
                thread::sleep(Duration::from_secs(1) / PUTS_PER_S);
                while node.event(Duration::ZERO).is_some() {}
            }
        }
        flooded.store(epoch.0, Ordering::Relaxed);
        epoch = epoch.plus(1);
    }
}

/// The announcement key of this node's shard, as whoever asks for it gets it.
fn is_drowned(asking: &Node, of: &Peer, epoch: Epoch) -> bool {
    let place = Network::default().announcements(epoch, shard(of.key()), 0);
    let operation = asking.get(place).unwrap();
    let mut junk = 0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        match asking.event(Duration::from_millis(200)) {
            Some(Event::Value { bytes, .. }) => junk += usize::from(bytes.len() == JUNK_BYTES),
            Some(Event::Done { operation: of, .. }) if of == operation => break,
            _ => {}
        }
    }
    junk > 0
}

#[test]
fn a_flood_on_every_announcement_key_does_not_come_between_partners() {
    let folder = tempfile::tempdir().unwrap();
    let (carrier, config) = carrier(8160);
    let one = Peer::start(&folder, "one", config_of(&config, EPOCH_S));
    let two = Peer::start(&folder, "two", config_of(&config, EPOCH_S));
    one.sees("144.21.55.36", Verification::Tls);
    two.sees("144.21.55.38", Verification::Tls);
    two.hears_of("144.21.55.36");
    one.hears_of("144.21.55.38");

    let (flooded, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let flooder = scope.spawn(|| flood(&config, &flooded, &stop));
        let first = now();
        while flooded.load(Ordering::Relaxed) == 0 || now() <= first {
            assert!(!flooder.is_finished());
            thread::sleep(Duration::from_millis(50));
        }
        let refused_before = refused(&two);
        one.sees("144.21.55.40", Verification::Tls);
        let batch = two.hears_of("144.21.55.40");
        let epoch = batch.sequence.epoch();
        assert!(epoch.0 <= flooded.load(Ordering::Relaxed) && epoch > first, "not flooded");
        assert!(is_drowned(&carrier, &one, epoch), "the flood is no flood");
        two.waits_for("the flood to be met", |_| refused(&two) > refused_before);
        stop.store(true, Ordering::Relaxed);
    });
}

fn refused(peer: &Peer) -> u64 {
    let status = peer.status();
    let of_announcements =
        status.counts.refused.iter().filter(|((what, _), _)| *what == "announcement");
    of_announcements.map(|(_, times)| times).sum::<u64>() + status.dropped.1
}
