//! The stream of a fleet that gets every event.

use std::path::PathBuf;

use super::check::Checker;
use super::error::{Fault, Shown};
use super::secret::Secret;
use super::setting::Id;

/// A stream of NATS, and as whom it is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nats {
    /// The servers of one cluster, as URLs.
    pub servers: Vec<String>,
    /// What subjects begin with.
    pub subject: String,
    /// As whom.
    pub login: NatsLogin,
    /// Whom to trust. `None`: whom the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// As whom a server sees us, and the file that held the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// Nobody.
    Nobody,
    /// A user with a password.
    Password {
        /// The user.
        user: String,
        /// What proves it.
        password: Secret,
        /// Where that was.
        file: PathBuf,
    },
    /// Whoever has this.
    Token(Secret, PathBuf),
    /// An nkey, and perhaps a JWT.
    Credentials(Secret, PathBuf),
}

impl Checker<'_> {
    pub(super) fn nats(&mut self) -> Option<Nats> {
        let servers = self.each(Id::Nats, server);
        let subject = self.subject()?;
        let login = self.nats_login();
        let ca_file = self.path(Id::NatsCaFile);
        (!servers.is_empty()).then_some(Nats { servers, subject, login, ca_file })
    }

    fn subject(&mut self) -> Option<String> {
        let text = self.text(Id::NatsSubject)?;
        if !is_subject(&text) {
            self.at(Id::NatsSubject, Fault::NotASubject(Shown::text(&text)));
            return None;
        }
        Some(text)
    }

    fn nats_login(&mut self) -> NatsLogin {
        const FILES: [Id; 3] = [Id::NatsPasswordFile, Id::NatsTokenFile, Id::NatsCredentialsFile];
        let user = self.text(Id::NatsUser);
        let mut given = FILES.into_iter().filter_map(|id| Some((id, self.path(id)?)));
        let (first, second) = (given.next(), given.next());
        if let (Some((one, _)), Some((other, _))) = (&first, second) {
            let one = self.layer.origin(*one).to_string();
            self.at(other, Fault::TwoSecrets(one));
            return NatsLogin::Nobody;
        }
        let has_password = first.as_ref().is_some_and(|(id, _)| *id == Id::NatsPasswordFile);
        match (&user, has_password) {
            (Some(_), false) => {
                self.at(Id::NatsUser, Fault::Alone("nats.password_file (--nats-password-file)"));
            }
            (None, true) => self.at(Id::NatsPasswordFile, Fault::Alone("nats.user (--nats-user)")),
            _ => {}
        }
        let login = first.and_then(|(id, file)| {
            let secret = self.secret_from(id, &file)?;
            Some(match id {
                Id::NatsTokenFile => NatsLogin::Token(secret, file),
                Id::NatsCredentialsFile => NatsLogin::Credentials(secret, file),
                _ => NatsLogin::Password { user: user?, password: secret, file },
            })
        });
        login.unwrap_or(NatsLogin::Nobody)
    }
}

/// What a server is and a subject, says who uses them. A build that does not refuses the settings at its start.
#[cfg(feature = "nats")]
fn server(text: &str) -> Result<String, Fault> {
    let server = sentrypeer_export::nats::Server::parse(text);
    server
        .map(|server| server.to_string())
        .map_err(|error| Fault::NotANatsServer(error.to_string()))
}

#[cfg(feature = "nats")]
fn is_subject(text: &str) -> bool {
    sentrypeer_export::nats::is_subject(text)
}

#[cfg(not(feature = "nats"))]
#[expect(clippy::unnecessary_wraps, reason = "with NATS it may be an error")]
fn server(text: &str) -> Result<String, Fault> {
    Ok(text.to_owned())
}

#[cfg(not(feature = "nats"))]
fn is_subject(_: &str) -> bool {
    true
}
