//! Talks SIP to this machine over TCP or TLS, on many connections at once, and says in one line of JSON
//! how many connections and messages there were, and how long the answers took.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use sentrypeer_benches::any_certificate;
use sentrypeer_benches::latency::Latencies;
use sentrypeer_benches::request::{self, Plan};
use socket2::{Domain, Socket, Type};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let load = Arc::new(Load::of(&command().get_matches())?);
    let begin = Instant::now();
    let threads: Vec<_> = (0..load.connections)
        .map(|number| {
            let load = Arc::clone(&load);
            thread::spawn(move || load.talk(number, begin))
        })
        .collect();
    let mut done = Done::default();
    for thread in threads {
        let one = thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
        done.connections += one.connections;
        done.messages += one.messages;
        done.times.merge(&one.times);
    }
    let (seconds, took) = (begin.elapsed().as_secs_f64(), done.times.summary());
    println!(
        "{{\"connections\":{},\"messages\":{},\"seconds\":{seconds:.3},\"p50_us\":{:.1},\"p99_us\":{:.1}}}",
        done.connections, done.messages, took.p50_us, took.p99_us
    );
    Ok(())
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name("N").default_value(default)
    };
    let count = || value_parser!(u32).range(1..=100_000);
    Command::new("connect")
        .about("Talks SIP to this machine over TCP or TLS")
        .arg(number("target", "127.0.0.1:5060").value_parser(request::loopback))
        .arg(Arg::new("tls").long("tls").action(ArgAction::SetTrue))
        .arg(number("connections", "16").value_parser(count()).help("at once"))
        .arg(number("messages", "1").value_parser(count()).help("before each ends"))
        .arg(number("burst", "1").value_parser(count()).help("before answers are waited for"))
        .arg(number("pause-ms", "0").value_parser(value_parser!(u64)).help("before each burst"))
        .arg(number("seconds", "5").value_parser(value_parser!(f64)))
}

struct Load {
    target: SocketAddrV4,
    tls: Option<Arc<ClientConfig>>,
    connections: u32,
    messages: u32,
    burst: u32,
    pause: Duration,
    time: Duration,
    plan: Plan,
}

#[derive(Default)]
struct Done {
    connections: u64,
    messages: u64,
    times: Latencies,
}

impl Load {
    fn of(options: &ArgMatches) -> io::Result<Self> {
        fn given<T: Copy + Send + Sync + 'static>(options: &ArgMatches, name: &str) -> T {
            *options.get_one(name).unwrap_or_else(|| unreachable!("--{name} has a default"))
        }
        let tls = options.get_flag("tls");
        let plan = Plan {
            sources: 1_000,
            numbers: 1_000,
            bytes_min: 450,
            run: "connect".to_owned(),
            transport: if tls { "TLS" } else { "TCP" },
            methods: &["OPTIONS"],
        };
        Ok(Self {
            target: given(options, "target"),
            tls: tls.then(any_certificate::config).transpose().map_err(io::Error::other)?,
            connections: given(options, "connections"),
            messages: given(options, "messages"),
            burst: given(options, "burst"),
            pause: Duration::from_millis(given(options, "pause-ms")),
            time: Duration::try_from_secs_f64(given(options, "seconds")).unwrap_or_default(),
            plan,
        })
    }

    /// One connection after the other until the time is over.
    fn talk(&self, number: u32, begin: Instant) -> io::Result<Done> {
        let (mut done, mut seq) = (Done::default(), u64::from(number) << 32);
        while begin.elapsed() < self.time {
            let stream = self.connect(self.plan.source(u64::from(number)))?;
            let from = match stream.local_addr()? {
                std::net::SocketAddr::V4(from) => from,
                std::net::SocketAddr::V6(_) => return Err(io::Error::other("not IPv4")),
            };
            match &self.tls {
                None => self.converse(stream, from, begin, &mut seq, &mut done)?,
                Some(config) => {
                    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                    let client = ClientConnection::new(Arc::clone(config), name)
                        .map_err(io::Error::other)?;
                    let stream = StreamOwned::new(client, stream);
                    self.converse(stream, from, begin, &mut seq, &mut done)?;
                }
            }
            done.connections += 1;
        }
        Ok(done)
    }

    fn connect(&self, source: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
        // The other side keeps no state of what has ended, and no port of ours waits for it.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(&self.target.into())?;
        Ok(socket.into())
    }

    fn converse(
        &self,
        mut stream: impl Read + Write,
        from: SocketAddrV4,
        begin: Instant,
        seq: &mut u64,
        done: &mut Done,
    ) -> io::Result<()> {
        let (mut left, mut out, mut answers) = (self.messages, Vec::new(), Answers::default());
        while left > 0 && begin.elapsed() < self.time {
            let burst = self.burst.min(left);
            out.clear();
            for _ in 0..burst {
                self.plan.write(*seq, from, self.target, &mut out);
                *seq += 1;
            }
            if !self.pause.is_zero() {
                thread::sleep(self.pause);
            }
            let sent = Instant::now();
            stream.write_all(&out)?;
            stream.flush()?;
            answers.read(&mut stream, burst)?;
            done.times.add(sent.elapsed());
            done.messages += u64::from(burst);
            left -= burst;
        }
        Ok(())
    }
}

/// Counts answers by the empty line that ends each head; none of them has a body.
struct Answers {
    buffer: Vec<u8>,
    /// How many bytes of the empty line have come.
    matched: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self { buffer: vec![0; 64 * 1024], matched: 0 }
    }
}

impl Answers {
    fn read(&mut self, stream: &mut impl Read, mut wanted: u32) -> io::Result<()> {
        const END: &[u8; 4] = b"\r\n\r\n";
        while wanted > 0 {
            let count = stream.read(&mut self.buffer)?;
            if count == 0 {
                return Err(io::Error::other("the other side ended the connection"));
            }
            for &byte in &self.buffer[..count] {
                self.matched = match byte == END[self.matched] {
                    true => self.matched + 1,
                    false => usize::from(byte == END[0]),
                };
                if self.matched == END.len() {
                    self.matched = 0;
                    wanted = wanted.saturating_sub(1);
                }
            }
        }
        Ok(())
    }
}
