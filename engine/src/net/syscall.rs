//! The system calls that no safe wrapper offers in the shape that a packet engine needs: batches of
//! datagrams with their control messages, the kernel's drop count, a filter that shuts a socket for
//! good, and the question whether io_uring may be used. Every `unsafe` of the engine is here.
#![allow(unsafe_code, reason = "the one file of the engine that talks to the kernel by hand")]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::limits::{DATAGRAM_SLOT_BYTES, DATAGRAMS_PER_CALL};

/// Room for one `IP_PKTINFO` or `IPV6_PKTINFO` control message, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

const EMPTY_CONTROL: Control = Control([0; 64]);

/// Buffers for one `recvmmsg` call, and what the last call put into them.
pub struct ReceiveBatch {
    headers: Box<[libc::mmsghdr]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    slots: Box<[u8]>,
    // The headers point here and into the boxes above; none of them ever moves or is resized.
    _vectors: Box<[libc::iovec]>,
    filled: usize,
}

/// One datagram as the kernel handed it over.
pub struct Received<'a> {
    /// Its bytes.
    pub payload: &'a [u8],
    /// Who sent it; IPv4-mapped addresses are IPv4.
    pub source: SocketAddr,
    /// The address that it was sent to, when the socket asks for that.
    pub destination: Option<IpAddr>,
    /// Whether the kernel cut it.
    pub truncated: bool,
}

impl ReceiveBatch {
    /// Allocates the buffers. Their pages are not touched before datagrams come.
    #[must_use]
    pub fn new() -> Self {
        let n = DATAGRAMS_PER_CALL;
        let mut slots = vec![0_u8; n * DATAGRAM_SLOT_BYTES].into_boxed_slice();
        // SAFETY: all-zero bytes are a valid sockaddr_storage (family AF_UNSPEC).
        let mut names = vec![unsafe { mem::zeroed() }; n].into_boxed_slice();
        let mut controls = vec![EMPTY_CONTROL; n].into_boxed_slice();
        let mut vectors: Box<[libc::iovec]> = slots
            .chunks_exact_mut(DATAGRAM_SLOT_BYTES)
            .map(|slot| libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: sentrypeer_storage::event::MESSAGE_BYTES_MAX,
            })
            .collect();
        let headers = (0..n)
            .map(|i| {
                // SAFETY: all-zero bytes are a valid mmsghdr (null pointers, zero lengths).
                let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
                let names: &mut [libc::sockaddr_storage] = &mut names;
                header.msg_hdr.msg_name = ptr::from_mut(&mut names[i]).cast();
                header.msg_hdr.msg_iov = ptr::from_mut(&mut vectors[i]);
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = ptr::from_mut(&mut controls[i]).cast();
                header
            })
            .collect();
        Self { headers, names, controls, slots, _vectors: vectors, filled: 0 }
    }

    /// Takes what is there, without waiting: the number of datagrams, 0 when there was none.
    ///
    /// # Errors
    ///
    /// What the kernel says, but for "nothing there", which is 0.
    pub fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        self.filled = 0;
        for header in &mut *self.headers {
            header.msg_hdr.msg_namelen = socklen::<libc::sockaddr_storage>();
            header.msg_hdr.msg_controllen = size_of::<Control>();
        }
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: every header points into boxes of this value, which live and stay where they are
        // for as long as the call runs; their lengths were set above or in `new`.
        let got = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        match usize::try_from(got) {
            Ok(n) => {
                self.filled = n;
                Ok(n)
            }
            Err(_) => no_wait(io::Error::last_os_error()).map(|()| 0),
        }
    }

    /// The datagram `i` of the last call, or nothing if its sender's address is of no known family.
    #[must_use]
    pub fn datagram(&self, i: usize) -> Option<Received<'_>> {
        if i >= self.filled {
            return None;
        }
        let header = &self.headers[i];
        let length = header.msg_len as usize;
        let start = i * DATAGRAM_SLOT_BYTES;
        let payload = &self.slots[start..start + length.min(DATAGRAM_SLOT_BYTES)];
        let source = socket_address(&self.names[i])?;
        let control = &self.controls[i].0[..header.msg_hdr.msg_controllen.min(64)];
        Some(Received {
            payload,
            source,
            destination: packet_destination(control),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// One reply, ready to be sent.
pub struct Outgoing {
    /// Who gets it.
    pub to: SocketAddr,
    /// The address that it leaves from, where the socket is bound to several.
    pub from: Option<IpAddr>,
    /// Its bytes, as a range of the batch's text.
    pub range: std::ops::Range<usize>,
}

/// Buffers for one `sendmmsg` call.
pub struct SendBatch {
    headers: Vec<libc::mmsghdr>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
}

// SAFETY: the pointers in these values lead only into buffers that the same value owns, or (in
// `SendBatch`) are set anew and used within one call; nothing is shared with another thread.
unsafe impl Send for ReceiveBatch {}
// SAFETY: as above.
unsafe impl Send for SendBatch {}

impl SendBatch {
    /// Allocates the buffers.
    #[must_use]
    pub fn new() -> Self {
        let n = DATAGRAMS_PER_CALL;
        Self {
            headers: Vec::with_capacity(n),
            names: Vec::with_capacity(n),
            controls: Vec::with_capacity(n),
            vectors: Vec::with_capacity(n),
        }
    }

    /// Hands replies to the kernel without waiting; says how many it took.
    ///
    /// At most [`DATAGRAMS_PER_CALL`] are looked at.
    ///
    /// # Errors
    ///
    /// What the kernel says of the first of them, but for "no room now", which is `Ok(0)`.
    pub fn send(&mut self, socket: RawFd, text: &[u8], replies: &[Outgoing]) -> io::Result<usize> {
        let replies = &replies[..replies.len().min(DATAGRAMS_PER_CALL)];
        self.fill(text, replies);
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: `fill` made every header point into vectors of this value, whose capacity was
        // reserved so that they did not move, and into `text`, which outlives the call. The kernel
        // only reads them.
        let sent =
            unsafe { libc::sendmmsg(socket, self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).or_else(|_| no_wait(io::Error::last_os_error()).map(|()| 0))
    }

    fn fill(&mut self, text: &[u8], replies: &[Outgoing]) {
        self.headers.clear();
        self.names.clear();
        self.controls.clear();
        self.vectors.clear();
        for reply in replies {
            let bytes = &text[reply.range.clone()];
            self.names.push(storage(reply.to));
            self.controls.push(EMPTY_CONTROL);
            self.vectors.push(libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            });
        }
        for (i, reply) in replies.iter().enumerate() {
            // SAFETY: all-zero bytes are a valid mmsghdr.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = ptr::from_mut(&mut self.names[i]).cast();
            header.msg_hdr.msg_namelen = address_length(reply.to);
            header.msg_hdr.msg_iov = ptr::from_mut(&mut self.vectors[i]);
            header.msg_hdr.msg_iovlen = 1;
            if let Some(from) = reply.from {
                let length = put_packet_source(&mut self.controls[i], from, reply.to);
                header.msg_hdr.msg_control = ptr::from_mut(&mut self.controls[i]).cast();
                header.msg_hdr.msg_controllen = length;
            }
            self.headers.push(header);
        }
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

fn no_wait(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}

fn address_length(address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(_) => socklen::<libc::sockaddr_in>(),
        SocketAddr::V6(_) => socklen::<libc::sockaddr_in6>(),
    }
}

fn storage(address: SocketAddr) -> libc::sockaddr_storage {
    // SAFETY: all-zero bytes are a valid sockaddr_storage.
    let mut out: libc::sockaddr_storage = unsafe { mem::zeroed() };
    match address {
        SocketAddr::V4(v4) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_in fits into a sockaddr_storage and needs no stricter alignment.
            unsafe { ptr::write(ptr::from_mut(&mut out).cast(), name) };
        }
        SocketAddr::V6(v6) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a sockaddr_in6 fits into a sockaddr_storage and needs no stricter alignment.
            unsafe { ptr::write(ptr::from_mut(&mut out).cast(), name) };
        }
    }
    out
}

fn socket_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family says; the storage is large and
            // aligned enough for it.
            let v4: libc::sockaddr_in = unsafe { ptr::read(ptr::from_ref(name).cast()) };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::from((ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, as the family says; as above.
            let v6: libc::sockaddr_in6 = unsafe { ptr::read(ptr::from_ref(name).cast()) };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            match IpAddr::V6(ip).to_canonical() {
                IpAddr::V4(v4) => Some(SocketAddr::from((v4, port))),
                IpAddr::V6(_) => Some(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into()),
            }
        }
        _ => None,
    }
}

/// Bytes of a control message's header, which its data follows (`CMSG_LEN(0)`).
const CONTROL_HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

/// The destination address in the control messages of one datagram.
///
/// The sockets ask for nothing but packet information, so only the first message is looked at.
fn packet_destination(control: &[u8]) -> Option<IpAddr> {
    if control.len() < CONTROL_HEADER_BYTES {
        return None;
    }
    // SAFETY: there are at least as many bytes as a cmsghdr has; they are read unaligned.
    let header: libc::cmsghdr = unsafe { ptr::read_unaligned(control.as_ptr().cast()) };
    let data = &control[CONTROL_HEADER_BYTES..];
    match (header.cmsg_level, header.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) if data.len() >= 12 => {
            // in_pktinfo is ifindex, local address, header's destination: four bytes each.
            let octets: [u8; 4] = data[8..12].try_into().ok()?;
            Some(IpAddr::V4(Ipv4Addr::from(octets)))
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data.len() >= 16 => {
            let octets: [u8; 16] = data[..16].try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical())
        }
        _ => None,
    }
}

/// Writes the control message that makes a reply leave from `from`; returns its length in bytes.
fn put_packet_source(control: &mut Control, from: IpAddr, to: SocketAddr) -> usize {
    let mut info = [0_u8; 20];
    let (level, kind, length) = match from {
        IpAddr::V4(ip) => {
            info[4..8].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, 12)
        }
        IpAddr::V6(ip) => {
            info[..16].copy_from_slice(&ip.octets());
            if let SocketAddr::V6(to) = to {
                info[16..].copy_from_slice(&to.scope_id().to_ne_bytes());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20)
        }
    };
    let data = &info[..length];
    let header = libc::cmsghdr {
        cmsg_len: CONTROL_HEADER_BYTES + data.len(),
        cmsg_level: level,
        cmsg_type: kind,
    };
    // SAFETY: a Control is larger than a cmsghdr and aligned for it.
    unsafe { ptr::write(control.0.as_mut_ptr().cast(), header) };
    control.0[CONTROL_HEADER_BYTES..CONTROL_HEADER_BYTES + data.len()].copy_from_slice(data);
    // The kernel wants the length rounded up to a word (CMSG_SPACE).
    (CONTROL_HEADER_BYTES + data.len()).next_multiple_of(size_of::<usize>())
}

/// Datagrams that the kernel has dropped at this socket since it was made, because its buffer was
/// full or its filter said so.
///
/// # Errors
///
/// What the kernel says; old ones do not know the question.
pub fn kernel_drops(socket: BorrowedFd<'_>) -> io::Result<u32> {
    // SK_MEMINFO_DROPS is the ninth of the values that SO_MEMINFO gives.
    let mut values = [0_u32; 9];
    let mut length = socklen::<[u32; 9]>();
    // SAFETY: the kernel writes at most `length` bytes into an array of that size.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(values[8])
}

/// Makes the kernel drop (and count) everything that arrives at `socket` from now on. What is
/// queued already stays.
///
/// # Errors
///
/// What the kernel says.
pub fn shut_out(socket: BorrowedFd<'_>) -> io::Result<()> {
    // A program of one instruction: return 0 bytes of the packet (BPF_RET | BPF_K).
    let mut instruction = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut instruction };
    // SAFETY: the program points to one valid instruction, and both outlive the call; the kernel
    // copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            socklen::<libc::sock_fprog>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets a socket's receive or send buffer (bytes), beyond the system's limit where that is allowed.
pub fn set_buffers(socket: BorrowedFd<'_>, receive_bytes: usize, send_bytes: usize) {
    for (forced, plain, bytes) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, receive_bytes),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send_bytes),
    ] {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        let set = |option| {
            // SAFETY: the option's value is one int, which outlives the call.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const bytes).cast(),
                    socklen::<libc::c_int>(),
                )
            }
        };
        if set(forced) != 0 {
            set(plain);
        }
    }
}

/// Asks the kernel for an io_uring, and gives it back at once.
///
/// # Errors
///
/// What the kernel says: container runtimes commonly forbid it (EPERM, ENOSYS).
pub fn probe_io_uring() -> io::Result<()> {
    // io_uring_params has 120 bytes; all zero asks for the defaults.
    let mut parameters = [0_u64; 15];
    // SAFETY: the kernel reads and writes one io_uring_params, which fits into the array; the
    // descriptor that it returns is closed by OwnedFd.
    let descriptor = unsafe {
        libc::syscall(libc::SYS_io_uring_setup, 1 as libc::c_uint, parameters.as_mut_ptr())
    };
    match RawFd::try_from(descriptor) {
        Ok(fd) if fd >= 0 => {
            // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            Ok(())
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives a socket to whoever makes its own type of a raw descriptor, as glommio does.
pub fn adopt<T: FromRawFd>(socket: impl Into<OwnedFd>) -> T {
    // SAFETY: the descriptor is open, and its ownership passes on; both users of this function
    // (datagram socket, listener) hand over a socket of the kind that T stands for.
    unsafe { T::from_raw_fd(socket.into().into_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn receive_one(batch: &mut ReceiveBatch, socket: &UdpSocket) -> usize {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let n = batch.receive(socket.as_raw_fd()).unwrap();
            if n > 0 || std::time::Instant::now() > deadline {
                return n;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_datagram_of_65507_bytes_arrives_whole_and_a_reply_goes_back() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        set_buffers(server.as_fd(), 1 << 20, 1 << 20);
        client.send_to(&[b'x'; 65_507], server.local_addr().unwrap()).unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(receive_one(&mut batch, &server), 1);
        let got = batch.datagram(0).unwrap();
        assert_eq!(got.payload.len(), 65_507);
        assert!(!got.truncated);
        assert_eq!(got.source, client.local_addr().unwrap());
        assert!(batch.datagram(1).is_none());

        let replies = [Outgoing {
            to: client.local_addr().unwrap(),
            from: Some([127, 0, 0, 1].into()),
            range: 1..4,
        }];
        assert_eq!(SendBatch::new().send(server.as_raw_fd(), b"abcdef", &replies).unwrap(), 1);
        let mut buffer = [0; 16];
        let (n, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..n], from), (&b"bcd"[..], server.local_addr().unwrap()));
    }

    #[test]
    fn the_true_destination_is_told_and_a_reply_can_leave_from_it() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        nix::sys::socket::setsockopt(&server, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)
            .unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"hello", ("127.9.8.7", port)).unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(receive_one(&mut batch, &server), 1);
        let to = batch.datagram(0).unwrap().destination;
        assert_eq!(to, Some([127, 9, 8, 7].into()));

        let replies = [Outgoing { to: client.local_addr().unwrap(), from: to, range: 0..2 }];
        SendBatch::new().send(server.as_raw_fd(), b"ok", &replies).unwrap();
        let (_, from) = client.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(from, SocketAddr::from(([127, 9, 8, 7], port)));
    }

    #[test]
    fn a_socket_that_was_shut_out_keeps_what_it_had_and_counts_the_rest() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"before", server.local_addr().unwrap()).unwrap();
        shut_out(server.as_fd()).unwrap();
        client.send_to(b"after", server.local_addr().unwrap()).unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(receive_one(&mut batch, &server), 1);
        assert_eq!(batch.datagram(0).unwrap().payload, b"before");
        assert_eq!(batch.receive(server.as_raw_fd()).unwrap(), 0);
        assert_eq!(kernel_drops(server.as_fd()).unwrap(), 1);
    }
}
