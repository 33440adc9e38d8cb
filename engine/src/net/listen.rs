//! Opens every socket of every shard, before anything else runs: what cannot be opened ends the
//! process, and says which.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use nix::sys::socket::{setsockopt, sockopt};
use sentrypeer_storage::event::Transport;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::lobby::FrontEnds;
use super::outlet::Rules;
use super::syscall;
use crate::limits::{
    BIND_PATIENCE_MS, BIND_RETRY_MS, LISTEN_BACKLOG, PORT_TRIES, RECEIVE_BUFFER_BYTES,
    SEND_BUFFER_BYTES, STREAM_KERNEL_BYTES,
};

/// An address to listen on.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Address and port; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// An address that nobody asked for by name may be missing on this host.
    pub optional: bool,
}

/// A UDP socket of one shard.
#[derive(Debug)]
pub struct UdpPort {
    /// The socket itself. It blocks: readiness is waited for, and calls say `MSG_DONTWAIT`.
    pub socket: UdpSocket,
    /// What it is bound to.
    pub local: SocketAddr,
    /// What may be sent from it; the same for all of a shard.
    pub rules: Arc<Rules>,
}

impl UdpPort {
    /// Whether the socket takes datagrams for more than one address.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.local.ip().is_unspecified()
    }

    /// Whether what is sent to `address` arrives here.
    #[must_use]
    pub fn is_for(&self, address: SocketAddr) -> bool {
        let same_family = self.local.is_ipv4() == address.is_ipv4();
        let takes = self.local.ip() == address.ip() || (self.is_wildcard() && same_family);
        takes && self.local.port() == address.port()
    }
}

/// A listening socket of one shard.
#[derive(Debug)]
pub struct StreamPort {
    /// The socket itself.
    pub socket: TcpListener,
    /// What it is bound to.
    pub local: SocketAddr,
    /// TCP or TLS.
    pub transport: Transport,
    /// Who begins with a PROXY protocol header. It can change while the node runs.
    pub front_ends: Arc<ArcSwap<FrontEnds>>,
}

impl StreamPort {
    /// Whether a connection from `source` begins with a PROXY protocol header.
    #[must_use]
    pub fn is_front_end(&self, source: SocketAddr) -> bool {
        self.front_ends.load().contains(source.ip())
    }
}

/// The sockets of one shard.
#[derive(Debug, Default)]
pub struct Ports {
    /// Where datagrams arrive.
    pub udp: Vec<UdpPort>,
    /// Where connections arrive.
    pub streams: Vec<StreamPort>,
}

/// One line of "what listens where".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address, with the port that was chosen.
    pub address: SocketAddr,
    /// What is spoken there.
    pub transport: Transport,
}

/// A socket that could not be opened.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    transport: Transport,
    source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = match self.transport {
            Transport::Udp | Transport::Tcp => "--sip-listen",
            Transport::Tls => "--tls-listen",
        };
        let name = self.transport.name();
        write!(f, "cannot listen on {} ({name}): {}; ", self.address, self.source)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "stop the program that holds it, or name another address with {flag}")
            }
            io::ErrorKind::PermissionDenied => {
                write!(f, "ports below 1024 need root or CAP_NET_BIND_SERVICE; or use {flag}")
            }
            _ => write!(f, "name an address of this machine with {flag}"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Opens a UDP socket and a TCP listener on each of `sip`, and a TLS listener on each of `tls`, for
/// every one of `shards` shards.
///
/// # Errors
///
/// The first socket that could not be opened. Optional addresses of a family or interface that this
/// host does not have are left out instead.
pub fn open(
    sip: &[Endpoint],
    tls: &[Endpoint],
    shards: usize,
) -> Result<(Vec<Ports>, Vec<Listening>), ListenError> {
    let mut ports: Vec<Ports> = (0..shards).map(|_| Ports::default()).collect();
    let mut listening = Vec::new();
    for endpoint in sip {
        let endpoint = with_port(endpoint)?;
        let Some(address) = open_udp(&endpoint, &mut ports)? else { continue };
        listening.push(Listening { address, transport: Transport::Udp });
        if let Some(address) = open_streams(&endpoint, Transport::Tcp, &mut ports)? {
            listening.push(Listening { address, transport: Transport::Tcp });
        }
    }
    for endpoint in tls {
        if let Some(address) = open_streams(endpoint, Transport::Tls, &mut ports)? {
            listening.push(Listening { address, transport: Transport::Tls });
        }
    }
    let sockets = ports.iter().flat_map(|ports| &ports.udp);
    let buffers = sockets.filter_map(|port| SockRef::from(&port.socket).recv_buffer_size().ok());
    if let Some(warning) = buffers.min().and_then(small_buffer) {
        log::warn!("{warning}");
    }
    Ok((ports, listening))
}

/// What to say of a receive buffer of so many bytes, which the kernel gives twice what was asked for.
fn small_buffer(bytes: usize) -> Option<String> {
    let (given, wanted) = (bytes / 2 / 1024, RECEIVE_BUFFER_BYTES / 1024);
    (given < wanted).then(|| {
        format!(
            "the kernel buffers only {given} KiB of datagrams for a socket instead of {wanted}, so bursts are \
             lost (sentrypeer_kernel_drops_total): raise net.core.rmem_max, or give CAP_NET_ADMIN"
        )
    })
}

/// Lets the system choose the port of an endpoint that names none: one that is free for both UDP and
/// TCP.
fn with_port(endpoint: &Endpoint) -> Result<Endpoint, ListenError> {
    if endpoint.address.port() != 0 {
        return Ok(*endpoint);
    }
    for _ in 0..PORT_TRIES {
        let Some(address) = probe(endpoint, Transport::Udp)? else { return Ok(*endpoint) };
        let chosen = Endpoint { address, ..*endpoint };
        if bind_once(address, Transport::Tcp).is_ok() {
            return Ok(chosen);
        }
    }
    // The next bind says what stands in the way.
    Ok(*endpoint)
}

fn open_udp(endpoint: &Endpoint, ports: &mut [Ports]) -> Result<Option<SocketAddr>, ListenError> {
    let Some(address) = probe(endpoint, Transport::Udp)? else { return Ok(None) };
    let fail = |source| ListenError { address, transport: Transport::Udp, source };
    for shard in ports {
        let socket = new_socket(address, Transport::Udp).map_err(fail)?;
        socket.set_reuse_port(true).map_err(fail)?;
        syscall::set_buffers(socket.as_fd(), RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES);
        // Only a socket for many addresses has to ask which one was meant; it costs 100 ns each.
        if address.ip().is_unspecified() {
            let asked = match address.ip() {
                IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true),
                IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true),
            };
            asked.map_err(|e| fail(e.into()))?;
            // A subnet may be routed to this machine without being on an interface. IPv4 answers from
            // such an address as it is; IPv6 wants to be told. Old kernels do not know the option.
            if address.is_ipv6()
                && let Err(error) = socket.set_freebind_v6(true)
            {
                log::debug!("{address}: answers leave only from addresses of interfaces: {error}");
            }
        }
        socket.bind(&address.into()).map_err(fail)?;
        let rules = Arc::default();
        shard.udp.push(UdpPort { socket: socket.into(), local: address, rules });
    }
    Ok(Some(address))
}

fn open_streams(
    endpoint: &Endpoint,
    transport: Transport,
    ports: &mut [Ports],
) -> Result<Option<SocketAddr>, ListenError> {
    let Some(address) = probe(endpoint, transport)? else { return Ok(None) };
    let fail = |source| ListenError { address, transport, source };
    for shard in ports {
        let socket = new_socket(address, transport).map_err(fail)?;
        socket.set_reuse_address(true).map_err(fail)?;
        socket.set_reuse_port(true).map_err(fail)?;
        // Connections have them from their listener.
        socket.set_recv_buffer_size(STREAM_KERNEL_BYTES).map_err(fail)?;
        socket.set_send_buffer_size(STREAM_KERNEL_BYTES).map_err(fail)?;
        socket.bind(&address.into()).map_err(fail)?;
        socket.listen(LISTEN_BACKLOG).map_err(fail)?;
        let front_ends = Arc::default();
        shard.streams.push(StreamPort {
            socket: socket.into(),
            local: address,
            transport,
            front_ends,
        });
    }
    Ok(Some(address))
}

/// Binds once without `SO_REUSEPORT` and lets go again: a second instance, which would silently
/// take half of the packets, is noticed here. Returns the address with the port that was given.
///
/// The kernel takes an io_uring apart in the background, so the sockets of a node that has just ended
/// may live a little longer than it: an address in use is tried again for a while.
fn probe(endpoint: &Endpoint, transport: Transport) -> Result<Option<SocketAddr>, ListenError> {
    let address = endpoint.address;
    let deadline = Instant::now() + Duration::from_millis(BIND_PATIENCE_MS);
    loop {
        match bind_once(address, transport) {
            Ok(local) => return Ok(Some(local)),
            Err(error) if endpoint.optional && is_absent(&error) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(BIND_RETRY_MS));
            }
            Err(source) => return Err(ListenError { address, transport, source }),
        }
    }
}

fn bind_once(address: SocketAddr, transport: Transport) -> io::Result<SocketAddr> {
    let socket = new_socket(address, transport)?;
    if transport != Transport::Udp {
        // Connections of an earlier run that linger do not stand in the way.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if transport != Transport::Udp {
        socket.listen(1)?;
    }
    Ok(socket.local_addr()?.as_socket().unwrap_or(address))
}

/// Whether the host has no such address family, or no such address.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT))
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn new_socket(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> Endpoint {
        Endpoint { address: "127.0.0.1:0".parse().unwrap(), optional: false }
    }

    #[test]
    fn every_shard_gets_its_own_sockets_on_the_same_ports() {
        let (ports, listening) = open(&[any()], &[any()], 3).unwrap();
        assert_eq!(ports.len(), 3);
        assert_eq!(listening.len(), 3);
        assert_eq!(listening[0].address, listening[1].address);
        for shard in &ports {
            assert_eq!(shard.udp[0].local, listening[0].address);
            assert_eq!(shard.streams[0].local, listening[1].address);
            assert_eq!(shard.streams[1].transport, Transport::Tls);
        }
    }

    #[test]
    fn a_small_receive_buffer_is_told_with_its_size_and_the_remedy() {
        let said = small_buffer(425_984).unwrap();
        assert!(said.contains("only 208 KiB") && said.contains("net.core.rmem_max"), "{said}");
        assert_eq!(small_buffer(2 * RECEIVE_BUFFER_BYTES), None);
    }

    #[test]
    fn a_second_instance_is_refused_on_each_transport() {
        let (_held, listening) = open(&[any()], &[any()], 2).unwrap();
        let taken = |address| Endpoint { address, optional: false };
        let error = open(&[taken(listening[0].address)], &[], 1).unwrap_err().to_string();
        assert!(error.contains("(UDP)") && error.contains("--sip-listen"), "{error}");
        let error = open(&[], &[taken(listening[2].address)], 1).unwrap_err().to_string();
        assert!(error.contains("(TLS)") && error.contains("--tls-listen"), "{error}");
    }

    #[test]
    fn an_address_that_the_host_lacks_is_left_out_only_if_nobody_named_it() {
        // TEST-NET-1 (RFC 5737) is on no interface.
        let absent = |optional| Endpoint { address: "192.0.2.1:0".parse().unwrap(), optional };
        let (ports, listening) = open(&[absent(true)], &[], 1).unwrap();
        assert!(ports[0].udp.is_empty() && listening.is_empty());
        assert!(open(&[absent(false)], &[], 1).is_err());
    }
}
