//! The client: one thread that keeps some connections busy.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};

use crate::Failure;

pub const CONNECTIONS: usize = 16;

/// How fast the client asks.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each connection asks again as soon as it has its answer.
    Full,
    /// So often in all. A request that has to wait for the answer before it is as late as it is.
    PerSecond(u32),
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full speed"),
            Self::PerSecond(per_s) => write!(f, "{per_s} a second"),
        }
    }
}

/// What came of asking.
pub struct Asked {
    took: Duration,
    /// The times of all answers, in ns, the shortest first.
    times_ns: Vec<u32>,
    /// What everything but the client has computed meanwhile.
    front_cpu: Duration,
}

impl Asked {
    pub fn per_s(&self) -> f64 {
        self.times_ns.len() as f64 / self.took.as_secs_f64()
    }

    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let last = self.times_ns.len() - 1;
        let place = (last as f64 * percent / 100.0).round() as usize;
        f64::from(self.times_ns[place.min(last)]) / 1e6
    }

    /// What an answer took of the processor, beside the client, in µs.
    pub fn front_us(&self) -> f64 {
        self.front_cpu.as_secs_f64() * 1e6 / self.times_ns.len() as f64
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// When the request was sent that has no answer yet, or should have been.
    asked: Option<Instant>,
    /// When the next one is due.
    due: Instant,
}

/// Asks in turn for each of `requests`, again and again, for so long.
pub fn ask(
    address: SocketAddr,
    requests: &[Vec<u8>],
    pace: Pace,
    time: Duration,
) -> Result<Asked, Failure> {
    let mut connections: Vec<Connection> = Vec::with_capacity(CONNECTIONS);
    let (begun, before) = (Instant::now(), front_cpu()?);
    let period = match pace {
        Pace::Full => None,
        Pace::PerSecond(per_s) => Some(Duration::from_secs(1) * CONNECTIONS as u32 / per_s),
    };
    for n in 0..CONNECTIONS as u32 {
        let due = begun + period.unwrap_or_default() * n / CONNECTIONS as u32;
        connections.push(Connection::open(address, due)?);
    }
    let (mut times_ns, mut next) = (Vec::with_capacity(1 << 18), 0);
    while begun.elapsed() < time {
        let now = Instant::now();
        for connection in connections.iter_mut().filter(|c| c.asked.is_none() && c.due <= now) {
            connection.send(&requests[next % requests.len()], period)?;
            next += 1;
        }
        for at in readable(&connections)? {
            if connections[at].read(&mut times_ns)? == Some(false) {
                let due = connections[at].due;
                connections[at] = Connection::open(address, due)?;
            }
        }
    }
    let (took, front_cpu) = (begun.elapsed(), front_cpu()?.saturating_sub(before));
    times_ns.sort_unstable();
    if times_ns.is_empty() {
        return Err("there was no answer".into());
    }
    Ok(Asked { took, times_ns, front_cpu })
}

/// Which connections have something to read, when one has or the next request is due.
fn readable(connections: &[Connection]) -> Result<Vec<usize>, Failure> {
    let mut watched: Vec<PollFd<'_>> =
        connections.iter().map(|c| PollFd::new(c.stream.as_fd(), PollFlags::POLLIN)).collect();
    let due = connections.iter().filter(|c| c.asked.is_none()).map(|c| c.due).min();
    let wait =
        due.map_or(Duration::from_millis(100), |due| due.saturating_duration_since(Instant::now()));
    ppoll(&mut watched, Some(TimeSpec::from_duration(wait)), None)?;
    let ready = watched.iter().enumerate().filter(|(_, fd)| fd.any().unwrap_or(true));
    Ok(ready.map(|(at, _)| at).collect())
}

impl Connection {
    fn open(address: SocketAddr, due: Instant) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024], filled: 0, asked: None, due })
    }

    fn send(&mut self, request: &[u8], period: Option<Duration>) -> Result<(), Failure> {
        // A request is shorter than what any socket takes at once.
        self.stream.write_all(request)?;
        self.asked = Some(if period.is_some() { self.due } else { Instant::now() });
        self.due += period.unwrap_or_default();
        Ok(())
    }

    /// Reads what has come; when that is an answer, notes its time. Whether the connection then goes on.
    fn read(&mut self, times_ns: &mut Vec<u32>) -> Result<Option<bool>, Failure> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("the front ended the connection".into()),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let Some(goes_on) = whole(&self.buffer[..self.filled])? else { return Ok(None) };
        let asked = self.asked.take().ok_or("an answer to nothing")?;
        times_ns.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
        self.filled = 0;
        Ok(Some(goes_on))
    }
}

/// Whether an answer is there as a whole, and then whether the connection goes on.
fn whole(bytes: &[u8]) -> Result<Option<bool>, Failure> {
    let text = std::str::from_utf8(bytes)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let (mut length, mut goes_on) = (None, true);
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>()?);
        } else if name.eq_ignore_ascii_case("connection") {
            goes_on = false;
        }
    }
    if !head.starts_with("HTTP/1.1 200") {
        return Err(head.to_owned().into());
    }
    Ok((body.len() >= length.ok_or("no length")?).then_some(goes_on))
}

/// What this process has computed, less this thread.
fn front_cpu() -> Result<Duration, Failure> {
    let of = |usage: Usage| usage.user_time() + usage.system_time();
    let time = |time: TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    let all = time(of(getrusage(UsageWho::RUSAGE_SELF)?));
    Ok(all.saturating_sub(time(of(getrusage(UsageWho::RUSAGE_THREAD)?))))
}
