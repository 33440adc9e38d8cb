//! Socket addresses and packet information, as the kernel writes and reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::{mem, ptr};

use super::socklen;

/// Room for one `IP_PKTINFO` or `IPV6_PKTINFO` control message, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Control(pub [u8; 64]);

pub const EMPTY_CONTROL: Control = Control([0; 64]);

pub fn address_length(address: SocketAddr) -> libc::socklen_t {
    match address {
        SocketAddr::V4(_) => socklen::<libc::sockaddr_in>(),
        SocketAddr::V6(_) => socklen::<libc::sockaddr_in6>(),
    }
}

pub fn storage(address: SocketAddr) -> libc::sockaddr_storage {
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

pub fn socket_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
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
pub fn packet_destination(control: &[u8]) -> Option<IpAddr> {
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
pub fn put_packet_source(control: &mut Control, from: IpAddr, to: SocketAddr) -> usize {
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
