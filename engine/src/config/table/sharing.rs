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
        .takes(Kind::List, "HOST[:PORT]")
        .or(Fallback::Text("bootstrap.sentrypeer.org:4222"))
        .help("Node through which to find the others; may be repeated"),
    Setting::new(Id::Share, Group::Sharing, "share")
        .key("peers.share")
        .env(&["SENTRYPEER_SHARE"])
        .or(Fallback::On)
        .help(
            "Give what this node has seen itself and what is proven. Who gives nothing gets \
             nothing, but for what nodes of 4.x publish",
        ),
    Setting::new(Id::PeerPort, Group::Sharing, "peer-port")
        .key("peers.port")
        .env(&["SENTRYPEER_PEER_PORT"])
        .takes(Kind::Number, "PORT")
        .or(Fallback::Text("4222"))
        .help("UDP port for other nodes, on every address; 0 for any"),
    Setting::new(Id::PeerNetwork, Group::Sharing, "peer-network")
        .key("peers.network")
        .env(&["SENTRYPEER_PEER_NETWORK"])
        .takes(Kind::Number, "ID")
        .or(Fallback::Text("0"))
        .help("Id of the OpenDHT network. Nodes of 4.x are in network 0"),
    Setting::new(Id::PeerPoolSecret, Group::Sharing, "peer-pool-secret")
        .key("peers.pool_secret")
        .env(&["SENTRYPEER_PEER_POOL_SECRET"])
        .takes(Kind::Value, "SECRET")
        .secret()
        .help(
            "Share only with nodes that have the same secret, and believe each of them. The format \
             of 4.x is off then",
        ),
    Setting::new(Id::PeerPoolSecretFile, Group::Sharing, "peer-pool-secret-file")
        .key("peers.pool_secret_file")
        .env(&["SENTRYPEER_PEER_POOL_SECRET_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds that secret, which is then in no list of processes"),
    Setting::new(Id::PeersTrusted, Group::Sharing, "peers-trusted")
        .key("peers.trusted")
        .env(&["SENTRYPEER_PEERS_TRUSTED"])
        .takes(Kind::List, "KEY")
        .help("Key of a node whose word is enough; may be repeated"),
    Setting::new(Id::PeersDenied, Group::Sharing, "peers-denied")
        .key("peers.denied")
        .env(&["SENTRYPEER_PEERS_DENIED"])
        .takes(Kind::List, "KEY")
        .help("Key of a node that is not believed, whatever it says; may be repeated"),
    Setting::new(Id::PeerQuorum, Group::Sharing, "peer-quorum")
        .key("peers.quorum")
        .env(&["SENTRYPEER_PEER_QUORUM"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("3"))
        .help("Nodes with credit that must agree before what they say is acted on"),
    Setting::new(Id::PeersLegacy, Group::Sharing, "peers-legacy")
        .key("peers.legacy")
        .env(&["SENTRYPEER_PEERS_LEGACY"])
        .or(Fallback::On)
        .help("Exchange events with nodes of 4.x too. What they say is never acted on"),
    Setting::new(Id::PeerEpoch, Group::Sharing, "peer-epoch-s")
        .key("peers.epoch_s")
        .env(&["SENTRYPEER_PEER_EPOCH_S"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("600"))
        .help(
            "Seconds that are told at once. Other than by default only in a pool or a network of your \
             own, and the same at all its nodes",
        ),
];
