//! The driver that runs everywhere: epoll by mio.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::Turn;
use super::listen::StreamPort;
use super::lobby::{Lobby, Step};
use super::streams::StreamId;
use crate::honeypot::Path;
use crate::limits::{ACCEPT_PAUSE_MS, ACCEPTS_PER_TURN, NAP_US, READINESS_PER_CALL, SWEEP_MS};
use crate::shard::Shard;

struct Listener {
    socket: TcpListener,
    port: StreamPort,
}

/// The token of the first place in the lobby: there are never as many sockets.
const GUESTS_FROM: usize = usize::MAX / 2;

struct Loop {
    poll: Poll,
    shard: Shard,
    datagram_ports: usize,
    listeners: Vec<Listener>,
    /// By stream id; the socket lives exactly as long as the shard knows the stream.
    streams: Vec<Option<TcpStream>>,
    lobby: Lobby,
    /// By place in the lobby.
    guests: Vec<Option<TcpStream>>,
    /// When the lobby was last looked through for those that wait too long.
    swept: Instant,
    /// Sockets that had more to give than one turn takes.
    again: Vec<Token>,
    /// Sockets that will have more to give after a nap.
    soon: Vec<Token>,
    /// Sockets that are left alone for a while, whatever readiness says, and until when.
    resting: HashMap<Token, Instant>,
    /// When the first of them may be looked at again.
    rested: Instant,
}

/// Runs a shard until it is asked to stop and has emptied its sockets.
///
/// # Errors
///
/// If the poller cannot be made, or fails for another reason than a signal.
pub fn run(shard: Shard, streams: Vec<StreamPort>, lobby: Lobby) -> io::Result<()> {
    let mut driver = Loop::new(shard, streams, lobby)?;
    let mut events = Events::with_capacity(READINESS_PER_CALL);
    while !driver.shard.is_stopping() {
        if !driver.soon.is_empty() {
            std::thread::sleep(Duration::from_micros(NAP_US));
        }
        match driver.poll.poll(&mut events, Some(driver.patience())) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        driver.handle(&events);
        driver.shard.tick();
        driver.sweep();
    }
    driver.lobby.finish();
    let ports: Vec<StreamPort> = driver.listeners.into_iter().map(|l| l.port).collect();
    driver.shard.finish(&ports);
    Ok(())
}

impl Loop {
    fn new(shard: Shard, ports: Vec<StreamPort>, lobby: Lobby) -> io::Result<Self> {
        let poll = Poll::new()?;
        let datagram_ports = shard.datagram_ports().len();
        for (i, port) in shard.datagram_ports().iter().enumerate() {
            let fd = port.socket.as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(i), Interest::READABLE)?;
        }
        let mut listeners = Vec::new();
        for port in ports {
            port.socket.set_nonblocking(true)?;
            let mut socket = TcpListener::from_std(port.socket.try_clone()?);
            let token = Token(datagram_ports + listeners.len());
            poll.registry().register(&mut socket, token, Interest::READABLE)?;
            listeners.push(Listener { socket, port });
        }
        Ok(Self {
            poll,
            shard,
            datagram_ports,
            listeners,
            streams: Vec::new(),
            lobby,
            guests: Vec::new(),
            swept: Instant::now(),
            again: Vec::new(),
            soon: Vec::new(),
            resting: HashMap::new(),
            rested: Instant::now(),
        })
    }

    /// How long to wait for readiness: not at all if something is known to be ready.
    fn patience(&self) -> Duration {
        if self.again.is_empty() && self.soon.is_empty() {
            self.shard.tick_interval()
        } else {
            Duration::ZERO
        }
    }

    fn handle(&mut self, events: &Events) {
        let mut ready = std::mem::take(&mut self.again);
        ready.append(&mut self.soon);
        ready.extend(events.iter().map(mio::event::Event::token));
        self.wake(&mut ready);
        ready.sort_unstable();
        ready.dedup();
        for token in ready {
            if !self.resting.contains_key(&token) {
                self.turn(token);
            }
        }
    }

    /// Moves the sockets that have rested long enough to `ready`.
    fn wake(&mut self, ready: &mut Vec<Token>) {
        let now = Instant::now();
        if self.resting.is_empty() || now < self.rested {
            return;
        }
        ready.extend(self.resting.extract_if(|_, until| *until <= now).map(|(token, _)| token));
        self.rested = self.resting.values().min().copied().unwrap_or(now);
    }

    fn turn(&mut self, token: Token) {
        let streams_from = self.datagram_ports + self.listeners.len();
        let turn = if token.0 >= GUESTS_FROM {
            self.guest(token.0 - GUESTS_FROM)
        } else if token.0 < self.datagram_ports {
            self.shard.datagrams(token.0)
        } else if token.0 < streams_from {
            self.accept(token)
        } else {
            self.readable(token.0 - streams_from)
        };
        match turn {
            Turn::Done => {}
            Turn::Soon => self.soon.push(token),
            Turn::More => self.again.push(token),
            Turn::Later(ms) => self.rest(token, ms),
        }
    }

    fn rest(&mut self, token: Token, ms: u64) {
        let until = Instant::now() + Duration::from_millis(ms);
        if self.resting.is_empty() || until < self.rested {
            self.rested = until;
        }
        self.resting.insert(token, until);
    }

    /// Accepts those who wait, up to a bound that leaves the other sockets their turn. When
    /// descriptors run out, the listener rests and goes on later.
    fn accept(&mut self, token: Token) -> Turn {
        for _ in 0..ACCEPTS_PER_TURN {
            let listener = &self.listeners[token.0 - self.datagram_ports];
            match listener.socket.accept() {
                Ok((socket, source)) => {
                    let transport = listener.port.transport;
                    let destination = socket.local_addr().unwrap_or(listener.port.local);
                    let is_front_end = listener.port.is_front_end(source);
                    let path = Path { source, destination, transport };
                    if is_front_end { self.arrive(socket, path) } else { self.admit(socket, path) }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Done,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    self.shard.accept_failed(&error);
                    self.rest(token, ACCEPT_PAUSE_MS);
                    return Turn::Done;
                }
            }
        }
        Turn::More
    }

    /// A connection of a front end waits for its header.
    fn arrive(&mut self, mut socket: TcpStream, path: Path) {
        let Some(index) = self.lobby.arrive(socket.as_raw_fd(), path) else { return };
        let token = Token(GUESTS_FROM + index);
        if let Err(error) = self.poll.registry().register(&mut socket, token, Interest::READABLE) {
            self.shard.accept_failed(&error);
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        if self.guests.len() <= index {
            self.guests.resize_with(index + 1, || None);
        }
        self.guests[index] = Some(socket);
        // What came with its first packet is there already.
        self.guest(index);
    }

    fn guest(&mut self, index: usize) -> Turn {
        if self.guests.get(index).is_none_or(Option::is_none) {
            return Turn::Done;
        }
        match self.lobby.look(index) {
            Step::Wait => {}
            Step::Gone => self.guests[index] = None,
            Step::Enter(path) => {
                if let Some(mut socket) = self.guests[index].take()
                    && self.poll.registry().deregister(&mut socket).is_ok()
                {
                    self.admit(socket, path);
                }
            }
        }
        Turn::Done
    }

    fn sweep(&mut self) {
        if self.swept.elapsed() >= Duration::from_millis(SWEEP_MS) {
            self.swept = Instant::now();
            self.lobby.sweep(self.swept);
        }
    }

    fn admit(&mut self, mut socket: TcpStream, path: Path) {
        // It fails only if the connection has gone; reading it will say so.
        let _ = socket.set_nodelay(true);
        let Some(id) = self.shard.admit(socket.as_raw_fd(), path) else { return };
        let token = Token(self.datagram_ports + self.listeners.len() + id.index());
        // Who had the place before may have been left alone for a while.
        self.resting.remove(&token);
        if let Err(error) = self.poll.registry().register(&mut socket, token, Interest::READABLE) {
            self.shard.accept_failed(&error);
            self.shard.ended(id);
            return;
        }
        if self.streams.len() <= id.index() {
            self.streams.resize_with(id.index() + 1, || None);
        }
        self.streams[id.index()] = Some(socket);
    }

    fn readable(&mut self, index: usize) -> Turn {
        // An event may have waited while its connection was closed and its place was left empty.
        if self.streams.get(index).is_none_or(Option::is_none) {
            return Turn::Done;
        }
        let id = StreamId::new(index);
        match self.shard.readable(id) {
            Some(turn) => turn,
            None => {
                self.shard.ended(id);
                self.streams[index] = None;
                Turn::Done
            }
        }
    }
}

/// Errors of `accept` that concern one connection that has gone already.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
