//! Sharing with other nodes, beside the two flags of SentryPeer 4.x.

use super::compat::{Row, row, with};
use super::*;

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn of(config: &Config) -> &Sharing {
    config.sharing.as_ref().unwrap()
}

pub(super) const ROWS: &[Row] = &[
    with(
        &["-p"],
        row(None, "peer-port", &["SENTRYPEER_PEER_PORT"], "peers.port = 5", "5", |c| {
            of(c).port == 5
        }),
    ),
    with(
        &["-p"],
        row(None, "peer-network", &["SENTRYPEER_PEER_NETWORK"], "peers.network = 9", "9", |c| {
            of(c).network == 9
        }),
    ),
    with(
        &["-p"],
        row(
            None,
            "peer-pool-secret",
            &["SENTRYPEER_PEER_POOL_SECRET"],
            "peers.pool_secret = 'x'",
            "x",
            |c| of(c).pool.as_ref().unwrap().secret.reveal() == "x" && !of(c).legacy,
        ),
    ),
    with(
        &["-p"],
        row(
            None,
            "peers-trusted",
            &["SENTRYPEER_PEERS_TRUSTED"],
            "peers.trusted = '0707070707070707070707070707070707070707070707070707070707070707'",
            KEY,
            |c| of(c).trusted[0].to_string() == KEY && of(c).denied.is_empty(),
        ),
    ),
    with(
        &["-p"],
        row(
            None,
            "peers-denied",
            &["SENTRYPEER_PEERS_DENIED"],
            "peers.denied = '0707070707070707070707070707070707070707070707070707070707070707'",
            KEY,
            |c| of(c).denied[0].to_string() == KEY && of(c).trusted.is_empty(),
        ),
    ),
    with(
        &["-p"],
        row(None, "peer-quorum", &["SENTRYPEER_PEER_QUORUM"], "peers.quorum = 5", "5", |c| {
            of(c).quorum == 5
        }),
    ),
    with(
        &["-p", "--peer-pool-secret=x"],
        row(None, "peer-epoch-s", &["SENTRYPEER_PEER_EPOCH_S"], "peers.epoch_s = 6", "6", |c| {
            of(c).epoch_s == 6
        }),
    ),
];

#[test]
fn nodes_to_begin_with_add_up() {
    let config = flags(&["-pb", "x.example", "-b", "[::1]:5"]).config();
    let shown: Vec<String> = of(&config).bootstrap.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["x.example:4222", "[::1]:5"]);
}

#[test]
fn what_is_given_and_the_format_of_4x_are_on_until_switched_off() {
    let config = flags(&["-p"]).config();
    assert!(of(&config).gives && of(&config).legacy);
    for start in [
        flags(&["-p", "--share=off", "--peers-legacy=off"]),
        env("SENTRYPEER_SHARE", "off").env("SENTRYPEER_PEERS_LEGACY", "0").args(&["-p"]),
        file("peer_to_peer = true\n[peers]\nshare = false\nlegacy = false"),
    ] {
        let config = start.config();
        assert!(!of(&config).gives && !of(&config).legacy);
    }
}

#[test]
fn the_secret_of_a_pool_is_read_from_its_file_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "hunter2\n").unwrap();
    let config = flags(&["-p", "--peer-pool-secret-file", path.to_str().unwrap()]).config();
    assert_eq!(of(&config).pool.as_ref().unwrap().secret.reveal(), "hunter2");
    assert!(!format!("{config:?}{}", config.describe()).contains("hunter2"));
    let config = flags(&["-p", "--peer-pool-secret=hunter2"]).config();
    assert!(!format!("{config:?}{}", config.describe()).contains("hunter2"));
    let both = ["--peer-pool-secret=x", "--peer-pool-secret-file", path.to_str().unwrap()];
    let error = flags(&both).error();
    assert!(error.contains("both this and --peer-pool-secret give it"), "{error}");
}

#[test]
fn another_secret_of_the_pool_needs_a_restart() {
    let with = |secret: &str| flags(&["-p", "--peer-pool-secret", secret]).config();
    assert_eq!(restart_keys(&with("x"), &with("x")), Vec::<&str>::new());
    assert!(restart_keys(&with("x"), &with("y")).contains(&"peers.pool_secret"));
}

#[test]
fn what_cannot_be_has_its_remedy() {
    for (args, said) in [
        (["-p", "--peers-trusted=12"], "--peers-trusted: \"12\" is not the key of a node; write"),
        (["-p", "--peer-quorum=0"], "--peer-quorum: \"0\" is not between 1 and 12"),
        (["-p", "--peer-port=65536"], "--peer-port: \"65536\" is not between 0 and 65535"),
        (["-p", "--peer-epoch-s=60"], "--peer-epoch-s: has no effect alone; set a pool's secret"),
    ] {
        let error = flags(&args).error();
        assert!(error.contains(said), "{error}");
    }
    let warnings = flags(&["--peer-quorum=5"]).load().unwrap().warnings;
    let said = "--peer-quorum: has no effect without peer_to_peer (--peer-to-peer)";
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
}

#[test]
fn peers_and_identity_say_what_they_are_asked_for() {
    use crate::control::peers::PeerOrder;
    let wanted = |order, json| Command::Peers(PeersWanted { order, json });
    let pardon = PeerOrder::Pardon(KEY.parse().unwrap());
    for (args, expected) in [
        (["peers"].as_slice(), wanted(PeerOrder::List, false)),
        (&["peers", "--json", "list"], wanted(PeerOrder::List, true)),
        (&["peers", "pardon", KEY], wanted(pardon, false)),
        (&["identity", "show"], Command::Identity(IdentityWanted::Show)),
        (&["identity", "rotate"], Command::Identity(IdentityWanted::Rotate)),
        (&["identity", "export", "x"], Command::Identity(IdentityWanted::Export("x".into()))),
    ] {
        assert_eq!(flags(args).load().unwrap().command, expected, "{args:?}");
    }
    assert_eq!(flags(&["peers", "pardon", "12"]).load().unwrap_err().exit_status(), 2);
}
