//! What there is to see of sharing: for `sentrypeer peers`, the API and the metrics.

use crate::book::Book;
use crate::epoch::{Epoch, Sequence, day_of};
use crate::grants::Regard;
use crate::quorum::QuorumStats;
use crate::session::{Counts, Session};
use crate::trust::Distrust;
use crate::wire::NodeKey;

/// One node as this one sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStatus {
    /// Its name.
    pub node: NodeKey,
    /// When it was first met, in seconds since 1970.
    pub first_s: u64,
    /// The last epoch in which it announced or was read.
    pub last: Epoch,
    /// The last of its batches that was read, if one was.
    pub sequence: Option<Sequence>,
    /// Records that were taken from it.
    pub got: u64,
    /// Of those, what turned out to be true.
    pub confirmed: u64,
    /// Records that were refused.
    pub refused: u64,
    /// Records that were published while it could read us.
    pub given: u64,
    /// Its credit.
    pub credit: f64,
    /// What it told first lately that turned out to be true.
    pub first: f64,
    /// Whether it counts in a quorum.
    pub counts: bool,
    /// How the operator sees it.
    pub regard: Regard,
    /// Why it is not believed, if so.
    pub distrust: Option<Distrust>,
    /// Whether we can read it today.
    pub can_read: bool,
    /// Whether it can read us today.
    pub is_granted: bool,
    /// Addresses that it names, and those that are listed only because of it.
    pub names: (u32, u32),
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Our own name; `None` before the start.
    pub node: Option<NodeKey>,
    /// Our UDP port; 0 if OpenDHT does not run.
    pub port: u16,
    /// The smallest receive buffer, as the system counts it.
    pub receive_buffer: Option<usize>,
    /// Whether own data is shared.
    pub shares: bool,
    /// The present epoch.
    pub epoch: Epoch,
    /// Our last batch.
    pub sequence: Option<Sequence>,
    /// Why nothing is published, if so.
    pub held: Option<String>,
    /// Whether somebody else publishes with our key.
    pub twin_seen: bool,
    /// Nodes that can be read today.
    pub partners: usize,
    /// Whether no other node was met for five minutes.
    pub is_lonely: bool,
    /// Every node that is known, in the order of their keys.
    pub peers: Vec<PeerStatus>,
    /// Nodes that were forgotten because there were too many.
    pub peers_evicted: u64,
    /// Addresses and numbers that peers name.
    pub named: (usize, usize),
    /// Addresses and numbers that are listed by what peers say.
    pub listed: (usize, usize),
    /// What was turned away, of addresses and of numbers.
    pub turned_away: (QuorumStats, QuorumStats),
    /// Gets that were planned and not made.
    pub gets_given_up: u64,
    /// What was counted.
    pub counts: Counts,
    /// Events of OpenDHT, and values of full keys, that were dropped.
    pub dropped: (u64, u64),
    /// How often OpenDHT was started again.
    pub restarts: u64,
}

/// The nodes that are known.
#[must_use]
pub fn peers(session: &Session, epoch: Epoch, now_s: u64) -> Vec<PeerStatus> {
    let book: &Book = &session.book;
    let mut peers: Vec<PeerStatus> = book
        .ledger
        .iter()
        .map(|peer| {
            let id = book.ledger.id(peer.node);
            PeerStatus {
                node: peer.node,
                first_s: peer.first_s,
                last: peer.last,
                sequence: Some(peer.sequence).filter(|sequence| sequence.0 > 0),
                got: peer.got,
                confirmed: peer.confirmed,
                refused: peer.refused,
                given: peer.given,
                credit: peer.credit(now_s),
                first: peer.first(now_s),
                counts: id.is_some_and(|id| book.ledger.standing(id, now_s).counts),
                regard: book.trust.regard(peer.node, now_s),
                distrust: book.trust.distrust(peer.node, now_s),
                can_read: session.reader().can_read(peer.node, epoch),
                is_granted: peer.is_granted(day_of(now_s)),
                names: id.map(|id| book.sources.share(id)).unwrap_or_default(),
            }
        })
        .collect();
    peers.sort_unstable_by_key(|peer| peer.node);
    peers
}
