//! Where connections from front ends wait until their PROXY protocol header has come: only then is
//! it known whose they are, and they are admitted like any other, with the carried addresses. The
//! header stands before everything else, also before a TLS handshake.

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};

use super::proxy::{self, Header};
use crate::config::Prefix;
use crate::counters::{Count, ShardCounters};
use crate::honeypot::Path;
use crate::limits::{PROXY_HEADER_MS, PROXY_V2_BYTES_MAX, PROXY_WAITING_MAX};

/// Who connects on behalf of others, as the operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontEnds(pub Vec<Prefix>);

impl FrontEnds {
    /// Whether `ip` is one of them.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(ip))
    }
}

/// What is known of a waiting connection after a look at it.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// More has to come.
    Wait,
    /// It is to be admitted, with these addresses.
    Enter(Path),
    /// It is over.
    Gone,
}

/// The connections of one shard that wait.
pub struct Lobby {
    guests: Vec<Option<Guest>>,
    counters: Arc<ShardCounters>,
}

/// One that waits.
struct Guest {
    /// Open for as long as the driver has not been told that it is to be admitted or gone.
    socket: RawFd,
    /// The real addresses.
    path: Path,
    since: Instant,
    /// What came of the header so far.
    head: Vec<u8>,
    /// It is the front end's own; whether it says anything is not known yet.
    local: bool,
    late: bool,
}

impl Lobby {
    /// An empty one, with the counters of its shard.
    #[must_use]
    pub fn new(counters: Arc<ShardCounters>) -> Self {
        Self { guests: Vec::new(), counters }
    }

    /// Takes a connection of a front end, and gives its place; nothing, and that is counted, when
    /// too many wait.
    pub fn arrive(&mut self, socket: RawFd, path: Path) -> Option<usize> {
        let index = self.guests.iter().position(Option::is_none).unwrap_or(self.guests.len());
        if index >= PROXY_WAITING_MAX {
            self.counters.add(Count::RefusedProxyFull, 1);
            return None;
        }
        if index == self.guests.len() {
            self.guests.push(None);
        }
        self.guests[index] = Some(Guest::new(socket, path));
        Some(index)
    }

    /// Looks at what came. Unless it is to wait on, its place is free afterwards.
    pub fn look(&mut self, index: usize) -> Step {
        let Some(slot) = self.guests.get_mut(index) else { return Step::Gone };
        let Some(guest) = slot else { return Step::Gone };
        match guest.step(&self.counters) {
            Ok(Step::Wait) => Step::Wait,
            Ok(step) => {
                *slot = None;
                step
            }
            Err(count) => {
                self.counters.add(count, 1);
                *slot = None;
                Step::Gone
            }
        }
    }

    /// Shuts those that have waited too long at `now`. The driver then finds them at their end.
    pub fn sweep(&mut self, now: Instant) {
        let patience = Duration::from_millis(PROXY_HEADER_MS);
        for guest in self.guests.iter_mut().flatten() {
            if !guest.late && now.duration_since(guest.since) > patience {
                guest.late = true;
                // It fails only if the other side was faster.
                let _ = shutdown(guest.socket, Shutdown::Both);
            }
        }
    }

    /// The node stops: who waits still is counted.
    pub fn finish(&mut self) {
        let waiting = self.guests.drain(..).flatten().filter(|guest| !guest.local).count();
        self.counters.add(Count::RefusedProxyMissing, waiting as u64);
    }
}

/// Reads the header of a connection that nobody waits for any more, as far as it is there: the
/// addresses to admit it with. What has none is counted.
#[must_use]
pub fn at_once(socket: RawFd, path: Path, counters: &ShardCounters) -> Option<Path> {
    let mut guest = Guest::new(socket, path);
    match guest.step(counters) {
        Ok(Step::Enter(path)) => return Some(path),
        Ok(_) if guest.local => {}
        Ok(_) => counters.add(Count::RefusedProxyMissing, 1),
        Err(count) => counters.add(count, 1),
    }
    None
}

impl Guest {
    fn new(socket: RawFd, path: Path) -> Self {
        let since = Instant::now();
        Self { socket, path, since, head: Vec::new(), local: false, late: false }
    }

    /// Reads on. The error is where its failure is counted.
    fn step(&mut self, counters: &ShardCounters) -> Result<Step, Count> {
        let mut buffer = [0; PROXY_V2_BYTES_MAX + 16];
        while !self.local {
            let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            let came = match recv(self.socket, &mut buffer, peek) {
                Ok(0) | Err(Errno::ECONNRESET) => return Err(self.ending()),
                Ok(came) => came,
                Err(Errno::EAGAIN) => return Ok(Step::Wait),
                Err(Errno::EINTR) => continue,
                Err(_) => return Err(self.ending()),
            };
            let before = self.head.len();
            self.head.extend_from_slice(&buffer[..came]);
            let header = proxy::parse(&self.head).map_err(|_| Count::RefusedProxyBroken)?;
            // What was peeked at is taken, up to the end of the header.
            let taken = header.map_or(came, |(_, length)| length - before);
            let _ = recv(self.socket, &mut buffer[..taken], MsgFlags::MSG_DONTWAIT);
            match header {
                None => {}
                Some((Header::Proxied { source, destination }, _)) => {
                    counters.add(Count::ProxiedConnections, 1);
                    return Ok(Step::Enter(Path { source, destination, ..self.path }));
                }
                Some((Header::Local, _)) => {
                    counters.add(Count::ProxyLocal, 1);
                    self.local = true;
                }
            }
        }
        self.first_byte()
    }

    /// A connection of the front end's own is admitted when it says something. One that only looks
    /// whether we are there is no event.
    fn first_byte(&self) -> Result<Step, Count> {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        match recv(self.socket, &mut [0], peek) {
            Ok(1..) => Ok(Step::Enter(self.path)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Step::Wait),
            Ok(0) | Err(_) => Ok(Step::Gone),
        }
    }

    fn ending(&self) -> Count {
        if self.late { Count::RefusedProxyLate } else { Count::RefusedProxyMissing }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use sentrypeer_storage::event::Transport;

    use super::*;

    struct Setup {
        lobby: Lobby,
        counters: Arc<ShardCounters>,
        near: UnixStream,
        far: UnixStream,
    }

    fn setup() -> (Setup, usize) {
        let counters = Arc::new(ShardCounters::default());
        let (near, far) = UnixStream::pair().unwrap();
        let mut lobby = Lobby::new(Arc::clone(&counters));
        let index = lobby.arrive(near.as_raw_fd(), path()).unwrap();
        (Setup { lobby, counters, near, far }, index)
    }

    fn path() -> Path {
        let address = |text: &str| text.parse().unwrap();
        Path {
            source: address("10.0.0.1:1000"),
            destination: address("10.0.0.2:5060"),
            transport: Transport::Tcp,
        }
    }

    #[test]
    fn a_header_in_pieces_is_taken_whole_and_nothing_behind_it() {
        let (mut setup, index) = setup();
        for piece in ["PROXY TCP4 198.51.100.7 192.", "0.2.9 40000 506"] {
            setup.far.write_all(piece.as_bytes()).unwrap();
            assert!(matches!(setup.lobby.look(index), Step::Wait));
        }
        setup.far.write_all(b"0\r\nOPTIONS").unwrap();
        let Step::Enter(path) = setup.lobby.look(index) else { panic!() };
        assert_eq!(path.source.to_string(), "198.51.100.7:40000");
        assert_eq!(path.destination.to_string(), "192.0.2.9:5060");
        let mut rest = [0; 20];
        let length = recv(setup.near.as_raw_fd(), &mut rest, MsgFlags::empty()).unwrap();
        assert_eq!(&rest[..length], b"OPTIONS");
        assert_eq!(setup.counters.of(Count::ProxiedConnections), 1);
    }

    #[test]
    fn a_look_whether_we_are_there_is_no_connection_and_a_word_is() {
        let (mut setup, index) = setup();
        setup.far.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").unwrap();
        assert!(matches!(setup.lobby.look(index), Step::Wait));
        setup.far.write_all(b"O").unwrap();
        let Step::Enter(path) = setup.lobby.look(index) else { panic!() };
        assert_eq!(path.source.to_string(), "10.0.0.1:1000");

        let index = setup.lobby.arrive(setup.near.as_raw_fd(), path).unwrap();
        setup.lobby.guests[index].as_mut().unwrap().local = true;
        recv(setup.near.as_raw_fd(), &mut [0], MsgFlags::empty()).unwrap();
        drop(setup.far);
        assert!(matches!(setup.lobby.look(index), Step::Gone));
        let refused = [Count::RefusedProxyMissing, Count::RefusedProxyBroken];
        assert!(refused.iter().all(|count| setup.counters.of(*count) == 0));
    }

    #[test]
    fn what_does_not_begin_with_a_header_is_turned_away() {
        let (mut setup, index) = setup();
        setup.far.write_all(b"OPTIONS sip:1@x SIP/2.0\r\n").unwrap();
        assert!(matches!(setup.lobby.look(index), Step::Gone));
        assert_eq!(setup.counters.of(Count::RefusedProxyBroken), 1);
    }

    #[test]
    fn who_never_says_its_header_is_shut() {
        let (mut setup, index) = setup();
        setup.far.write_all(b"PROXY ").unwrap();
        let late = Instant::now() + Duration::from_millis(PROXY_HEADER_MS + 1);
        setup.lobby.sweep(Instant::now());
        assert!(matches!(setup.lobby.look(index), Step::Wait));
        setup.lobby.sweep(late);
        assert!(matches!(setup.lobby.look(index), Step::Gone));
        assert_eq!(setup.counters.of(Count::RefusedProxyLate), 1);
    }

    #[test]
    fn only_so_many_wait_and_a_stop_counts_them() {
        let (mut setup, _) = setup();
        for _ in 1..PROXY_WAITING_MAX {
            assert!(setup.lobby.arrive(setup.near.as_raw_fd(), path()).is_some());
        }
        assert!(setup.lobby.arrive(setup.near.as_raw_fd(), path()).is_none());
        assert_eq!(setup.counters.of(Count::RefusedProxyFull), 1);
        setup.lobby.finish();
        assert_eq!(setup.counters.of(Count::RefusedProxyMissing), PROXY_WAITING_MAX as u64);
    }
}
