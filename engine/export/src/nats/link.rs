//! A connection to a server of NATS.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::wire::{self, Incoming, Info, Said};
use super::{Identity, Server};
use crate::batch::Failure;
use crate::limits::{
    CONNECT_PATIENCE, NATS_OUT_BYTES, NATS_PATIENCE, NATS_PAYLOAD_BYTES, NATS_READ_BYTES,
};

/// Plain or within TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection that takes messages.
pub(super) struct Link {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    incoming: Incoming,
    out: BytesMut,
    /// Whether the last of what was written may still be held back by TLS.
    is_unflushed: bool,
    info: Info,
    /// What the subjects of answers to us begin with, its dot included.
    inbox: String,
    /// The number of the next message; its answer comes back with it.
    next: u64,
}

/// Which messages of a batch have been acknowledged.
#[derive(Debug)]
pub(super) struct Acks {
    had: Vec<bool>,
    /// So many from the beginning.
    done: usize,
}

impl Acks {
    pub(super) fn new(events: usize) -> Self {
        Self { had: vec![false; events], done: 0 }
    }

    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// Whether that is news.
    fn note(&mut self, event: usize) -> bool {
        let is_new = self.had.get(event) == Some(&false);
        if is_new {
            self.had[event] = true;
            self.done += self.had[self.done..].iter().take_while(|had| **had).count();
        }
        is_new
    }

    fn is_all(&self) -> bool {
        self.done == self.had.len()
    }
}

impl Link {
    /// A connection that this server has let in.
    pub(super) async fn open(
        server: &Server,
        identity: &Identity,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, Failure> {
        let late = |_| Failure::new("it does not answer");
        timeout(CONNECT_PATIENCE, Self::connect(server, identity, tls)).await.map_err(late)?
    }

    async fn connect(
        server: &Server,
        identity: &Identity,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect((server.host.as_str(), server.port)).await?;
        socket.set_nodelay(true)?;
        let mut incoming = Incoming::default();
        let info = greeting(&mut socket, &mut incoming).await?;
        fits(&info)?;
        let stream: Box<dyn Stream> = if server.needs_tls || info.tls_required {
            if !(info.tls_required || info.tls_available) {
                return Err(Failure::new("it offers no TLS; nats:// goes without"));
            }
            // What came before TLS came from anybody.
            if !incoming.bytes.is_empty() {
                return Err(wire::nonsense());
            }
            let name = ServerName::try_from(server.host.clone())
                .map_err(|_| Failure::new("its host is none that TLS can check"))?;
            Box::new(TlsConnector::from(tls.clone()).connect(name, socket).await?)
        } else {
            Box::new(socket)
        };
        let (reader, writer) = tokio::io::split(stream);
        let mut link = Self {
            reader,
            writer,
            incoming,
            out: BytesMut::new(),
            is_unflushed: false,
            info,
            inbox: format!("_INBOX.{}.", random()?),
            next: 0,
        };
        link.introduce(identity).await?;
        Ok(link)
    }

    /// Says who we are, asks for answers, and waits until the server has accepted both.
    async fn introduce(&mut self, identity: &Identity) -> Result<(), Failure> {
        let hello = hello(identity, &self.info)?;
        let subject = format!("{}*", self.inbox);
        let lines = format!("CONNECT {hello}\r\nSUB {subject} 1\r\nPING\r\n");
        self.out.extend_from_slice(lines.as_bytes());
        loop {
            self.move_on().await?;
            while let Some(said) = self.incoming.next()? {
                match said {
                    Said::Pong => return Ok(()),
                    Said::Refusal(why) => return Err(refused(&why)),
                    Said::Ping => self.answer_ping(),
                    Said::Info(_) | Said::Ok | Said::Message(_) => {}
                }
            }
        }
    }

    /// Publishes what `write` puts down for each event of a batch (its place in it, where answers go, where to write),
    /// and waits until each is acknowledged. `acks` says how far it got, also after a failure.
    pub(super) async fn publish(
        &mut self,
        acks: &mut Acks,
        mut write: impl FnMut(usize, &str, &mut BytesMut),
    ) -> Result<(), Failure> {
        let (first, mut written) = (self.next, 0);
        let mut until = Instant::now() + NATS_PATIENCE;
        while !acks.is_all() {
            while written < acks.had.len() && self.out.len() < NATS_OUT_BYTES {
                let reply = format!("{}{}", self.inbox, self.next);
                write(written, &reply, &mut self.out);
                written += 1;
                self.next += 1;
            }
            let late =
                |_| Failure::new(format!("it acknowledges nothing within {NATS_PATIENCE:?}"));
            timeout_at(until, self.move_on()).await.map_err(late)??;
            if self.hear(first, acks)? {
                until = Instant::now() + NATS_PATIENCE;
            }
        }
        Ok(())
    }

    /// Takes in what has come; whether an acknowledgement of this batch was in it.
    fn hear(&mut self, first: u64, acks: &mut Acks) -> Result<bool, Failure> {
        let mut is_news = false;
        while let Some(said) = self.incoming.next()? {
            match said {
                Said::Message(answer) => {
                    let number = answer.subject.strip_prefix(&self.inbox);
                    let event = number.and_then(|n| n.parse::<u64>().ok()?.checked_sub(first));
                    let Some(event) = event.and_then(|n| usize::try_from(n).ok()) else { continue };
                    wire::is_stored(&answer, &self.info)?;
                    is_news |= acks.note(event);
                }
                Said::Refusal(why) => return Err(refused(&why)),
                Said::Ping => self.answer_ping(),
                Said::Info(_) | Said::Pong | Said::Ok => {}
            }
        }
        Ok(is_news)
    }

    /// Waits until something has been read or written. Both go on side by side: a server that must be rid of its
    /// answers before it reads on would otherwise wait for us, and we for it.
    async fn move_on(&mut self) -> Result<(), Failure> {
        let Self { reader, writer, incoming, out, is_unflushed, .. } = self;
        incoming.bytes.reserve(NATS_READ_BYTES);
        tokio::select! {
            read = reader.read_buf(&mut incoming.bytes) => match read? {
                0 => Err(Failure::new("it has closed the connection")),
                _ => Ok(()),
            },
            wrote = write(writer, out, is_unflushed) => Ok(wrote?),
        }
    }

    /// Says that we are here. Behind whole messages, never within one; a server that does not read what we
    /// have for it need not hear this either.
    fn answer_ping(&mut self) {
        if self.out.len() < NATS_OUT_BYTES {
            self.out.extend_from_slice(b"PONG\r\n");
        }
    }
}

/// Writes some of what there is to write; without that it waits for ever. It may be given up at any await.
async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    out: &mut BytesMut,
    is_unflushed: &mut bool,
) -> io::Result<()> {
    if !out.is_empty() {
        let wrote = writer.write_buf(out).await?;
        *is_unflushed = true;
        return if wrote == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) };
    }
    if !*is_unflushed {
        return std::future::pending().await;
    }
    writer.flush().await?;
    *is_unflushed = false;
    Ok(())
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("info", &self.info).field("next", &self.next).finish()
    }
}

/// What a server says first.
async fn greeting(socket: &mut TcpStream, incoming: &mut Incoming) -> Result<Info, Failure> {
    loop {
        incoming.bytes.reserve(NATS_READ_BYTES);
        if socket.read_buf(&mut incoming.bytes).await? == 0 {
            return Err(Failure::new("it has closed the connection"));
        }
        match incoming.next()? {
            Some(Said::Info(info)) => return Ok(*info),
            Some(Said::Refusal(why)) => return Err(refused(&why)),
            Some(_) => return Err(wire::nonsense()),
            None => {}
        }
    }
}

/// Whether events can be handed to such a server at all.
fn fits(info: &Info) -> Result<(), Failure> {
    if !info.headers {
        return Err(Failure::new("it knows no headers; NATS 2.2 or newer is needed"));
    }
    if info.max_payload < NATS_PAYLOAD_BYTES {
        let most = info.max_payload;
        return Err(Failure::new(format!(
            "it takes messages of {most} bytes at most, and an event may be longer; set its max_payload to \
             {NATS_PAYLOAD_BYTES} or more"
        )));
    }
    Ok(())
}

/// What we say of ourselves (NATS, `CONNECT`).
fn hello(identity: &Identity, info: &Info) -> Result<serde_json::Value, Failure> {
    let mut hello = json!({
        "verbose": false,
        "pedantic": false,
        "lang": "rust",
        "name": "sentrypeer",
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1,
        "headers": true,
        "no_responders": true,
    });
    match identity {
        Identity::Nobody => {}
        Identity::Password { user, password } => {
            hello["user"] = user.as_str().into();
            hello["pass"] = password.reveal().into();
        }
        Identity::Token(token) => hello["auth_token"] = token.reveal().into(),
        Identity::Key(key) => {
            let nonce = info.nonce.as_deref();
            let nonce =
                nonce.ok_or_else(|| Failure::new("it asks for no credentials; leave them out"))?;
            hello["sig"] = key.sign(nonce).into();
            match &key.jwt {
                Some(jwt) => hello["jwt"] = jwt.as_str().into(),
                None => hello["nkey"] = key.public().into(),
            }
        }
    }
    Ok(hello)
}

fn refused(why: &str) -> Failure {
    Failure::new(format!("it refuses: {why}"))
}

/// A word that nobody else has, for the subject of our answers.
fn random() -> Result<String, Failure> {
    let number = getrandom::u64().map_err(|error| Failure::new(error.to_string()))?;
    Ok(format!("{number:016x}"))
}
