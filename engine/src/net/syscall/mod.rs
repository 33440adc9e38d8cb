//! The system calls that no safe wrapper offers in the shape that a packet engine needs: batches of
//! datagrams (`batch`) with their addresses and control messages (`address`), options of sockets
//! (`option`), and the question whether io_uring may be used. Every `unsafe` of the engine is in
//! this folder.
#![allow(unsafe_code, reason = "the one folder of the engine that talks to the kernel by hand")]

mod address;
mod batch;
mod option;

pub use batch::{Outgoing, ReceiveBatch, Received, SendBatch};
pub use option::{kernel_drops, set_buffers, shut_out};

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

fn socklen<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
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
    use std::net::SocketAddr;
    use std::net::UdpSocket;
    use std::os::fd::{AsFd, AsRawFd};

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
