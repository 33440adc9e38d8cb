//! Sends paced OPTIONS over UDP to this machine and says in one line of JSON how many were answered,
//! and how long the answers took.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, Command, value_parser};
use nix::sys::socket::{setsockopt, sockopt};
use sentrypeer_benches::latency::Latencies;
use sentrypeer_benches::mmsg::{self, BATCH, Bin, Datagram};
use sentrypeer_benches::pace::{Pace, Turn};
use sentrypeer_benches::receiver;
use sentrypeer_benches::request::{self, Plan, SOURCES_MAX};

/// Requests whose time of sending is kept. What is answered later than so many others is not counted
/// as answered.
const WAITING: usize = 1 << 20;
/// How long answers are waited for after the last request.
const TAIL: Duration = Duration::from_secs(1);

fn main() -> io::Result<()> {
    let options = command().get_matches();
    fn given<T: Copy + Send + Sync + 'static>(options: &clap::ArgMatches, name: &str) -> T {
        *options.get_one(name).unwrap_or_else(|| unreachable!("--{name} has a default"))
    }
    let target: SocketAddrV4 = given(&options, "target");
    let plan = Plan {
        sources: given(&options, "sources"),
        numbers: 1_000,
        bytes_min: usize::from(given::<u16>(&options, "bytes")),
        run: "ask".to_owned(),
        transport: "UDP",
        methods: &["OPTIONS"],
    };
    let pace = Pace { pps: given(&options, "pps"), batch: given::<u16>(&options, "batch").into() };
    let time = Duration::try_from_secs_f64(given(&options, "seconds")).unwrap_or_default();
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    if setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &(4 << 20))?;
    }
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let ended = Arc::new(AtomicBool::new(false));
    let begin = Instant::now();
    // Nanoseconds since the begin at which each request went, by its number; 0 is answered already.
    let sent_at: Arc<[AtomicU64]> = (0..WAITING).map(|_| AtomicU64::new(0)).collect();
    let listener = {
        let (socket, ended, sent_at) =
            (socket.try_clone()?, Arc::clone(&ended), Arc::clone(&sent_at));
        thread::spawn(move || listen(&socket, begin, &ended, &sent_at))
    };
    let load = Load { target, plan, pace, time, begin };
    let sent = load.send(&socket, &sent_at)?;
    thread::sleep(TAIL);
    ended.store(true, Ordering::Relaxed);
    let times = listener.join().map_err(|_| io::Error::other("the listener panicked"))??;
    let took = times.summary();
    println!(
        "{{\"sent\":{sent},\"answered\":{},\"p50_us\":{:.1},\"p99_us\":{:.1},\"p999_us\":{:.1}}}",
        took.count, took.p50_us, took.p99_us, took.p999_us
    );
    Ok(())
}

fn command() -> Command {
    let number = |name: &'static str, value: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name(value).default_value(default)
    };
    Command::new("ask")
        .about("Sends OPTIONS over UDP to this machine and times the answers")
        .arg(number("target", "ADDR:PORT", "127.0.0.1:5060").value_parser(request::loopback))
        .arg(number("pps", "N", "1000").value_parser(value_parser!(u64)))
        .arg(number("seconds", "N", "5").value_parser(value_parser!(f64)))
        .arg(number("batch", "N", "8").value_parser(value_parser!(u16).range(1..=64)))
        .arg(number("bytes", "N", "450").value_parser(value_parser!(u16).range(..=1_400)))
        .arg(
            number("sources", "N", "1000")
                .value_parser(value_parser!(u32).range(1..=i64::from(SOURCES_MAX))),
        )
}

/// What to send, from when on and for how long.
struct Load {
    target: SocketAddrV4,
    plan: Plan,
    pace: Pace,
    time: Duration,
    begin: Instant,
}

impl Load {
    /// How many went.
    fn send(&self, socket: &UdpSocket, sent_at: &[AtomicU64]) -> io::Result<u64> {
        let port = socket.local_addr()?.port();
        let mut datagrams =
            vec![Datagram { source: Ipv4Addr::LOCALHOST, bytes: Vec::new() }; BATCH];
        let mut sent: u64 = 0;
        while self.begin.elapsed() < self.time {
            let due = match self.pace.turn(self.begin.elapsed(), sent) {
                Turn::Sleep(time) => {
                    thread::sleep(time);
                    continue;
                }
                Turn::Send(due) => due.min(BATCH),
            };
            for (seq, datagram) in (sent..).zip(&mut datagrams[..due]) {
                datagram.source = self.plan.source(seq);
                datagram.bytes.clear();
                let from = SocketAddrV4::new(datagram.source, port);
                self.plan.write(seq, from, self.target, &mut datagram.bytes);
            }
            let now = nanos(self.begin);
            for seq in sent..sent + due as u64 {
                sent_at[seq as usize % WAITING].store(now, Ordering::Relaxed);
            }
            match mmsg::send(socket, self.target, &datagrams[..due]) {
                Ok(count) => sent += count as u64,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

fn nanos(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

fn listen(
    socket: &UdpSocket,
    begin: Instant,
    ended: &AtomicBool,
    sent_at: &[AtomicU64],
) -> io::Result<Latencies> {
    let (mut bin, mut times) = (Bin::default(), Latencies::default());
    while !ended.load(Ordering::Relaxed) {
        let count = match bin.receive(socket) {
            Ok(received) => usize::try_from(received.packets).unwrap_or(0),
            Err(error) if receiver::is_passing(&error) => continue,
            Err(error) => return Err(error),
        };
        let now = nanos(begin);
        for seq in bin.arrived().take(count).filter_map(|arrived| number(arrived.bytes)) {
            let sent = sent_at[seq as usize % WAITING].swap(0, Ordering::Relaxed);
            if sent != 0 {
                times.add(Duration::from_nanos(now.saturating_sub(sent)));
            }
        }
    }
    Ok(times)
}

/// The number of the request that this answers: it stands in the branch.
fn number(answer: &[u8]) -> Option<u64> {
    const BEFORE: &[u8] = b"branch=z9hG4bKbench";
    let at = memchr::memmem::find(answer, BEFORE)? + BEFORE.len();
    let digits = answer[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    u64::from_str_radix(std::str::from_utf8(&answer[at..at + digits]).ok()?, 16).ok()
}
