//! A receiver of webhooks that does what a test tells it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a receiver was sent.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub path: String,
    /// Their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.plain()).unwrap()
    }

    fn plain(&self) -> Vec<u8> {
        if self.header("content-encoding") != "gzip" {
            return self.body.clone();
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice()).read_to_end(&mut plain).unwrap();
        plain
    }

    /// The ids of the events in it, whatever its form.
    pub fn ids(&self) -> Vec<String> {
        let text = self.text();
        let values = serde_json::Deserializer::from_str(&text).into_iter();
        let values: Vec<serde_json::Value> = values.map(Result::unwrap).collect();
        let events = values.into_iter().flat_map(|value| match value {
            serde_json::Value::Array(events) => events,
            event => vec![event],
        });
        let id = |event: serde_json::Value| {
            let event = event.get("data").unwrap_or(&event).clone();
            event["event_uuid"].as_str().unwrap().to_owned()
        };
        events.map(id).collect()
    }
}

/// What it does with a request.
pub enum Reply {
    /// Answers so, with these further header lines.
    Status(u16, &'static str),
    /// Answers 200 with this body.
    Json(String),
    /// Writes this, and closes.
    Raw(&'static [u8]),
}

/// A receiver on this machine. Its requests are numbered from 0.
pub struct Server {
    pub address: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(behave: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, behave) = (requests.clone(), Arc::new(behave));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, behave) = (kept.clone(), behave.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &kept, &*behave));
            }
        });
        Self { address, requests }
    }

    pub fn ids(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().flat_map(Request::ids).collect()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, behave: &dyn Fn(usize, &Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let number = {
            let mut kept = kept.lock().unwrap();
            kept.push(request.clone());
            kept.len() - 1
        };
        let answer = match behave(number, &request) {
            Reply::Status(status, headers) => {
                format!("HTTP/1.1 {status} So\r\n{headers}content-length: 2\r\n\r\nno").into_bytes()
            }
            Reply::Json(body) => {
                let length = body.len();
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
            }
            Reply::Raw(bytes) => {
                let _ = writer.write_all(bytes);
                return;
            }
        };
        if writer.write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    request.path = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    request.body = vec![0; request.header("content-length").parse().ok()?];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
