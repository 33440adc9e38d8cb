//! The sockets of syslog.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::{Framing, Settings};
use crate::batch::Failure;
use crate::limits::{CONFIRM_PATIENCE, CONNECT_PATIENCE, SEND_PATIENCE};
use crate::tls;

/// A socket that takes a message at a time.
#[derive(Debug)]
pub(super) enum Link {
    Local(UnixDatagram),
    Udp(UdpSocket),
}

impl Link {
    pub(super) fn open(settings: &Settings) -> io::Result<Self> {
        match settings {
            Settings::Local(path) | Settings::Journald(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(SEND_PATIENCE))?;
                Ok(Self::Local(socket))
            }
            Settings::Udp(to)
            | Settings::Tcp { address: to, .. }
            | Settings::Tls { address: to, .. } => {
                let to = first_address(to)?;
                let any: SocketAddr =
                    if to.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.connect(to)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    pub(super) fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Local(socket) => socket.send(message),
            Self::Udp(socket) => socket.send(message),
        }
        .map(|_| ())
    }
}

fn first_address(address: &str) -> io::Result<SocketAddr> {
    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    address.to_socket_addrs()?.next().ok_or_else(none)
}

/// How batches go over a connection.
#[derive(Debug)]
pub(super) struct Stream {
    address: String,
    framing: Framing,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Stream {
    /// `None` if the settings are for datagrams.
    pub(super) fn new(settings: &Settings) -> Result<Option<Self>, Failure> {
        let (address, framing, ca_file) = match settings {
            Settings::Tcp { address, framing } => (address, *framing, None),
            Settings::Tls { address, ca_file } => (address, Framing::OctetCounting, Some(ca_file)),
            _ => return Ok(None),
        };
        let tls = match ca_file {
            Some(ca_file) => Some((tls::client(ca_file.as_deref())?, server_name(address)?)),
            None => None,
        };
        Ok(Some(Self { address: address.clone(), framing, tls }))
    }

    /// Puts one message behind the others.
    pub(super) fn frame(&self, message: &[u8], into: &mut Vec<u8>) {
        match self.framing {
            Framing::OctetCounting => {
                into.extend_from_slice(format!("{} ", message.len()).as_bytes());
                into.extend_from_slice(message);
            }
            Framing::Lines => {
                into.extend_from_slice(message);
                into.push(b'\n');
            }
        }
    }

    /// Sends all of it, and returns when the receiver has read it and closed the connection.
    pub(super) fn deliver(&self, bytes: &[u8]) -> io::Result<()> {
        let socket = TcpStream::connect_timeout(&first_address(&self.address)?, CONNECT_PATIENCE)?;
        socket.set_nodelay(true)?;
        // Waiting in a write is waiting for a slow receiver, which may take its time for a batch.
        socket.set_write_timeout(Some(CONFIRM_PATIENCE))?;
        socket.set_read_timeout(Some(CONFIRM_PATIENCE))?;
        match &self.tls {
            None => {
                (&socket).write_all(bytes)?;
                socket.shutdown(Shutdown::Write)?;
                wait_for_end(&socket)?;
            }
            Some((config, name)) => {
                let session = ClientConnection::new(config.clone(), name.clone())
                    .map_err(io::Error::other)?;
                let mut stream = rustls::StreamOwned::new(session, &socket);
                stream.write_all(bytes)?;
                stream.conn.send_close_notify();
                stream.conn.write_tls(&mut stream.sock)?;
                socket.shutdown(Shutdown::Write)?;
                wait_for_end(stream)?;
            }
        }
        // A receiver that died before it had read everything has reset the connection.
        socket.take_error()?.map_or(Ok(()), Err)
    }
}

/// Reads until the other side ends. A syslog receiver says nothing before.
fn wait_for_end(mut stream: impl Read) -> io::Result<()> {
    let mut answer = [0; 64];
    match stream.read(&mut answer) {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it answers; is this syslog?")),
        // A receiver that ends without TLS's own goodbye has still read ours, or it would not end.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "it has not read everything in time"))
        }
        Err(error) => Err(error),
    }
}

fn server_name(address: &str) -> Result<ServerName<'static>, Failure> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Failure::new(format!("{address}: \"{host}\" is not a host that TLS can check"))
    })
}
