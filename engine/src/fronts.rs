//! The HTTP fronts of a node: bound before anything runs, served once there is something to answer
//! from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use sentrypeer_http::context::Context;
use sentrypeer_http::front::{FrontError, api, dip};

use crate::config::{Config, Listen};

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} ({what}): {source}; stop the program that holds it, or name another \
     address with {flag}"
)]
pub struct BindError {
    address: SocketAddr,
    what: &'static str,
    flag: &'static str,
    source: io::Error,
}

/// Fronts that do not answer yet. The API's addresses are taken; that of the dip lane, which binds
/// itself, is known to be free.
#[derive(Debug)]
pub struct Bound {
    api: Vec<TcpListener>,
    dip: Option<SocketAddr>,
}

/// Fronts that answer.
#[derive(Debug, Default)]
pub struct Fronts {
    api: Option<api::Front>,
    dip: Option<dip::Front>,
}

/// Takes the addresses of the API, and makes sure of that of the dip lane.
///
/// # Errors
///
/// The first address that cannot be had.
pub fn bind(config: &Config) -> Result<Bound, BindError> {
    let take = |listen: &Listen, what, flag| {
        let address = listen.addr;
        TcpListener::bind(address).map_err(|source| BindError { address, what, flag, source })
    };
    let api = config.api_listen.iter().map(|listen| take(listen, "API", "--api-listen"));
    let api = api.collect::<Result<_, _>>()?;
    if let Some(listen) = &config.dip_listen {
        drop(take(listen, "dip lane", "--dip-listen")?);
    }
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
            fronts.api = Some(api::serve(self.api, Arc::clone(context))?);
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
        self.dip.as_ref().map(dip::Front::address)
    }

    /// Ends the API after the answers that are under way.
    pub fn stop(self) {
        if let Some(api) = self.api {
            api.stop();
        }
    }
}
