//! Starts the service of `sentrypeer-dht`.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;

use sentrypeer_dht::epoch::Calendar;
use sentrypeer_dht::keys::Network;
use sentrypeer_dht::rules::Rules;
pub(super) use sentrypeer_dht::service::Service;
use sentrypeer_dht::service::{Config, Inputs};
use sentrypeer_dht::session::Settings;
use sentrypeer_dht::state::Files;
use sentrypeer_dht::{Linked, linked, node};

use super::own_events::OwnEvents;
use super::{Plan, StartError};
use crate::config::{Origin, Sharing};
use crate::outputs::producer;

/// OpenDHT itself is started only when the database is open, which may take a while; what can be known
/// before is looked at before anything is answered.
pub(super) fn check(sharing: &Sharing, _: &Origin) -> Result<(), StartError> {
    let linked = linked();
    if !matches!(linked, Linked::Yes { .. }) {
        return Err(StartError::Service(node::StartError::Foreign { linked }.into()));
    }
    match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, sharing.port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(StartError::Port { port: sharing.port, error }),
    }
}

pub(super) fn start(plan: &Plan) -> Result<Service, StartError> {
    let files = Box::new(Files::new(&plan.database));
    Service::start(config(&plan.sharing), inputs(plan), files)
        .map_err(|error| StartError::Service(error.into()))
}

fn config(sharing: &Sharing) -> Config {
    let pool = sharing.pool.as_ref();
    Config {
        node: node::Config {
            port: sharing.port,
            network: sharing.network,
            bootstrap: sharing.bootstrap.clone(),
        },
        settings: Settings {
            share: sharing.gives,
            legacy: sharing.legacy,
            network: pool
                .map(|pool| Network::pool(pool.secret.reveal().as_bytes()))
                .unwrap_or_default(),
            calendar: Calendar::with_epoch_s(sharing.epoch_s),
        },
        rules: Rules { quorum: sharing.quorum, ..Rules::default() }.sane(),
        trusted: sharing.trusted.clone(),
        denied: sharing.denied.clone(),
    }
}

fn inputs(plan: &Plan) -> Inputs {
    let (snapshots, policy, store) = (plan.store.clone(), plan.policy.clone(), plan.store.clone());
    let mut events = OwnEvents::new(plan.store.clone(), plan.node_id);
    Inputs {
        snapshot: Box::new(move || snapshots.snapshot()),
        policy: Box::new(move || policy.load_full()),
        events: Box::new(move |max| events.newest(max)),
        producer: producer(plan.node_id),
        peers: Box::new(move |peers: Arc<_>| store.set_peers(peers).is_ok()),
        heard: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Config {
        let words = ["sentrypeer", "-p"].into_iter().chain(args.iter().copied());
        let loaded = crate::config::load(words.map(Into::into), std::iter::empty(), None).unwrap();
        config(&loaded.config.sharing.unwrap())
    }

    #[test]
    fn by_default_it_shares_in_the_network_of_4x_as_the_protocol_says() {
        let (config, usual) = (of(&[]), Config::default());
        assert_eq!((config.node.port, config.node.network), (4222, 0));
        assert_eq!(config.node.bootstrap.len(), 1);
        assert_eq!(config.rules, usual.rules);
        assert_eq!(config.settings.calendar, usual.settings.calendar);
        assert!(config.settings.share && config.settings.legacy);
        assert!(!config.settings.network.is_pool());
    }

    #[test]
    fn what_is_said_in_a_pool_is_said_to_nobody_else() {
        let config = of(&["--peer-pool-secret=x", "--peers-legacy", "--peer-epoch-s=6"]);
        assert!(config.settings.network.is_pool() && !config.settings.legacy);
        assert_eq!(config.settings.calendar.epoch_s(), 6);
    }

    #[test]
    fn a_port_that_is_taken_is_named_with_a_way_out() {
        let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let words = ["sentrypeer", "-p", &format!("--peer-port={port}")].map(Into::into);
        let loaded = crate::config::load(words, std::iter::empty(), None).unwrap();
        let sharing = loaded.config.sharing.unwrap();
        let error = check(&sharing, &Origin::Default).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--peer-port"), "{error}");
        drop(taken);
        assert!(check(&sharing, &Origin::Default).is_ok());
    }
}
