//! Options of sockets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::socklen;

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
