//! The asking side of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::socket_path;
use crate::limits::{CONTROL_PIECE_BYTES_MAX, CONTROL_STALL_MS};

/// What a running node answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code, as of HTTP.
    pub status: u16,
    stream: BufReader<UnixStream>,
}

impl Answer {
    /// The next piece of the document; none at its end.
    ///
    /// # Errors
    ///
    /// If the node goes away or stalls before the end.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length: usize = read_number(&mut self.stream)?;
        if length == 0 {
            return Ok(None);
        }
        if length > CONTROL_PIECE_BYTES_MAX {
            return Err(broken_off());
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Asks the node that runs on `database`; none if no node runs there.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn request(database: &Path, target: &str) -> io::Result<Option<Answer>> {
    let mut stream = match UnixStream::connect(socket_path(database)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
    };
    stream.set_read_timeout(Some(Duration::from_millis(CONTROL_STALL_MS)))?;
    // A node that turns us away says so without reading.
    let _ = writeln!(stream, "{target}");
    let mut stream = BufReader::new(stream);
    Ok(Some(Answer { status: read_number(&mut stream)?, stream }))
}

fn read_number<T: std::str::FromStr>(stream: &mut BufReader<UnixStream>) -> io::Result<T> {
    let mut line = String::new();
    stream.take(32).read_line(&mut line)?;
    line.trim_end().parse().map_err(|_| broken_off())
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the node broke off its answer")
}
