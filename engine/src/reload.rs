//! What SIGHUP can change: the log level, the TLS certificates, the API's tokens, the allow-list, what the
//! legacy lists demand, who connects on behalf of others.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use sentrypeer_storage::event::Transport;

use crate::allow::Book;
use crate::config::{Api, Config, ConfigError, Loaded, restart_keys};
use crate::guard::Guard;
use crate::net::listen::Listening;
use crate::net::lobby::FrontEnds;
use crate::net::tls::{self, TlsError};

/// The configuration that holds, and the parts that can be exchanged while the node runs.
pub struct Reloadable {
    config: Config,
    allow: Arc<Book>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    front_ends: Arc<ArcSwap<FrontEnds>>,
    guard: Guard,
}

impl Reloadable {
    /// Makes the parts that `config` asks for; TLS only if something listens for it.
    ///
    /// # Errors
    ///
    /// If the certificate cannot be read or made.
    pub fn new(
        config: Config,
        guard: Guard,
        allow: Arc<Book>,
        listening: &[Listening],
    ) -> Result<Self, TlsError> {
        let wants_tls = listening.iter().any(|l| l.transport == Transport::Tls);
        let tls =
            if wants_tls { Some(Arc::new(ArcSwap::new(server_config(&config)?))) } else { None };
        let front_ends = Arc::new(ArcSwap::from_pointee(front_ends(&config)));
        Ok(Self { config, allow, tls, front_ends, guard })
    }

    /// The configuration that holds.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The allow-list, and the policy that it makes.
    #[must_use]
    pub fn allow(&self) -> &Arc<Book> {
        &self.allow
    }

    /// How TLS is spoken, as the shards see it.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ArcSwap<ServerConfig>>> {
        self.tls.clone()
    }

    /// Who connects on behalf of others, as the shards see it.
    #[must_use]
    pub fn front_ends(&self) -> Arc<ArcSwap<FrontEnds>> {
        Arc::clone(&self.front_ends)
    }

    /// What keeps strangers out of the API.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Takes over what can change at run time, and names what cannot. A configuration with an error
    /// changes nothing.
    pub fn reload(&mut self, loaded: Result<Loaded, ConfigError>) {
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(ConfigError::Invalid(problems)) => {
                log::error!("the configuration is not taken over: {problems}");
                return;
            }
            Err(ConfigError::Usage(usage)) => {
                log::error!("the configuration is not taken over: {usage}");
                return;
            }
        };
        for key in restart_keys(&self.config, &loaded.config) {
            log::warn!("{key} has changed, which needs a restart");
        }
        self.config.log_level = loaded.config.log_level;
        self.config.certificate = loaded.config.certificate;
        self.config.legacy_min_verification = loaded.config.legacy_min_verification;
        self.config.allowed = loaded.config.allowed;
        self.config.block_private = loaded.config.block_private;
        self.config.proxy_protocol_from = loaded.config.proxy_protocol_from;
        self.front_ends.store(Arc::new(front_ends(&self.config)));
        log::set_max_level(self.config.log_level);
        // The files may hold something new although their names have not changed.
        self.exchange_certificate();
        self.take_over_api_files(loaded.config.api);
        // The addresses of the machine may have changed too.
        self.allow.reconfigure(&self.config);
        log::info!("the configuration was read again");
    }

    /// Other files take effect at once; whether there is TLS, and whether clients are asked for
    /// certificates, does not.
    fn take_over_api_files(&mut self, new: Api) {
        let api = &mut self.config.api;
        if api.certificate.is_some() == new.certificate.is_some() {
            api.certificate = new.certificate;
        }
        if api.client_ca.is_some() == new.client_ca.is_some() {
            api.client_ca = new.client_ca;
        }
        self.guard.renew(&self.config);
    }

    fn exchange_certificate(&self) {
        let Some(tls) = &self.tls else { return };
        match server_config(&self.config) {
            Ok(renewed) => tls.store(renewed),
            Err(error) => log::error!("the old certificate stays: {error}"),
        }
    }
}

fn front_ends(config: &Config) -> FrontEnds {
    FrontEnds(config.proxy_protocol_from.clone())
}

fn server_config(config: &Config) -> Result<Arc<ServerConfig>, TlsError> {
    match &config.certificate {
        Some(pair) => tls::server_config(pair),
        None => tls::server_config(&tls::own_certificate(&config.db)?),
    }
}
