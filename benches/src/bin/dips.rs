//! Asks a front on this machine for one path after the other on some connections that stay, and says in
//! one line of JSON how many answers there were and how long they took.
//!
//! `{ip}` in the path is one of so many addresses, `{n}` one of so many numbers.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, value_parser};
use sentrypeer_benches::latency::Latencies;
use sentrypeer_benches::request::{self, Plan, SOURCES_MAX};

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let options = command().get_matches();
    let dips = Arc::new(Dips::of(&options));
    let threads: Vec<_> = (0..dips.connections)
        .map(|number| {
            let dips = Arc::clone(&dips);
            thread::spawn(move || dips.ask(number))
        })
        .collect();
    let mut times = Latencies::default();
    for thread in threads {
        times.merge(&thread.join().map_err(|_| io::Error::other("a thread panicked"))??);
    }
    let took = times.summary();
    println!(
        "{{\"answers\":{},\"per_second\":{:.1},\"p50_us\":{:.1},\"p99_us\":{:.1}}}",
        took.count,
        took.count as f64 / dips.time.as_secs_f64(),
        took.p50_us,
        took.p99_us
    );
    Ok(())
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).value_name("N").default_value(default)
    };
    let count = value_parser!(u32).range(1..=i64::from(SOURCES_MAX));
    Command::new("dips")
        .about("Asks a front on this machine, again and again")
        .arg(number("target", "127.0.0.1:8082").value_parser(request::loopback))
        .arg(number("path", "/ip-addresses/{ip}"))
        .arg(number("rows", "1000000").value_parser(count))
        .arg(number("connections", "16").value_parser(value_parser!(u32).range(1..=1_000)))
        .arg(number("seconds", "3").value_parser(value_parser!(f64)))
}

struct Dips {
    target: SocketAddrV4,
    path: String,
    /// For the addresses of what was sent.
    plan: Plan,
    connections: u32,
    time: Duration,
}

impl Dips {
    fn of(options: &ArgMatches) -> Self {
        fn given<T: Clone + Send + Sync + 'static>(options: &ArgMatches, name: &str) -> T {
            let value: Option<&T> = options.get_one(name);
            value.cloned().unwrap_or_else(|| unreachable!("--{name} has a default"))
        }
        let rows: u32 = given(options, "rows");
        let plan = Plan {
            sources: rows,
            numbers: rows,
            bytes_min: 0,
            run: String::new(),
            transport: "UDP",
            methods: &["OPTIONS"],
        };
        Self {
            target: given(options, "target"),
            path: given(options, "path"),
            plan,
            connections: given(options, "connections"),
            time: Duration::try_from_secs_f64(given(options, "seconds")).unwrap_or_default(),
        }
    }

    fn ask(&self, number: u32) -> io::Result<Latencies> {
        let mut stream = self.connect()?;
        let (mut buffer, mut times) = (vec![0; ANSWER_BYTES], Latencies::default());
        let (begin, mut seq) = (Instant::now(), u64::from(number));
        while begin.elapsed() < self.time {
            // Another row each time, and none near the one before it.
            let row = seq.wrapping_mul(0x9e37_79b1);
            seq += u64::from(self.connections);
            let path = self.path.replace("{ip}", &self.plan.source(row).to_string());
            let path = path.replace("{n}", &self.plan.number(row));
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let sent = Instant::now();
            stream.write_all(request.as_bytes())?;
            let goes_on = answer(&mut stream, &mut buffer)?;
            times.add(sent.elapsed());
            if !goes_on {
                stream = self.connect()?;
            }
        }
        Ok(times)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.target)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Reads one answer. Whether the connection goes on.
fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(io::Error::other("the front ended the connection within an answer"));
        }
        filled += read;
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&buffer[..filled]).map_err(io::Error::other)?;
        let httparse::Status::Complete(head) = parsed else { continue };
        let of = |name: &str| {
            let header = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let length: usize = of("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        if filled < head + length {
            continue;
        }
        return match response.code {
            Some(200) => Ok(of("connection").is_none_or(|it| !it.eq_ignore_ascii_case("close"))),
            code => Err(io::Error::other(format!("status {}", code.unwrap_or(0)))),
        };
    }
}
