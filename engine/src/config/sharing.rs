//! Whether and how the node shares with others.

use std::path::PathBuf;

use sentrypeer_dht::bootstrap::Bootstrap;
use sentrypeer_dht::wire::NodeKey;

use super::Config;
use super::check::{Checker, fallback};
use super::describe::{Effective, list, number, on, path};
use super::error::{Fault, Shown};
use super::limits::{PEER_EPOCH_S_MAX, PEER_EPOCH_S_MIN, PEER_QUORUM_MAX};
use super::secret::Secret;
use super::setting::Id;

/// How the node shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Nodes through which to find the others.
    pub bootstrap: Vec<Bootstrap>,
    /// Whether own data is given. Who gives nothing gets nothing, but for the format of 4.x.
    pub gives: bool,
    /// UDP port; 0 for any.
    pub port: u16,
    /// Id of the OpenDHT network.
    pub network: u32,
    /// What the members of a private pool have in common. `None`: the public network.
    pub pool: Option<Pool>,
    /// Nodes whose word is enough.
    pub trusted: Vec<NodeKey>,
    /// Nodes that are not believed, whatever they say.
    pub denied: Vec<NodeKey>,
    /// How many nodes must agree.
    pub quorum: usize,
    /// Whether the format of 4.x is spoken.
    pub legacy: bool,
    /// Length of an epoch, in seconds.
    pub epoch_s: u32,
}

/// A pool's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The secret.
    pub secret: Secret,
    /// The file that held it, if it was in one.
    pub file: Option<PathBuf>,
}

impl Checker<'_> {
    /// Every value is looked at, also while sharing is off.
    pub(super) fn sharing(&mut self) -> Option<Sharing> {
        let has_secret = [Id::PeerPoolSecret, Id::PeerPoolSecretFile]
            .iter()
            .any(|id| self.layer.text(*id).is_some());
        let sharing = Sharing {
            bootstrap: self.each(Id::Bootstrap, |text| {
                let refused = || Fault::NotAHost(Shown::text(text), fallback(Id::Bootstrap));
                text.parse().map_err(|_| refused())
            }),
            gives: self.layer.is_on(Id::Share),
            port: self.small(Id::PeerPort, 0, u16::MAX.into()),
            network: self.small(Id::PeerNetwork, 0, u32::MAX as usize),
            pool: self.pool(),
            trusted: self.each(Id::PeersTrusted, node_key),
            denied: self.each(Id::PeersDenied, node_key),
            quorum: self.number(Id::PeerQuorum, 1, PEER_QUORUM_MAX).unwrap_or(1),
            // What is said under the key of 4.x, everybody can read.
            legacy: self.layer.is_on(Id::PeersLegacy) && !has_secret,
            epoch_s: self.small(Id::PeerEpoch, PEER_EPOCH_S_MIN, PEER_EPOCH_S_MAX),
        };
        // Nodes meet only if theirs is the same, and those of the public network have the default.
        let is_apart = has_secret || sharing.network != 0;
        if sharing.epoch_s as usize != PEER_EPOCH_S_MAX && !is_apart {
            let apart = "a pool's secret (--peer-pool-secret-file) or a network of your own (--peer-network)";
            self.at(Id::PeerEpoch, Fault::Alone(apart));
        }
        self.layer.is_on(Id::PeerToPeer).then_some(sharing)
    }

    fn small<T: TryFrom<usize> + Default>(&mut self, id: Id, min: usize, max: usize) -> T {
        self.number(id, min, max).and_then(|number| T::try_from(number).ok()).unwrap_or_default()
    }

    fn pool(&mut self) -> Option<Pool> {
        let file = self.path(Id::PeerPoolSecretFile);
        match (self.text(Id::PeerPoolSecret), file) {
            (Some(_), Some(_)) => {
                let other = self.layer.origin(Id::PeerPoolSecret).to_string();
                self.at(Id::PeerPoolSecretFile, Fault::TwoSecrets(other));
                None
            }
            (Some(text), None) => Some(Pool { secret: Secret::new(text), file: None }),
            (None, Some(path)) => {
                let secret = self.secret_from(Id::PeerPoolSecretFile, &path)?;
                Some(Pool { secret, file: Some(path) })
            }
            (None, None) => None,
        }
    }
}

fn node_key(text: &str) -> Result<NodeKey, Fault> {
    text.parse().map_err(|_| Fault::NotANodeKey(Shown::text(text)))
}

impl Config {
    pub(super) fn of_sharing(&self, id: Id) -> Effective {
        let Some(sharing) = &self.sharing else {
            return if id == Id::PeerToPeer { on(false) } else { Effective::Unused };
        };
        match id {
            Id::PeerToPeer => on(true),
            Id::Bootstrap => list(&sharing.bootstrap),
            Id::Share => on(sharing.gives),
            Id::PeerPort => number(Some(sharing.port.into())),
            Id::PeerNetwork => number(Some(sharing.network)),
            Id::PeerPoolSecret => match &sharing.pool {
                Some(Pool { secret, file: None }) => Effective::Hidden(format!("{secret:?}")),
                _ => Effective::Unused,
            },
            Id::PeerPoolSecretFile => {
                path(sharing.pool.as_ref().and_then(|pool| pool.file.as_deref()))
            }
            Id::PeersTrusted => list(&sharing.trusted),
            Id::PeersDenied => list(&sharing.denied),
            Id::PeerQuorum => Effective::Shown(sharing.quorum.to_string()),
            Id::PeersLegacy => on(sharing.legacy),
            Id::PeerEpoch if sharing.pool.is_some() || sharing.network != 0 => {
                number(Some(sharing.epoch_s))
            }
            _ => Effective::Unused,
        }
    }
}
