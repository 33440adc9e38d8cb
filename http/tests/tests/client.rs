//! The smallest client that can look at what a front really sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub struct Client {
    pub stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // Only so that a test that hangs fails: none depends on how long anything takes.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub fn get(&mut self, target: &str) -> Reply {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        self.reply()
    }

    pub fn reply(&mut self) -> Reply {
        self.reply_to("GET").expect("a reply")
    }

    /// The next reply; `None` at the end of the stream.
    pub fn reply_to(&mut self, method: &str) -> Option<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if method != "HEAD" && status != 304 {
            reply.body = self.body(&reply);
        }
        Some(reply)
    }

    fn body(&mut self, reply: &Reply) -> Vec<u8> {
        let mut body = Vec::new();
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(&self.line().unwrap(), 16).unwrap();
                let from = body.len();
                body.resize(from + size, 0);
                self.stream.read_exact(&mut body[from..]).unwrap();
                assert_eq!(self.line().as_deref(), Some(""));
                if size == 0 {
                    return body;
                }
            }
        }
        body.resize(reply.header("content-length").unwrap().parse().unwrap(), 0);
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches("\r\n").to_owned()),
        }
    }

    /// Whether the other end closes without sending more.
    pub fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        let ended = self.stream.read_to_end(&mut rest);
        rest.is_empty() && ended.is_ok_or_reset()
    }
}

trait OkOrReset {
    fn is_ok_or_reset(&self) -> bool;
}

impl OkOrReset for std::io::Result<usize> {
    fn is_ok_or_reset(&self) -> bool {
        self.as_ref().err().is_none_or(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
    }
}
