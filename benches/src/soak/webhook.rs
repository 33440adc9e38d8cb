//! Takes what the node's webhook sends, and goes away on demand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often whether to end is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of a request's body.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// A receiver of webhooks on a port that stays the same.
pub struct Receiver {
    port: u16,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    requests: Arc<AtomicU64>,
}

impl Receiver {
    /// One that receives.
    ///
    /// # Errors
    ///
    /// If nothing can listen.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let mut receiver = Self { port, running: None, requests: Arc::default() };
        receiver.serve(listener)?;
        Ok(receiver)
    }

    /// Where.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Requests that it took.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Goes away: whoever connects is refused.
    pub fn go(&mut self) {
        if let Some((ends, thread)) = self.running.take() {
            ends.store(true, Ordering::Relaxed);
            // It ends whatever happened in it.
            let _ = thread.join();
        }
    }

    /// Comes back, if it had gone.
    ///
    /// # Errors
    ///
    /// If the port cannot be had again.
    pub fn come_back(&mut self) -> io::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        self.serve(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?)
    }

    fn serve(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let (ends, requests) = (Arc::new(AtomicBool::new(false)), Arc::clone(&self.requests));
        let thread = {
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    match listener.accept() {
                        // One connection at a time: the node has one.
                        Ok((stream, _)) => drop(converse(stream, &ends, &requests)),
                        Err(_) => thread::sleep(LOOK),
                    }
                }
            })
        };
        self.running = Some((ends, thread));
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.go();
    }
}

/// Answers each request with 204 until the connection or the receiver ends.
fn converse(stream: TcpStream, ends: &AtomicBool, requests: &AtomicU64) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while !ends.load(Ordering::Relaxed) {
        let mut length: u64 = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        if length > BODY_BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        requests.fetch_add(1, Ordering::Relaxed);
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(receiver: &Receiver) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, receiver.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    }

    #[test]
    fn it_takes_requests_goes_away_and_comes_back() {
        let mut receiver = Receiver::start().unwrap();
        assert!(post(&receiver).unwrap().starts_with("HTTP/1.1 204"));
        assert_eq!(receiver.requests(), 1);
        receiver.go();
        assert!(post(&receiver).is_err(), "nobody is there");
        receiver.come_back().unwrap();
        assert!(post(&receiver).unwrap().starts_with("HTTP/1.1 204"));
        assert_eq!(receiver.requests(), 2);
    }
}
