//! NATS JetStream: each event is a message in the stream of a fleet.
//!
//! An event is done with when a stream has acknowledged it. Its id goes along as `Nats-Msg-Id`, by which the
//! stream leaves out what it was sent before.
//!
//! The client is our own: `wire` has the protocol without IO, `nkey` the signatures, `link` the connection. A
//! server may be anybody's, and what it sends is bounded and checked here like all that comes from a network.

mod link;
mod nkey;
mod server;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;
use tokio::runtime::Runtime;

use self::link::{Acks, Link};
use self::nkey::Credentials;
pub use self::server::{Server, ServerError};
pub use self::wire::is_subject;
use crate::batch::{Batch, Delivery, Failure};
use crate::limits::NATS_IDLE_MAX;
use crate::line::Renderer;
use crate::secret::Secret;
use crate::tls;

/// Where events go, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The servers of one cluster; the next is taken when one does not work.
    pub servers: Vec<Server>,
    /// What subjects begin with: an INVITE is published to `SUBJECT.invite`.
    pub subject: String,
    /// As whom.
    pub login: Login,
    /// Whom to trust: a file of certificates (PEM). Without one, whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// As whom a server sees us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Nobody.
    #[default]
    Nobody,
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// What proves it.
        password: Secret,
    },
    /// Whoever has this.
    Token(Secret),
    /// What is in a file of credentials: a seed of an nkey (`SU...`), and a JWT if the server wants one.
    Credentials(Secret),
}

/// What is shown to a server, ready for use.
#[derive(Debug)]
enum Identity {
    Nobody,
    Password { user: String, password: Secret },
    Token(Secret),
    Key(Box<Credentials>),
}

/// The output at work.
#[derive(Debug)]
pub(crate) struct Nats {
    servers: Vec<Server>,
    /// Which of them is tried next.
    turn: usize,
    subject: String,
    identity: Identity,
    tls: Arc<ClientConfig>,
    renderer: Renderer,
    link: Option<(Link, Instant)>,
    runtime: Runtime,
}

impl Nats {
    /// # Errors
    ///
    /// The credentials are none, or the certificates cannot be read.
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        let Settings { servers, subject, login, ca_file } = settings;
        if servers.is_empty() {
            return Err(Failure::new("there is no server to publish to"));
        }
        if !is_subject(&subject) {
            return Err(Failure::new(format!("\"{subject}\" is no subject to publish to")));
        }
        let identity = match login {
            Login::Nobody => Identity::Nobody,
            Login::Password { user, password } => Identity::Password { user, password },
            Login::Token(token) => Identity::Token(token),
            Login::Credentials(text) => {
                let read = Credentials::read(text.reveal());
                Identity::Key(Box::new(read.map_err(|error| Failure::new(error.to_string()))?))
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            servers,
            turn: 0,
            subject,
            identity,
            tls: tls::client(ca_file.as_deref())?,
            renderer: Renderer::default(),
            link: None,
            runtime: runtime.map_err(|error| Failure::new(error.to_string()))?,
        })
    }

    pub(crate) fn target(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(Server::to_string).collect();
        format!("{} {}.>", servers.join(","), self.subject)
    }

    /// A server closes whom it has not heard for some minutes, and so do we after less: between two batches
    /// nobody here answers its questions.
    pub(crate) fn close(&mut self) {
        self.link = None;
    }

    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        let server = self.servers[self.turn].to_string();
        match self.publish(batch) {
            (_, Ok(())) => Delivery::all(batch),
            (done, Err(failure)) => {
                self.close();
                self.turn = (self.turn + 1) % self.servers.len();
                Delivery::up_to(done, Failure::new(format!("{server}: {}", failure.text)))
            }
        }
    }

    /// How many from the beginning of the batch have been acknowledged, and why not all.
    fn publish(&mut self, batch: &Batch<'_>) -> (usize, Result<(), Failure>) {
        let mut link = match self.link() {
            Ok(link) => link,
            Err(failure) => return (0, Err(failure)),
        };
        let mut acks = Acks::new(batch.events.len());
        let (mut subject, mut payload) = (String::new(), Vec::new());
        let write = |event: usize, reply: &str, into: &mut _| {
            let event = &batch.events[event];
            payload.clear();
            self.renderer.write(event, batch.producer, batch.allow, &mut payload);
            subject.clear();
            subject.extend([&self.subject, ".", wire::kind(&event.method)]);
            wire::publish(&subject, reply, &event.id.to_string(), &payload, into);
        };
        let outcome = self.runtime.block_on(link.publish(&mut acks, write));
        if outcome.is_ok() {
            self.link = Some((link, Instant::now()));
        }
        (acks.done(), outcome)
    }

    fn link(&mut self) -> Result<Link, Failure> {
        if let Some((link, last)) = self.link.take()
            && last.elapsed() < NATS_IDLE_MAX
        {
            return Ok(link);
        }
        let open = Link::open(&self.servers[self.turn], &self.identity, &self.tls);
        self.runtime.block_on(open)
    }
}
