//! The floor of what the program does: receives UDP with `recvmmsg` and `IP_PKTINFO`, copies each
//! message once, packs the messages as the program does, writes and syncs every 200 ms, and nothing
//! else. No parsing, no counting, no index, no reader.
//!
//! On SIGTERM it takes what the kernel still holds, and says in one line of JSON what it did.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, Command, value_parser};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeValLike;
use sentrypeer_benches::mmsg::{Arrived, Bin};
use sentrypeer_benches::{receiver, request};
use sentrypeer_pack::{Class, Encoder, Endpoints};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes that are handed on at once.
const ARENA_BYTES: usize = 256 * 1024;
/// How old what is handed on may become.
const ARENA_TIME: Duration = Duration::from_millis(20);
/// Arenas that may wait: as many as the program's default.
const ARENAS: usize = 256;
/// How often what was written is synced.
const SYNC_EVERY: Duration = Duration::from_millis(200);
const ZSTD_LEVEL: i32 = 1;

fn main() -> io::Result<()> {
    let options = command().get_matches();
    let listen: Option<&SocketAddrV4> = options.get_one("listen");
    let (Some(listen), Some(file)) = (listen, options.get_one::<PathBuf>("file")) else {
        return Err(io::Error::other("--listen has a default, and --file is required"));
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut file = File::create(file)?;
    let (to_packer, full) = bounded(ARENAS);
    let (to_file, packed) = bounded(ARENAS);
    let mut threads = Vec::new();
    for core in options.get_many("cores").into_iter().flatten().copied() {
        let socket = receiver::shared(*listen, BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        let (stop, to_packer, local) = (Arc::clone(&stop), to_packer.clone(), *listen);
        threads.push(thread::spawn(move || take(&socket, core, local, &stop, &to_packer)));
    }
    drop(to_packer);
    println!("listening on {listen}");
    let packer = thread::spawn(move || pack(&full, &to_file));
    let (bytes, syncs) = write(&mut file, &packed)?;
    let ended = |_| io::Error::other("a thread panicked");
    let packets: u64 = packer.join().map_err(ended)?;
    let mut shed = 0;
    for thread in threads {
        shed += thread.join().map_err(ended)??;
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu_us = (usage.user_time() + usage.system_time()).num_microseconds();
    println!(
        "{{\"packets\":{packets},\"shed\":{shed},\"bytes\":{bytes},\"syncs\":{syncs},\"cpu_us\":{cpu_us}}}"
    );
    Ok(())
}

const BUFFER_BYTES: usize = 16 << 20;

fn command() -> Command {
    let listen = Arg::new("listen").long("listen").value_name("ADDR:PORT");
    let cores = Arg::new("cores").long("cores").value_name("N,...").value_delimiter(',');
    let file = Arg::new("file").long("file").value_name("FILE").required(true);
    Command::new("floor")
        .about("Receives UDP on this machine, packs it, and writes it to a file")
        .arg(listen.default_value("127.0.0.1:5060").value_parser(request::loopback))
        .arg(cores.default_value("0").value_parser(value_parser!(usize)))
        .arg(file.value_parser(value_parser!(PathBuf)))
}

/// Messages that lie one behind the other.
#[derive(Default)]
struct Arena {
    bytes: Vec<u8>,
    /// The endpoints of each, and its length.
    places: Vec<(Endpoints, usize)>,
}

impl Arena {
    fn put(&mut self, arrived: &Arrived<'_>, port: u16) {
        let destination = SocketAddr::from((arrived.destination, port));
        let endpoints = Endpoints { source: SocketAddr::V4(arrived.source), destination };
        self.bytes.extend_from_slice(arrived.bytes);
        self.places.push((endpoints, arrived.bytes.len()));
    }
}

/// Receives and copies. How many messages found no room.
fn take(
    socket: &UdpSocket,
    core: usize,
    local: SocketAddrV4,
    stop: &AtomicBool,
    to: &Sender<Arena>,
) -> io::Result<u64> {
    receiver::pin(core)?;
    let (mut bin, mut arena, mut shed) = (Bin::with_destinations(), Arena::default(), 0);
    let mut begun = Instant::now();
    loop {
        match bin.receive(socket) {
            Ok(received) => {
                let count = usize::try_from(received.packets).unwrap_or(0);
                bin.arrived().take(count).for_each(|arrived| arena.put(&arrived, local.port()));
            }
            Err(error) if !receiver::is_passing(&error) => return Err(error),
            Err(_) if stop.load(Ordering::Relaxed) => {
                shed += hand_on(&mut arena, to);
                return Ok(shed);
            }
            Err(_) => {}
        }
        if arena.bytes.len() >= ARENA_BYTES || begun.elapsed() >= ARENA_TIME {
            begun = Instant::now();
            shed += hand_on(&mut arena, to);
        }
    }
}

/// Hands an arena on unless nobody is ready for it. How many messages were given up.
fn hand_on(arena: &mut Arena, to: &Sender<Arena>) -> u64 {
    let empty = Arena {
        bytes: Vec::with_capacity(ARENA_BYTES + ARENA_BYTES / 8),
        places: Vec::with_capacity(arena.places.len()),
    };
    let full = std::mem::replace(arena, empty);
    to.try_send(full).map_or_else(|error| error.into_inner().places.len() as u64, |()| 0)
}

/// Packs each arena as a block. How many messages there were.
fn pack(full: &Receiver<Arena>, to: &Sender<Vec<u8>>) -> u64 {
    let (mut encoder, mut packets, mut rows) = (Encoder::new(), 0, Vec::new());
    for arena in full {
        let mut rest = &arena.bytes[..];
        rows.clear();
        for (endpoints, length) in &arena.places {
            let (message, others) = rest.split_at(*length);
            rest = others;
            // The method alone: the user agent would have to be looked for.
            let method = message.split(|&byte| byte == b' ').next().unwrap_or_default();
            encoder.push(message, Class { method, user_agent: b"" }, endpoints);
            put_row(endpoints, *length, &mut rows);
        }
        let mut block = zstd::bulk::compress(&rows, ZSTD_LEVEL).unwrap_or_default();
        encoder.pack(&mut block);
        encoder.clear();
        packets += arena.places.len() as u64;
        if to.send(block).is_err() {
            break;
        }
    }
    packets
}

/// What must be kept of a message beside itself.
fn put_row(endpoints: &Endpoints, length: usize, rows: &mut Vec<u8>) {
    for address in [endpoints.source, endpoints.destination] {
        if let SocketAddr::V4(address) = address {
            rows.extend_from_slice(&address.ip().octets());
        }
        rows.extend_from_slice(&address.port().to_le_bytes());
    }
    rows.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Writes blocks, and syncs. How many bytes, and how many syncs.
fn write(file: &mut File, packed: &Receiver<Vec<u8>>) -> io::Result<(u64, u64)> {
    let (mut bytes, mut syncs, mut synced) = (0, 0, Instant::now());
    let mut dirty = false;
    loop {
        match packed.recv_timeout(SYNC_EVERY.saturating_sub(synced.elapsed())) {
            Ok(block) => {
                file.write_all(&block)?;
                bytes += block.len() as u64;
                dirty = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                file.sync_data()?;
                return Ok((bytes, syncs + 1));
            }
        }
        if synced.elapsed() >= SYNC_EVERY {
            if dirty {
                file.sync_data()?;
                syncs += 1;
            }
            (synced, dirty) = (Instant::now(), false);
        }
    }
}
