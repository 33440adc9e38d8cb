//! Batches of datagrams: `recvmmsg` and `sendmmsg`.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::{io, mem, ptr};

use super::address::{
    Control, EMPTY_CONTROL, address_length, packet_destination, put_packet_source, socket_address,
    storage,
};
use super::socklen;
use crate::limits::{DATAGRAM_SLOT_BYTES, DATAGRAMS_PER_CALL};

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
