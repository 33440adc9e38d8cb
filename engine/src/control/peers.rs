//! Orders about sharing with other nodes.
//!
//! | line | what is done | document |
//! |---|---|---|
//! | `peers list` | nothing | how sharing is doing, and which nodes are known |
//! | `peers pardon KEY` | the distrust of a node that was caught lying is lifted | its key |

use sentrypeer_dht::grants::Regard;
use sentrypeer_dht::status::{PeerStatus, Status};
use sentrypeer_dht::trust::Distrust;
use sentrypeer_dht::wire::NodeKey;
use sentrypeer_storage::event::Time;
use sentrypeer_storage::utc::Utc;
use serde_json::{Value, json};

use super::order::{Refusal, malformed};
use crate::peers::Peers;

/// What is to be done about sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerOrder {
    /// Say how it is doing.
    List,
    /// Lift the distrust of a node.
    Pardon(NodeKey),
}

impl PeerOrder {
    /// Its words, behind `peers`.
    pub(super) fn words(self) -> Vec<String> {
        match self {
            Self::List => vec!["list".to_owned()],
            Self::Pardon(node) => vec!["pardon".to_owned(), node.to_string()],
        }
    }

    /// Understands the words behind `peers`.
    pub(super) fn decode(words: &[&str]) -> Result<Self, Refusal> {
        match *words {
            ["list"] => Ok(Self::List),
            ["pardon", node] => {
                node.parse().map(Self::Pardon).map_err(|error| malformed(&format!("{error}")))
            }
            _ => Err(malformed("this version knows no such order about peers")),
        }
    }

    /// Carries it out.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where the node does not share.
    pub(super) fn carry_out(self, peers: &Peers) -> Result<Value, Refusal> {
        if !peers.is_wanted() {
            return Err(malformed("this node does not share with others; start it with -p"));
        }
        let not_yet = || Refusal::new(503, "sharing has not begun yet; try again");
        let status = peers.status().ok_or_else(not_yet)?;
        match self {
            Self::List => Ok(document(&status)),
            Self::Pardon(node) => {
                let is_known = status.peers.iter().any(|peer| peer.node == node);
                if !is_known {
                    return Err(malformed(
                        "no such node is known; \"sentrypeer peers\" lists them",
                    ));
                }
                if !peers.pardon(node) {
                    return Err(not_yet());
                }
                log::info!(target: "audit", "peers: {node} is pardoned");
                Ok(json!({ "node": node.to_string() }))
            }
        }
    }
}

/// All of it as JSON.
fn document(status: &Status) -> Value {
    json!({
        "node": status.node.map(|node| node.to_string()),
        "port": status.port,
        "shares": status.shares,
        "epoch": status.epoch.0,
        "sequence": status.sequence.map(|sequence| sequence.0),
        "held": status.held,
        "twin_seen": status.twin_seen,
        "readable": status.partners,
        "is_lonely": status.is_lonely,
        "named": of_both(status.named),
        "listed": of_both(status.listed),
        "refused": status.counts.refused.iter().map(|((what, why), times)| json!({
            "what": what, "why": why, "times": times,
        })).collect::<Vec<_>>(),
        "peers": status.peers.iter().map(of_peer).collect::<Vec<_>>(),
    })
}

fn of_both((addresses, numbers): (usize, usize)) -> Value {
    json!({ "addresses": addresses, "numbers": numbers })
}

fn of_peer(peer: &PeerStatus) -> Value {
    json!({
        "node": peer.node.to_string(),
        "first_met": utc(peer.first_s),
        "last_epoch": peer.last.0,
        "sequence": peer.sequence.map(|sequence| sequence.0),
        "got": peer.got,
        "confirmed": peer.confirmed,
        "refused": peer.refused,
        "given": peer.given,
        "credit": peer.credit,
        "first": peer.first,
        "counts": peer.counts,
        "regard": match peer.regard {
            Regard::Usual => "usual",
            Regard::Trusted => "trusted",
            Regard::Denied => "denied",
        },
        "distrust": peer.distrust.map(|distrust| match distrust {
            Distrust::Denied => json!({ "why": "denied" }),
            Distrust::Lied { until_s } => json!({ "why": "lied", "until": utc(until_s) }),
        }),
        "can_read": peer.can_read,
        "is_granted": peer.is_granted,
        "names": peer.names.0,
        "lists_alone": peer.names.1,
    })
}

fn utc(unix_s: u64) -> String {
    Utc(Time(unix_s.saturating_mul(1_000_000_000))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_share_says_how_it_would() {
        let refusal = PeerOrder::List.carry_out(&Peers::default()).unwrap_err();
        assert!(refusal.status == 400 && refusal.why.contains("-p"), "{refusal:?}");
    }

    #[test]
    fn the_document_of_a_peer_says_why_it_is_not_believed() {
        let peer = PeerStatus {
            node: NodeKey([7; 32]),
            first_s: 1_700_000_000,
            last: sentrypeer_dht::epoch::Epoch(3),
            sequence: None,
            got: 1,
            confirmed: 2,
            refused: 3,
            given: 4,
            credit: 0.5,
            first: 0.0,
            counts: false,
            regard: Regard::Usual,
            distrust: Some(Distrust::Lied { until_s: 1_700_086_400 }),
            can_read: true,
            is_granted: false,
            names: (5, 0),
        };
        let document = of_peer(&peer);
        assert_eq!(document["node"], "07".repeat(32));
        assert_eq!(document["distrust"]["why"], "lied");
        assert_eq!(document["distrust"]["until"], utc(1_700_086_400));
        assert!(document["sequence"].is_null());
    }
}
