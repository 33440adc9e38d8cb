//! A larger receive buffer for OpenDHT's sockets, for which the library has no call.

#![allow(
    unsafe_code,
    reason = "the sockets are OpenDHT's, so all that we have of them is numbers; each block says why \
              it holds"
)]

/// Enlarges the receive buffers of our UDP sockets on `port` to `bytes`, as far as the system lets us,
/// and gives the size of the smallest, as the system counts it. OpenDHT has no call for it.
pub fn enlarge_receive_buffers(port: u16, bytes: usize) -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|fd| is_udp_on(*fd, port)).filter_map(|fd| enlarge(fd, bytes)).min()
}

fn is_udp_on(fd: i32, port: u16) -> bool {
    // SAFETY: all zeros is a valid `sockaddr_storage`.
    let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the buffer is live and `len` is its size. A number that is no socket any more is refused
    // by the system.
    let code = unsafe { libc::getsockname(fd, (&raw mut address).cast(), &raw mut len) };
    let is_ip = matches!(i32::from(address.ss_family), libc::AF_INET | libc::AF_INET6);
    if code != 0 || !is_ip || option(fd, libc::SO_TYPE) != Some(libc::SOCK_DGRAM) {
        return false;
    }
    // SAFETY: in both families the port stands where `sockaddr_in` has it, and the buffer is large
    // enough for either.
    let bound = unsafe { (*(&raw const address).cast::<libc::sockaddr_in>()).sin_port };
    u16::from_be(bound) == port
}

fn option(fd: i32, name: i32) -> Option<i32> {
    let (mut value, mut len) = (0_i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: the buffer is an `i32` and `len` its size.
    let code = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, name, value, &raw mut len)
    };
    (code == 0).then_some(value)
}

fn enlarge(fd: i32, bytes: usize) -> Option<usize> {
    let value = i32::try_from(bytes).ok()?;
    // With the right to do so the system's own maximum does not count.
    for name in [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF] {
        let len = size_of::<i32>() as libc::socklen_t;
        // SAFETY: the option is an `i32`, which is copied.
        let code =
            unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, name, (&raw const value).cast(), len) };
        if code == 0 {
            break;
        }
    }
    option(fd, libc::SO_RCVBUF).and_then(|size| usize::try_from(size).ok())
}
