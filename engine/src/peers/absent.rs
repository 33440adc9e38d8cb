//! Sharing in a build without OpenDHT: there is none.

use std::sync::Arc;

use sentrypeer_dht::status::Status;
use sentrypeer_dht::wire::NodeKey;

use super::{Plan, StartError};
use crate::config::{Origin, Sharing};

/// Never made.
pub(super) enum Service {}

impl Service {
    pub(super) fn status(&self) -> Arc<Status> {
        match *self {}
    }

    pub(super) fn pardon(&self, _: NodeKey) -> bool {
        match *self {}
    }

    pub(super) fn stop(&mut self) {
        match *self {}
    }
}

pub(super) fn check(_: &Sharing, asked_for_by: &Origin) -> Result<(), StartError> {
    Err(StartError::NotBuilt(asked_for_by.clone()))
}

pub(super) fn start(plan: &Plan) -> Result<Service, StartError> {
    let Plan { sharing, node_id, store, policy, database } = plan;
    // [`check`] has refused it.
    let _ = (sharing, node_id, store, policy, database);
    Err(StartError::NotBuilt(Origin::Default))
}
