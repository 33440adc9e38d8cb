//! What SIGHUP can change: the log level, the TLS certificate, what the legacy lists demand.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use sentrypeer_storage::event::Transport;
use sentrypeer_storage::policy::Policy;

use crate::config::{Config, ConfigError, Loaded, reloadable_changes};
use crate::context;
use crate::net::listen::Listening;
use crate::net::tls::{self, Identity, TlsError};

/// The configuration that holds, and the parts that can be exchanged while the node runs.
pub struct Reloadable {
    config: Config,
    policy: Arc<ArcSwap<Policy>>,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
}

impl Reloadable {
    /// Makes the parts that `config` asks for; TLS only if something listens for it.
    ///
    /// # Errors
    ///
    /// If the certificate cannot be read or made.
    pub fn new(config: Config, listening: &[Listening]) -> Result<Self, TlsError> {
        let wants_tls = listening.iter().any(|l| l.transport == Transport::Tls);
        let tls =
            if wants_tls { Some(Arc::new(ArcSwap::new(server_config(&config)?))) } else { None };
        let policy = Arc::new(ArcSwap::from_pointee(context::policy(&config, 0)));
        Ok(Self { config, policy, tls })
    }

    /// The configuration that the node was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The policy, as the readers see it.
    #[must_use]
    pub fn policy(&self) -> Arc<ArcSwap<Policy>> {
        Arc::clone(&self.policy)
    }

    /// How TLS is spoken, as the shards see it.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<ArcSwap<ServerConfig>>> {
        self.tls.clone()
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
        let reload = reloadable_changes(&self.config, &loaded.config);
        for key in &reload.needs_restart {
            log::warn!("{key} has changed, which needs a restart");
        }
        log::set_max_level(loaded.config.log_level);
        // The files may hold something new although their names have not changed.
        self.exchange_certificate(&loaded.config);
        self.renew_policy(&loaded.config);
        self.config = loaded.config;
        log::info!("the configuration was read again");
    }

    fn exchange_certificate(&self, config: &Config) {
        let Some(tls) = &self.tls else { return };
        match server_config(config) {
            Ok(renewed) => tls.store(renewed),
            Err(error) => log::error!("the old certificate stays: {error}"),
        }
    }

    /// The addresses of the machine may have changed too.
    fn renew_policy(&self, config: &Config) {
        let revision = self.policy.load().revision + 1;
        self.policy.store(Arc::new(context::policy(config, revision)));
    }
}

fn server_config(config: &Config) -> Result<Arc<ServerConfig>, TlsError> {
    let identity = match &config.certificate {
        Some(pair) => Identity { certificate: pair.cert.clone(), key: pair.key.clone() },
        None => tls::own_identity(&config.db)?,
    };
    tls::server_config(&identity)
}
