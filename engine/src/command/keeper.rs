//! Who carries out orders: the node that runs, or the database that is opened here.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::opened::Opened;
use super::{Failure, refusal_text};
use crate::config::Config;
use crate::control::{self, charge::Charge, order::Order};
use crate::limits::CONTROL_BATCH_BYTES_MAX;

/// Who carries out orders.
pub(super) enum Keeper {
    /// The node that runs on this database.
    Node(PathBuf),
    /// We, with the database of a node that does not run.
    Own(Box<Opened>),
}

impl Keeper {
    /// The node, if one runs on the configured database.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        Self::of_or(config, Opened::of_node)
    }

    /// The same; a database that does not exist is made.
    pub(super) fn of_or_new(config: &Config) -> Result<Self, Failure> {
        Self::of_or(config, Opened::or_new)
    }

    fn of_or(
        config: &Config,
        open: fn(&Config) -> Result<Opened, Failure>,
    ) -> Result<Self, Failure> {
        if control::is_served(&config.db).map_err(Failure::Node)? {
            return Ok(Self::Node(config.db.clone()));
        }
        Ok(Self::Own(Box::new(open(config)?)))
    }

    /// The document with which an order is answered.
    pub(super) fn carry_out(&self, order: Order) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Node(database) => by_node(database, &order),
            Self::Own(opened) => {
                let charge = Charge::alone(opened.store.clone(), &opened.path);
                order.carry_out(&charge).map_err(|refusal| Failure::Refused(refusal.why))
            }
        }
    }

    /// The same, of an order whose document is JSON.
    pub(super) fn json(&self, order: Order) -> Result<Value, Failure> {
        let document = self.carry_out(order)?;
        serde_json::from_slice(&document).map_err(Failure::refused)
    }

    /// Stores what is left to store.
    pub(super) fn close(self) -> Result<(), Failure> {
        match self {
            Self::Node(_) => Ok(()),
            Self::Own(opened) => opened.close(),
        }
    }
}

pub(super) fn by_node(database: &Path, order: &Order) -> Result<Vec<u8>, Failure> {
    let answer = control::order(database, order).map_err(Failure::Node)?;
    let answer = answer.ok_or_else(|| Failure::NoNode(database.display().to_string()))?;
    let ok = answer.status == 200;
    let document = answer.whole(CONTROL_BATCH_BYTES_MAX).map_err(Failure::Node)?;
    if ok { Ok(document) } else { Err(Failure::Refused(refusal_text(&document))) }
}
