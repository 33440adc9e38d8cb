//! The driver that waits with io_uring, by glommio: one task for each socket and connection.
//!
//! A task waits by a one-byte peek, for glommio has no batched receive and no control messages;
//! then it runs the same code as the other driver.

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::net::{TcpListener, TcpStream, UdpSocket};
use glommio::{GlommioError, LocalExecutorBuilder, Placement};

use super::Turn;
use super::listen::StreamPort;
use super::lobby::{Lobby, Step};
use super::streams::StreamId;
use super::syscall::adopt;
use crate::honeypot::Path;
use crate::limits::{ACCEPT_PAUSE_MS, NAP_US, RING_ENTRIES, RING_IO_BYTES, SWEEP_MS};
use crate::shard::Shard;

type Shared = Rc<RefCell<Shard>>;

/// Why the executor could not start; the shard comes back, to be run by the other driver.
pub struct NotStarted {
    /// The shard, untouched.
    pub shard: Box<Shard>,
    /// Its listeners, untouched.
    pub streams: Vec<StreamPort>,
    /// Its lobby, untouched.
    pub lobby: Lobby,
    /// What glommio said.
    pub reason: String,
}

/// Runs a shard until it is asked to stop and has emptied its sockets. The calling thread is pinned
/// already.
///
/// # Errors
///
/// If glommio cannot start here.
pub fn run(shard: Shard, streams: Vec<StreamPort>, lobby: Lobby) -> Result<(), NotStarted> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(RING_IO_BYTES)
        .ring_depth(RING_ENTRIES)
        .make();
    let executor = match executor {
        Ok(executor) => executor,
        Err(error) => {
            let reason = error.to_string();
            return Err(NotStarted { shard: Box::new(shard), streams, lobby, reason });
        }
    };
    let (sockets, listeners) = match duplicates(&shard, &streams) {
        Ok(duplicates) => duplicates,
        Err(error) => {
            let reason = error.to_string();
            return Err(NotStarted { shard: Box::new(shard), streams, lobby, reason });
        }
    };
    executor.run(async move {
        let shard = Rc::new(RefCell::new(shard));
        for (index, socket) in sockets.into_iter().enumerate() {
            glommio::spawn_local(datagrams(Rc::clone(&shard), index, adopt(socket))).detach();
        }
        let streams = Rc::new(streams);
        let lobby = Rc::new(RefCell::new(lobby));
        for (index, socket) in listeners.into_iter().enumerate() {
            let door = Door {
                shard: Rc::clone(&shard),
                lobby: Rc::clone(&lobby),
                ports: Rc::clone(&streams),
                index,
            };
            glommio::spawn_local(listener(door, adopt(socket))).detach();
        }
        ticks(&shard, &lobby).await;
        lobby.borrow_mut().finish();
        shard.borrow_mut().finish(&streams);
    });
    Ok(())
}

/// Descriptors for glommio, which closes its own; the shard keeps those that it reads from.
fn duplicates(
    shard: &Shard,
    streams: &[StreamPort],
) -> std::io::Result<(Vec<std::net::UdpSocket>, Vec<std::net::TcpListener>)> {
    let sockets = shard.datagram_ports().iter().map(|port| port.socket.try_clone());
    let listeners = streams.iter().map(|port| port.socket.try_clone());
    Ok((sockets.collect::<Result<_, _>>()?, listeners.collect::<Result<_, _>>()?))
}

/// Looks at the shard's clock until it is to stop.
async fn ticks(shard: &Shared, lobby: &RefCell<Lobby>) {
    let mut swept = Instant::now();
    loop {
        if swept.elapsed() >= Duration::from_millis(SWEEP_MS) {
            swept = Instant::now();
            lobby.borrow_mut().sweep(swept);
        }
        let interval = {
            let mut shard = shard.borrow_mut();
            shard.tick();
            if shard.is_stopping() {
                return;
            }
            shard.tick_interval()
        };
        glommio::timer::sleep(interval).await;
    }
}

async fn datagrams(shard: Shared, index: usize, socket: UdpSocket) {
    let mut byte = [0];
    loop {
        let turn = shard.borrow_mut().datagrams(index);
        match turn {
            Turn::More => glommio::executor().yield_now().await,
            Turn::Later(ms) => glommio::timer::sleep(Duration::from_millis(ms)).await,
            Turn::Soon => {
                // The whole shard naps, as under the other driver: glommio's own timer costs more
                // than the nap saves.
                std::thread::sleep(Duration::from_micros(NAP_US));
                glommio::executor().yield_now().await;
            }
            Turn::Done => {
                if let Err(error) = socket.peek_from(&mut byte).await {
                    log::debug!("waiting for datagrams: {error}");
                    glommio::timer::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                }
            }
        }
    }
}

/// What a listener's task knows.
struct Door {
    shard: Shared,
    lobby: Rc<RefCell<Lobby>>,
    ports: Rc<Vec<StreamPort>>,
    /// Which of the ports is its own.
    index: usize,
}

async fn listener(door: Door, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok(stream) => take(&door, stream),
            Err(error) => {
                door.shard.borrow_mut().accept_failed(&io_error(error));
                glommio::timer::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

fn take(door: &Door, stream: TcpStream) {
    // Either fails only if the connection has gone already.
    let (Ok(source), Ok(destination)) = (stream.peer_addr(), stream.local_addr()) else {
        door.shard.borrow().accepted_too_late();
        return;
    };
    let port = &door.ports[door.index];
    let path = Path { source, destination, transport: port.transport };
    if !port.is_front_end(source) {
        admit(&door.shard, stream, path);
        return;
    }
    let place = door.lobby.borrow_mut().arrive(stream.as_raw_fd(), path);
    if let Some(place) = place {
        let (shard, lobby) = (Rc::clone(&door.shard), Rc::clone(&door.lobby));
        glommio::spawn_local(guest(shard, lobby, place, stream)).detach();
    }
}

/// A connection of a front end, until its header has come.
async fn guest(shard: Shared, lobby: Rc<RefCell<Lobby>>, place: usize, stream: TcpStream) {
    let mut byte = [0];
    loop {
        let step = lobby.borrow_mut().look(place);
        match step {
            Step::Enter(path) => return admit(&shard, stream, path),
            Step::Gone => return,
            // An error is found again by the look.
            Step::Wait => drop(stream.peek(&mut byte).await),
        }
    }
}

fn admit(shard: &Shared, stream: TcpStream, path: Path) {
    let _ = stream.set_nodelay(true);
    let id = shard.borrow_mut().admit(stream.as_raw_fd(), path);
    if let Some(id) = id {
        glommio::spawn_local(connection(Rc::clone(shard), id, stream)).detach();
    }
}

/// One connection. The shard ends it by shutting the socket, which ends the wait.
async fn connection(shard: Shared, id: StreamId, stream: TcpStream) {
    let mut byte = [0];
    loop {
        let turn = shard.borrow_mut().readable(id);
        match turn {
            Some(Turn::More) => glommio::executor().yield_now().await,
            Some(Turn::Later(ms)) => glommio::timer::sleep(Duration::from_millis(ms)).await,
            Some(Turn::Done | Turn::Soon) => {
                if stream.peek(&mut byte).await.is_err() {
                    break;
                }
            }
            None => break,
        }
    }
    // The shard forgets the descriptor before the stream closes it.
    shard.borrow_mut().ended(id);
    drop(stream);
}

fn io_error(error: GlommioError<()>) -> std::io::Error {
    match error {
        GlommioError::IoError(error) => error,
        other => std::io::Error::other(other.to_string()),
    }
}
