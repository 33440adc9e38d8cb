//! Receives UDP with `recvmmsg` on the given cores and throws everything away: the least that any
//! program that receives can cost. On SIGTERM it takes what the kernel still holds, and says in one
//! line of JSON what came. A second SIGTERM ends it at once.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::{Arg, ArgAction, Command, value_parser};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sentrypeer_benches::mmsg::{Bin, Received};
use sentrypeer_benches::{receiver, request};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> io::Result<()> {
    let options = command().get_matches();
    let listen: Option<&SocketAddrV4> = options.get_one("listen");
    let cores: Vec<usize> = options.get_many("cores").into_iter().flatten().copied().collect();
    let buffer_bytes: Option<&usize> = options.get_one("buffer-bytes");
    let (Some(listen), Some(buffer_bytes)) = (listen, buffer_bytes) else {
        return Err(io::Error::other("--listen and --buffer-bytes have defaults"));
    };

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let mut threads = Vec::new();
    for core in cores {
        let socket = receiver::shared(*listen, *buffer_bytes)?;
        let stop = Arc::clone(&stop);
        threads.push(thread::spawn(move || throw_away(&socket, core, &stop)));
    }
    println!("listening on {listen}");

    let mut all = Received::default();
    for thread in threads {
        let one = thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
        all.packets += one.packets;
        all.bytes += one.bytes;
    }
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu_us = (usage.user_time() + usage.system_time()).num_microseconds();
    println!("{{\"packets\":{},\"bytes\":{},\"cpu_us\":{cpu_us}}}", all.packets, all.bytes);
    Ok(())
}

fn command() -> Command {
    let listen = Arg::new("listen").long("listen").value_name("ADDR:PORT");
    let cores = Arg::new("cores").long("cores").value_name("N,...").action(ArgAction::Set);
    let buffer = Arg::new("buffer-bytes").long("buffer-bytes").value_name("N");
    Command::new("sink")
        .about("Receives UDP on this machine and throws it away")
        .arg(listen.default_value("127.0.0.1:5060").value_parser(request::loopback))
        .arg(cores.default_value("0").value_delimiter(',').value_parser(value_parser!(usize)))
        .arg(buffer.default_value("16777216").value_parser(value_parser!(usize)))
}

fn throw_away(socket: &UdpSocket, core: usize, stop: &AtomicBool) -> io::Result<Received> {
    receiver::pin(core)?;
    let (mut bin, mut all) = (Bin::default(), Received::default());
    loop {
        match bin.receive(socket) {
            Ok(received) => {
                all.packets += received.packets;
                all.bytes += received.bytes;
            }
            Err(error) if !receiver::is_passing(&error) => return Err(error),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(all),
            Err(_) => {}
        }
    }
}
