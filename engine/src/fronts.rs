//! The HTTP fronts of a node: bound before anything runs, served once there is something to answer
//! from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use sentrypeer_http::context::Context;
use sentrypeer_http::front::{FrontError, dip, public};

use crate::config::{Config, Listen};

/// An API address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} (API): {source}; stop the program that holds it, or name another address with --api-listen"
)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Fronts whose addresses are taken, but that do not answer yet.
#[derive(Debug)]
pub struct Bound {
    api: Vec<TcpListener>,
    dip: Option<SocketAddr>,
}

/// Fronts that answer.
#[derive(Debug, Default)]
pub struct Fronts {
    api: Option<public::PublicFront>,
    dip: Option<dip::DipFront>,
}

/// Takes the addresses of the API.
///
/// # Errors
///
/// The first address that cannot be had.
pub fn bind(config: &Config) -> Result<Bound, BindError> {
    let listen = |listen: &Listen| {
        let address = listen.addr;
        TcpListener::bind(address).map_err(|source| BindError { address, source })
    };
    let api = config.api_listen.iter().map(listen).collect::<Result<_, _>>()?;
    Ok(Bound { api, dip: config.dip_listen.as_ref().map(|listen| listen.addr) })
}

impl Bound {
    /// Starts to answer.
    ///
    /// # Errors
    ///
    /// If threads are refused, or the dip lane's address cannot be had.
    pub fn serve(self, context: &Arc<Context>) -> Result<Fronts, FrontError> {
        let mut fronts = Fronts::default();
        if !self.api.is_empty() {
            fronts.api = Some(public::serve(self.api, Arc::clone(context))?);
        }
        if let Some(address) = self.dip {
            fronts.dip = Some(dip::serve(address, Arc::clone(context))?);
        }
        Ok(fronts)
    }
}

impl Fronts {
    /// Where the API answers.
    #[must_use]
    pub fn api(&self) -> &[SocketAddr] {
        self.api.as_ref().map_or(&[], |front| front.addresses())
    }

    /// Where the dip lane answers.
    #[must_use]
    pub fn dip(&self) -> Option<SocketAddr> {
        self.dip.as_ref().map(dip::DipFront::address)
    }

    /// Ends the API after the answers that are under way.
    pub fn stop(self) {
        if let Some(api) = self.api {
            api.stop();
        }
    }
}
