//! The HTTP fronts of a node: bound before anything runs, served once there is something to answer
//! from.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sentrypeer_http::allow::AllowBook;
use sentrypeer_http::context::Context;
use sentrypeer_http::front::setup::{self, Setup};
use sentrypeer_http::front::{FrontError, api, dip};

use crate::config::{Config, Listen, Origin};
use crate::guard::Guard;

/// An address that cannot be listened on, or may not be.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The dip lane's cannot be had.
    #[error(
        "cannot listen on {address} (dip lane): {source}; stop the program that holds it, or name \
         another address with --dip-listen"
    )]
    Dip {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing keeps strangers from one of the API's.
    #[error("{origin}: {source}")]
    Unprotected {
        /// Who named it.
        origin: Origin,
        /// What is missing.
        source: FrontError,
    },
    /// One of the API's cannot be had.
    #[error(transparent)]
    Api(#[from] FrontError),
}

/// Fronts that do not answer yet. The API's addresses are taken; that of the dip lane, which binds
/// itself, is known to be free.
#[derive(Debug)]
pub struct Bound {
    api: Option<Setup>,
    dip: Option<SocketAddr>,
}

/// Fronts that answer.
#[derive(Debug, Default)]
pub struct Fronts {
    api: Option<api::Front>,
    dip: Option<dip::Front>,
    is_tls: bool,
}

/// Takes the addresses of the API, and makes sure of that of the dip lane.
///
/// # Errors
///
/// The first address that cannot be had, or that others can reach although nothing keeps strangers out.
pub fn bind(config: &Config, guard: &Guard) -> Result<Bound, BindError> {
    let api = if config.api.is_on() { Some(bind_api(config, guard)?) } else { None };
    if let Some(Listen { addr: address, .. }) = &config.dip_listen {
        let taken = TcpListener::bind(address);
        drop(taken.map_err(|source| BindError::Dip { address: *address, source })?);
    }
    Ok(Bound { api, dip: config.dip_listen.as_ref().map(|listen| listen.addr) })
}

fn bind_api(config: &Config, guard: &Guard) -> Result<Setup, BindError> {
    let protection = guard.protection();
    for listen in &config.api.listen {
        let unprotected = |source| BindError::Unprotected { origin: listen.origin.clone(), source };
        protection.allows(listen.addr).map_err(unprotected)?;
    }
    let addresses: Vec<SocketAddr> = config.api.listen.iter().map(|listen| listen.addr).collect();
    let sockets: Vec<PathBuf> = config.api.unix.iter().cloned().collect();
    Ok(Setup {
        bound: setup::Bound::new(&addresses, &sockets, protection)?,
        tls: guard.tls(),
        insecure: protection.insecure,
        access: guard.access(),
        limits: guard.limits(),
    })
}

impl Bound {
    /// Starts to answer. The allow-list is read and changed in `allow`.
    ///
    /// # Errors
    ///
    /// If threads are refused, or the dip lane's address cannot be had.
    pub fn serve(
        self,
        context: &Arc<Context>,
        allow: Arc<dyn AllowBook>,
    ) -> Result<Fronts, FrontError> {
        let mut fronts = Fronts::default();
        if let Some(setup) = self.api {
            fronts.is_tls = setup.tls.is_some();
            fronts.api = Some(api::serve_with_allow_list(setup, allow, Arc::clone(context))?);
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

    /// The Unix sockets on which it answers.
    pub fn sockets(&self) -> impl Iterator<Item = &Path> {
        self.api.iter().flat_map(api::Front::sockets)
    }

    /// How its URLs begin.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
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
