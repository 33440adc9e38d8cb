//! What is shared with other nodes.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(Id::PeerToPeer, Group::Sharing, "peer-to-peer")
        .key("peer_to_peer")
        .short('p')
        .env(&["SENTRYPEER_PEER_TO_PEER"])
        .help("Share what is seen with other nodes, and take in what they share"),
    Setting::new(Id::Bootstrap, Group::Sharing, "bootstrap")
        .key("bootstrap")
        .short('b')
        .env(&["SENTRYPEER_BOOTSTRAP_NODE"])
        .takes(Kind::Value, "HOST[:PORT]")
        .or(Fallback::Text("bootstrap.sentrypeer.org:4222"))
        .help("Node through which to find the others"),
];
