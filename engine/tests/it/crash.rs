//! kill -9 during load: what was committed is there once, and the aggregates equal a recount.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sentrypeer_storage::recount::recount;

use crate::harness::{Node, plan, plan_in, request};

/// Kills in one run; each leaves whatever the writer was doing at that moment.
const KILLS: u32 = 10;

/// Events that must have come in before a kill, so that there is something to lose.
const EVENTS_BETWEEN_KILLS: u64 = 2_000;

#[test]
fn what_was_committed_survives_kill_9_and_the_counts_are_exact() {
    let mut node = plan(&[]).start();
    let folder = node.folder.clone();
    let mut committed = 0;
    for round in 0..KILLS {
        let load = Load::start(&node, round);
        node.await_events(committed + EVENTS_BETWEEN_KILLS);
        committed = node.events();
        node.child.kill().unwrap();
        node.wait();
        load.stop();

        let counted = recount(&node.database()).unwrap();
        assert!(counted.is_exact(), "round {round}: {:?}", counted.faults);
        assert!(counted.events >= committed, "round {round}: {} of {committed}", counted.events);
        node = plan_in(&folder, &[]).start();
        assert_eq!(node.events(), counted.events, "round {round}");
        committed = counted.events;
    }
    assert!(node.stop().success());
}

/// Datagrams in the background, as fast as one thread sends them, each with a Call-ID of its own.
struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Load {
    fn start(node: &Node, round: u32) -> Self {
        let (address, stop) = (node.udp.unwrap(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let sockets: Vec<UdpSocket> = (1..=16)
                .map(|host| UdpSocket::bind(SocketAddr::from(([127, 0, 9, host], 0))).unwrap())
                .collect();
            for call in 0_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let number = format!("00{}", 4_000_000 + call % 500);
                let text = request("INVITE", &number, &format!("{round}-{call}"), "UDP");
                let socket = &sockets[usize::try_from(call % 16).unwrap()];
                let _ = socket.send_to(text.as_bytes(), address);
            }
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
