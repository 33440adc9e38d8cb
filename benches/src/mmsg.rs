//! Many datagrams in one system call, each from an address of its own choice.
//!
//! nix wraps both calls, but gives every datagram of a call the same control message, so the same
//! source address. This file does what is missing and no more; every unsafe line of the crate is
//! here.

#![allow(
    unsafe_code,
    reason = "the C structures of two system calls; each block says why it holds"
)]

use std::io;
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use libc::{c_uint, c_void, cmsghdr, in_pktinfo, iovec, mmsghdr, sockaddr_in, socklen_t};

/// Datagrams in one call.
pub const BATCH: usize = 64;

/// A datagram to send.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The address of this machine that it comes from.
    pub source: Ipv4Addr,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// One `IP_PKTINFO` control message, laid out as `cmsg(3)` wants it.
#[repr(C)]
#[derive(Clone, Copy)]
struct SourceControl {
    header: cmsghdr,
    info: in_pktinfo,
}

const INFO_BYTES: c_uint = size_of::<in_pktinfo>() as c_uint;

const _: () = {
    // SAFETY: both are arithmetic on their argument.
    let (len, space) = unsafe { (libc::CMSG_LEN(0), libc::CMSG_SPACE(INFO_BYTES)) };
    assert!(offset_of!(SourceControl, info) == len as usize, "the data follow the header");
    assert!(size_of::<SourceControl>() == space as usize, "padded as the kernel pads");
};

impl SourceControl {
    fn new(source: Ipv4Addr) -> Self {
        // SAFETY: arithmetic on its argument.
        let len = unsafe { libc::CMSG_LEN(INFO_BYTES) };
        let spec_dst = libc::in_addr { s_addr: u32::from(source).to_be() };
        Self {
            header: cmsghdr {
                cmsg_len: len as _,
                cmsg_level: libc::IPPROTO_IP,
                cmsg_type: libc::IP_PKTINFO,
            },
            info: in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: spec_dst,
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
        }
    }
}

/// Sends the first [`BATCH`] of `datagrams` to `target`, and says how many went.
///
/// # Errors
///
/// What `sendmmsg(2)` says of the first of them; none went then.
pub fn send(socket: &UdpSocket, target: SocketAddrV4, datagrams: &[Datagram]) -> io::Result<usize> {
    let datagrams = &datagrams[..datagrams.len().min(BATCH)];
    let mut to = sockaddr_in {
        sin_family: libc::AF_INET as _,
        sin_port: target.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*target.ip()).to_be() },
        sin_zero: [0; 8],
    };
    let mut controls = [SourceControl::new(Ipv4Addr::LOCALHOST); BATCH];
    let mut slices = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut headers = empty_headers();
    for (i, datagram) in datagrams.iter().enumerate() {
        controls[i] = SourceControl::new(datagram.source);
        // The kernel only reads what a send points at.
        let base = datagram.bytes.as_ptr().cast::<c_void>().cast_mut();
        slices[i] = iovec { iov_base: base, iov_len: datagram.bytes.len() };
        let header = &mut headers[i].msg_hdr;
        header.msg_name = (&raw mut to).cast();
        header.msg_namelen = size_of::<sockaddr_in>() as socklen_t;
        header.msg_iov = &raw mut slices[i];
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut controls[i]).cast();
        header.msg_controllen = size_of::<SourceControl>() as _;
    }
    // SAFETY: the first `datagrams.len()` headers, of at most BATCH, point at an address, one slice
    // and one control message each, all of which live in this frame, and at bytes that `datagrams`
    // keeps borrowed; every length is that of what its pointer points at. The rest are all zero.
    let sent = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), datagrams.len() as c_uint, 0)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Room for a batch of datagrams.
pub struct Bin {
    bytes: Vec<u8>,
    /// Where each came from, how long it is, and what its control message says, if one is asked for.
    sources: [sockaddr_in; BATCH],
    controls: Option<Box<[SourceControl; BATCH]>>,
    lengths: [usize; BATCH],
}

/// Bytes of a datagram that are received; the rest is cut off.
const BIN_BYTES: usize = 2_048;

impl Default for Bin {
    /// For datagrams that nobody will read.
    fn default() -> Self {
        // SAFETY: `sockaddr_in` is plain C data, of which all zero is a value.
        let sources = unsafe { std::mem::zeroed() };
        Self { bytes: vec![0; BATCH * BIN_BYTES], sources, controls: None, lengths: [0; BATCH] }
    }
}

/// What one call received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Datagrams.
    pub packets: u64,
    /// Bytes that were not cut off.
    pub bytes: u64,
}

/// A datagram that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived<'a> {
    /// Where it came from.
    pub source: SocketAddrV4,
    /// The address that it was sent to; unspecified unless it was asked for.
    pub destination: Ipv4Addr,
    /// What was not cut off.
    pub bytes: &'a [u8],
}

impl Bin {
    /// Room that also keeps which address each datagram was sent to. The socket must have
    /// `IP_PKTINFO` set.
    #[must_use]
    pub fn with_destinations() -> Self {
        let controls = Box::new([SourceControl::new(Ipv4Addr::UNSPECIFIED); BATCH]);
        Self { controls: Some(controls), ..Self::default() }
    }

    /// Waits for a datagram, as long as the socket's own timeout, and takes what else is there.
    ///
    /// # Errors
    ///
    /// What `recvmmsg(2)` says; `WouldBlock` when the timeout passed.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<Received> {
        let mut slices = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers = empty_headers();
        for (i, room) in self.bytes.chunks_exact_mut(BIN_BYTES).enumerate() {
            slices[i] = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            let header = &mut headers[i].msg_hdr;
            header.msg_iov = &raw mut slices[i];
            header.msg_iovlen = 1;
            if let Some(controls) = &mut self.controls {
                header.msg_name = (&raw mut self.sources[i]).cast();
                header.msg_namelen = size_of::<sockaddr_in>() as socklen_t;
                header.msg_control = (&raw mut controls[i]).cast();
                header.msg_controllen = size_of::<SourceControl>() as _;
            }
        }
        // SAFETY: every header points at one slice of this frame, and every slice at BIN_BYTES
        // bytes of `self.bytes`, which nothing else touches during the call; the address and the
        // control message of each, if it points at any, are places of `self` of the lengths that it
        // says. A null timeout means none.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..received]) {
            *length = header.msg_len as usize;
        }
        let bytes = self.lengths[..received].iter().map(|&length| length as u64).sum();
        Ok(Received { packets: received as u64, bytes })
    }

    /// What the last call received, up to the number of packets that it said.
    pub fn arrived(&self) -> impl Iterator<Item = Arrived<'_>> {
        let rooms = self.bytes.chunks_exact(BIN_BYTES).zip(&self.lengths);
        rooms.zip(&self.sources).enumerate().map(|(i, ((room, &length), source))| Arrived {
            source: SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(source.sin_addr.s_addr)),
                u16::from_be(source.sin_port),
            ),
            destination: self.controls.as_ref().map_or(Ipv4Addr::UNSPECIFIED, |controls| {
                Ipv4Addr::from(u32::from_be(controls[i].info.ipi_addr.s_addr))
            }),
            bytes: &room[..length],
        })
    }
}

fn empty_headers() -> [mmsghdr; BATCH] {
    // SAFETY: `mmsghdr` is plain C data: null pointers and zero lengths, which both calls accept.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair() -> (UdpSocket, UdpSocket, SocketAddrV4) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let target = SocketAddrV4::new(Ipv4Addr::LOCALHOST, receiver.local_addr().unwrap().port());
        (UdpSocket::bind("0.0.0.0:0").unwrap(), receiver, target)
    }

    #[test]
    fn each_datagram_comes_from_its_own_address() {
        let (sender, receiver, target) = pair();
        let datagram = |i: u8| Datagram { source: Ipv4Addr::new(127, 1, 0, i), bytes: vec![i; 3] };
        let datagrams: Vec<Datagram> = (1..=9).map(datagram).collect();
        assert_eq!(send(&sender, target, &datagrams).unwrap(), 9);
        let mut buffer = [0; 16];
        for datagram in datagrams {
            let (length, from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], datagram.bytes);
            assert_eq!(from.ip(), datagram.source);
        }
    }

    #[test]
    fn what_is_received_is_counted() {
        let (sender, receiver, target) = pair();
        let datagram = Datagram { source: Ipv4Addr::LOCALHOST, bytes: vec![7; 100] };
        assert_eq!(send(&sender, target, &vec![datagram; 100]).unwrap(), BATCH);
        let (mut bin, mut all) = (Bin::default(), Received::default());
        while all.packets < BATCH as u64 {
            let received = bin.receive(&receiver).unwrap();
            all.packets += received.packets;
            all.bytes += received.bytes;
        }
        assert_eq!(all, Received { packets: BATCH as u64, bytes: 100 * BATCH as u64 });
    }

    #[test]
    fn what_is_received_can_be_read_with_its_addresses() {
        let (sender, receiver, target) = pair();
        nix::sys::socket::setsockopt(&receiver, nix::sys::socket::sockopt::Ipv4PacketInfo, &true)
            .unwrap();
        let source = Ipv4Addr::new(127, 9, 8, 7);
        let datagram = |i: u8| Datagram { source, bytes: vec![i; usize::from(i)] };
        send(&sender, target, &[datagram(3), datagram(5)]).unwrap();
        let mut bin = Bin::with_destinations();
        let count = usize::try_from(bin.receive(&receiver).unwrap().packets).unwrap();
        let arrived: Vec<Arrived<'_>> = bin.arrived().take(count).collect();
        assert_eq!(arrived[0].source.ip(), &source);
        assert_eq!(arrived[0].source.port(), sender.local_addr().unwrap().port());
        assert_eq!(arrived[0].destination, Ipv4Addr::LOCALHOST);
        assert_eq!(arrived.iter().map(|a| a.bytes.len()).collect::<Vec<_>>(), [3, 5][..count]);
    }

    #[test]
    fn nothing_to_send_is_no_error() {
        let (sender, _, target) = pair();
        assert_eq!(send(&sender, target, &[]).unwrap(), 0);
    }
}
