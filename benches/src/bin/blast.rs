//! Sends paced SIP over UDP to this machine, from many addresses, and says at the end in one line
//! of JSON what it sent.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeValLike;
use sentrypeer_benches::mmsg::{self, BATCH, Datagram};
use sentrypeer_benches::pace::{Pace, Turn};
use sentrypeer_benches::request::{self, METHODS, Plan, SOURCES_MAX};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> io::Result<()> {
    let options = command().get_matches();
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
    signal_hook::flag::register(SIGINT, Arc::clone(&stop))?;
    let sent = Load::of(&options).send(&stop)?;
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu_us = (usage.user_time() + usage.system_time()).num_microseconds();
    println!(
        "{{\"sent\":{},\"seconds\":{:.4},\"pps\":{:.1},\"mean_bytes\":{:.1},\"send_errors\":{},\
         \"cpu_us\":{cpu_us}}}",
        sent.packets,
        sent.seconds,
        sent.packets as f64 / sent.seconds.max(f64::EPSILON),
        sent.bytes as f64 / sent.packets.max(1) as f64,
        sent.errors,
    );
    Ok(())
}

fn command() -> Command {
    let number = |name: &'static str, value: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name(value).default_value(default)
    };
    let sources = value_parser!(u32).range(1..=i64::from(SOURCES_MAX));
    Command::new("blast")
        .about("Sends paced SIP over UDP to this machine and to no other")
        .arg(number("target", "ADDR:PORT", "127.0.0.1:5060").value_parser(request::loopback))
        .arg(number("pps", "N", "1000").value_parser(value_parser!(u64)))
        .arg(number("seconds", "N", "10").value_parser(value_parser!(f64)))
        .arg(Arg::new("count").long("count").value_name("N").value_parser(value_parser!(u64)))
        .arg(number("sources", "N", "1").value_parser(sources))
        .arg(number("numbers", "N", "1").value_parser(value_parser!(u32).range(1..)))
        .arg(number("bytes", "N", "450").value_parser(value_parser!(u16).range(..=1_400)))
        .arg(number("run", "TEXT", "blast").help("starts every Call-ID"))
        .arg(
            number("segments", "N", "1")
                .value_parser(value_parser!(u16).range(1..=SEGMENTS_MAX))
                .help("messages that the kernel cuts out of one send, all of --bytes"),
        )
}

/// Most segments that every kernel cuts a send into, and that have room in one of 1,000 bytes each.
const SEGMENTS_MAX: i64 = 64;

/// What to send, and for how long.
struct Load {
    /// Messages in one datagram, which the kernel cuts into as many.
    segments: u16,
    target: SocketAddrV4,
    plan: Plan,
    pace: Pace,
    time_max: Duration,
    packets_max: u64,
}

/// What was sent.
struct Sent {
    packets: u64,
    bytes: u64,
    errors: u64,
    seconds: f64,
}

impl Load {
    fn of(options: &ArgMatches) -> Self {
        // Every one of these has a default, and a parser of the type that is asked for.
        fn given<T: Copy + Send + Sync + 'static>(options: &ArgMatches, name: &str) -> T {
            *options.get_one(name).unwrap_or_else(|| unreachable!("--{name} has a default"))
        }
        let seconds: f64 = given(options, "seconds");
        let plan = Plan {
            sources: given(options, "sources"),
            numbers: given(options, "numbers"),
            bytes_min: usize::from(given::<u16>(options, "bytes")),
            run: options.get_one("run").cloned().unwrap_or_default(),
            transport: "UDP",
            methods: &METHODS,
        };
        let segments: u16 = given(options, "segments");
        let batch = (BATCH / 2).max(usize::from(segments) * 2);
        Self {
            segments,
            target: given(options, "target"),
            plan,
            pace: Pace { pps: given(options, "pps"), batch },
            time_max: Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO),
            packets_max: options.get_one("count").copied().unwrap_or(u64::MAX),
        }
    }

    fn send(&self, stop: &AtomicBool) -> io::Result<Sent> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        if self.segments > 1 {
            setsockopt(
                &socket,
                sockopt::UdpGsoSegment,
                &i32::try_from(self.plan.bytes_min).unwrap_or(0),
            )?;
        }
        let port = socket.local_addr()?.port();
        let mut datagrams = vec![Datagram { source: *self.target.ip(), bytes: Vec::new() }; BATCH];
        let mut sent = Sent { packets: 0, bytes: 0, errors: 0, seconds: 0.0 };
        let start = Instant::now();
        while !stop.load(Ordering::Relaxed) && sent.packets < self.packets_max {
            let elapsed = start.elapsed();
            if elapsed >= self.time_max {
                break;
            }
            match self.pace.turn(elapsed, sent.packets) {
                Turn::Sleep(time) => thread::sleep(time),
                Turn::Send(due) => {
                    let left = self.packets_max - sent.packets;
                    let due = due.min(usize::try_from(left).unwrap_or(due));
                    let count = due.div_ceil(usize::from(self.segments)).min(BATCH);
                    self.send_batch(&socket, port, &mut datagrams[..count], &mut sent)?;
                }
            }
        }
        sent.seconds = start.elapsed().as_secs_f64();
        Ok(sent)
    }

    fn send_batch(
        &self,
        socket: &UdpSocket,
        port: u16,
        datagrams: &mut [Datagram],
        sent: &mut Sent,
    ) -> io::Result<()> {
        let each = u64::from(self.segments);
        for (i, datagram) in datagrams.iter_mut().enumerate() {
            let first = sent.packets + i as u64 * each;
            datagram.source = self.plan.source(first / each);
            datagram.bytes.clear();
            for seq in first..first + each {
                let from = SocketAddrV4::new(datagram.source, port);
                self.plan.write(seq, from, self.target, &mut datagram.bytes);
            }
            // The kernel cuts by length alone.
            if each > 1 && datagram.bytes.len() as u64 != each * self.plan.bytes_min as u64 {
                return Err(io::Error::other("--segments needs more --bytes: some are longer"));
            }
        }
        match mmsg::send(socket, self.target, datagrams) {
            Ok(count) => {
                sent.packets += count as u64 * each;
                sent.bytes += datagrams[..count].iter().map(|d| d.bytes.len() as u64).sum::<u64>();
                Ok(())
            }
            // The queue is full for the moment, or a signal came: the same requests are due again.
            Err(error) if is_passing(&error) => {
                sent.errors += 1;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}
