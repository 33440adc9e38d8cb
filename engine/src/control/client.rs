//! The asking side of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::order::Order;
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
        let line = read_line(&mut self.stream)?;
        let length: usize = line.trim_end().parse().map_err(|_| broken_off())?;
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

    /// All of the document, which must not be longer than `max` bytes.
    ///
    /// # Errors
    ///
    /// See [`Answer::piece`].
    pub fn whole(mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece()? {
            if bytes.len() + piece.len() > max {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// The words of an error document of the node's router or of an order.
#[must_use]
pub fn refusal_text(document: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
    let words = ["detail", "error", "message"].iter().find_map(|key| value.get(key)?.as_str());
    words.unwrap_or(document.trim_end()).to_owned()
}

/// Whether a node runs on `database`.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn is_served(database: &Path) -> io::Result<bool> {
    Ok(connect(database)?.is_some())
}

fn connect(database: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(socket_path(database)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Asks the node that runs on `database` for a path with its query; none if no node runs there.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn request(database: &Path, target: &str) -> io::Result<Option<Answer>> {
    send(database, format!("{target}\n").as_bytes())
}

/// Gives an order to the node that runs on `database`; none if no node runs there.
///
/// # Errors
///
/// If a node is there but cannot be talked to.
pub fn order(database: &Path, order: &Order) -> io::Result<Option<Answer>> {
    send(database, &order.encode())
}

fn send(database: &Path, bytes: &[u8]) -> io::Result<Option<Answer>> {
    let Some(mut stream) = connect(database)? else { return Ok(None) };
    let stall = Some(Duration::from_millis(CONTROL_STALL_MS));
    stream.set_read_timeout(stall)?;
    stream.set_write_timeout(stall)?;
    // A node that turns us away says so without reading.
    let _ = stream.write_all(bytes);
    let mut stream = BufReader::new(stream);
    Ok(Some(Answer { status: read_status(&mut stream)?, stream }))
}

/// The status, behind the empty lines of a node that is at it.
fn read_status(stream: &mut BufReader<UnixStream>) -> io::Result<u16> {
    loop {
        match read_line(stream)?.as_str() {
            "\n" => {}
            line => return line.trim_end().parse().map_err(|_| broken_off()),
        }
    }
}

fn read_line(stream: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(32).read_line(&mut line)?;
    Ok(line)
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the node broke off its answer")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What a client makes of a node that answers with these bytes.
    fn answered(bytes: &'static [u8]) -> io::Result<(u16, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        let listener = UnixListener::bind(socket_path(&database)).unwrap();
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            stream.write_all(bytes).unwrap();
            asked
        });
        let answer = order(&database, &Order::Stats);
        assert_eq!(node.join().unwrap(), "stats\n");
        let answer = answer?.unwrap();
        Ok((answer.status, answer.whole(8)?))
    }

    #[test]
    fn a_node_that_is_at_it_is_waited_for() {
        let (status, document) = answered(b"\n\n\n200\n4\nslow2\nly0\n").unwrap();
        assert_eq!((status, document.as_slice()), (200, b"slowly".as_slice()));
    }

    #[test]
    fn an_answer_that_is_cut_or_too_long_is_no_answer() {
        for bytes in [
            b"".as_slice(),
            b"\n\n",
            b"20x\n0\n",
            b"200\n",
            b"200\n4\nslo",
            b"200\n4\nslow",
            b"200\n9\nninebytes0\n",
            b"200\n4\nslow5\ndowns0\n",
            b"200\n99999999999\n",
        ] {
            assert!(answered(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn where_no_node_is_there_is_nobody_to_ask() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.redb");
        assert!(!is_served(&database).unwrap());
        assert!(request(&database, "/readyz").unwrap().is_none());
        drop(UnixListener::bind(socket_path(&database)).unwrap());
        assert!(!is_served(&database).unwrap(), "its socket is left from an earlier run");
    }
}
