//! A JSON log: SentryPeer 4.x's or ours, one object a line.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use sentrypeer_storage::event::{Anomalies, Anomaly};
use serde::Deserialize;

use super::lines::{Line, Lines};
use super::{Format, ImportError, Item, Options, item};
use crate::fields::{Field, Fields};
use crate::imported::{Imported, Reason, Skipped};

type Input = Box<dyn BufRead + Send>;

/// A log that is being read.
pub(super) struct Log {
    path: PathBuf,
    options: Options,
    format: Format,
    lines: Lines<Input>,
    place: u64,
    read: Arc<AtomicU64>,
    bytes: u64,
}

impl Log {
    pub(super) fn open(
        path: &Path,
        options: &Options,
        format: Format,
    ) -> Result<Self, ImportError> {
        let io_error = |error| ImportError::Io { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(io_error)?;
        let bytes = file.metadata().map_err(io_error)?.len();
        let at = options.after;
        let read = Arc::new(AtomicU64::new(0));
        let begin = at.saturating_sub(1);
        let wrong = || ImportError::Place { path: path.to_owned(), after: at };
        if format == Format::Json {
            if at > bytes {
                return Err(wrong());
            }
            file.seek(SeekFrom::Start(begin)).map_err(io_error)?;
            read.store(begin, Ordering::Relaxed);
        }
        let counted = Counted { file, read: Arc::clone(&read) };
        let mut input: Input = match format {
            Format::JsonGzip => {
                Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(counted))))
            }
            _ => Box::new(BufReader::new(counted)),
        };
        let to_skip = if format == Format::Json { 0 } else { begin };
        if at > 0 && !begins_line(&mut input, to_skip).map_err(io_error)? {
            return Err(wrong());
        }
        let lines = Lines::new(input, at);
        let (path, options) = (path.to_owned(), options.clone());
        Ok(Self { path, options, format, lines, place: at, read, bytes })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn progress(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.bytes)
    }

    pub(super) fn next(&mut self) -> Result<Option<Item>, ImportError> {
        loop {
            let (line, begin, end) = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(error) => return Err(failure(&self.path, self.place, error)),
            };
            let found = match line {
                Line::Long => Err(Skipped { place: end, reason: Reason::LongLine }),
                Line::Whole(line) | Line::Torn(line) if line.trim_ascii().is_empty() => continue,
                Line::Whole(line) => item(event(line, &self.options, end), end),
                Line::Torn(line) => event(line, &self.options, end)
                    .map_err(|_| Skipped { place: begin, reason: Reason::TornLine }),
            };
            self.place = found.as_ref().map_or_else(|skipped| skipped.place, |event| event.place);
            return Ok(Some(found));
        }
    }
}

/// Whether a line begins after `bytes` and one more, which this takes from `input`.
fn begins_line(input: &mut Input, bytes: u64) -> io::Result<bool> {
    let skipped = io::copy(&mut input.take(bytes), &mut io::sink())?;
    let mut before = [0];
    if skipped < bytes || input.read(&mut before)? == 0 {
        return Ok(false);
    }
    // The last line had no end when it was read as an event; its end may have come since.
    Ok(before == *b"\n" || input.fill_buf()?.first().is_none_or(|byte| b"\r\n".contains(byte)))
}

/// gzip says of a damaged or cut file that its data is invalid or ends; the rest is the disk's.
fn failure(path: &Path, place: u64, error: io::Error) -> ImportError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            ImportError::Damaged { path, place, what: error.to_string() }
        }
        _ => ImportError::Io { path, error },
    }
}

/// A file that says how much of it was read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The members that we know. Others are passed over without being kept, and all may be missing.
#[derive(Deserialize)]
struct Members {
    event_timestamp: Option<String>,
    event_uuid: Option<String>,
    created_by_node_id: Option<String>,
    collected_method: Option<String>,
    transport_type: Option<String>,
    source_ip: Option<String>,
    destination_ip: Option<String>,
    called_number: Option<String>,
    sip_method: Option<String>,
    sip_user_agent: Option<String>,
    sip_message: Option<String>,
    anomalies_observed: Option<String>,
    anomalies_invalid: Option<String>,
}

/// The event of a line. No bytes make it panic.
fn event(line: &[u8], options: &Options, place: u64) -> Result<Imported, Reason> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let members: Members = serde_json::from_slice(line).map_err(|_| Reason::NotJson)?;
    fields(members).read(&options.zone, options.origin, place)
}

fn fields(members: Members) -> Fields<'static> {
    Fields {
        id: field(members.event_uuid),
        node_id: field(members.created_by_node_id),
        time: field(members.event_timestamp),
        created_at: None,
        collected: field(members.collected_method),
        transport: field(members.transport_type),
        source: field(members.source_ip),
        destination: field(members.destination_ip),
        number: field(members.called_number),
        method: field(members.sip_method),
        user_agent: field(members.sip_user_agent),
        message: field(members.sip_message),
        anomalies: Anomalies {
            observed: anomalies(members.anomalies_observed.as_deref()),
            invalid: anomalies(members.anomalies_invalid.as_deref()),
        },
    }
}

fn field(text: Option<String>) -> Field<'static> {
    text.map(|text| Cow::Owned(text.into_bytes()))
}

/// The bits of names with commas between them. A later version may know more names than we do.
fn anomalies(names: Option<&str>) -> u64 {
    let known = |name| Anomaly::ALL.into_iter().find(|anomaly| anomaly.name() == name);
    let bits = names.unwrap_or_default().split(',').filter_map(known).map(Anomaly::bit);
    bits.fold(0, |set, bit| set | bit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sentrypeer_storage::event::{Transport, Verification};

    use super::*;

    const LINE: &str = concat!(
        r#"{"app_name":"sentrypeer","app_version":"v4.0.6","#,
        r#""event_timestamp":"2026-11-23 23:52:36.740127","#,
        r#""event_uuid":"019ab0e4-6b8a-7c3e-8f10-2b0b6a1c9d77","#,
        r#""created_by_node_id":"7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10","#,
        r#""collected_method":"responsive","transport_type":"TLS","#,
        r#""source_ip":"203.0.113.7:5066","destination_ip":"0.0.0.0","#,
        r#""called_number":"100","sip_method":"OPTIONS","sip_user_agent":"NOT_FOUND","#,
        r#""sip_message":"OPTIONS sip:100@h SIP/2.0\r\n\r\n"}"#
    );

    fn read(line: &str) -> Result<Imported, Reason> {
        event(line.as_bytes(), &Options::default(), 0)
    }

    #[test]
    fn a_line_of_4_x_is_read() {
        let event = read(LINE).unwrap();
        assert_eq!(event.time.0 % 1_000_000_000, 740_127);
        assert_eq!(event.source.to_string(), "203.0.113.7:5066");
        assert_eq!(event.transport, Transport::Tls);
        assert_eq!(event.verification, Verification::Unverified);
        assert_eq!(&*event.number, b"100");
        assert_eq!(&*event.user_agent, b"");
        assert_eq!(&*event.message, b"OPTIONS sip:100@h SIP/2.0\r\n\r\n");
    }

    #[test]
    fn members_may_be_null_or_missing_or_unknown() {
        let line = LINE.replace(r#""sip_method":"OPTIONS""#, r#""sip_method":null"#);
        assert_eq!(&*read(&line).unwrap().method, b"");
        let line = LINE.replace(r#""sip_method":"OPTIONS","#, r#""new":{"a":[1,{}]},"#);
        assert_eq!(&*read(&line).unwrap().method, b"");
    }

    #[test]
    fn what_is_no_object_of_texts_is_no_event() {
        for line in ["{", "[]", "1", "\"\"", "{}{}", r#"{"source_ip":5}"#, "{\"a\":\"\u{1}\"}"] {
            assert_eq!(read(line), Err(Reason::NotJson), "{line}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(500_000));
        assert_eq!(read(&deep), Err(Reason::NotJson));
        assert_eq!(read("{}"), Err(Reason::Id));
    }

    #[test]
    fn names_of_anomalies_that_we_know_are_read() {
        let name = Anomaly::Folded.name();
        let known = Anomaly::Folded.bit() | Anomaly::AngleOpen.bit();
        assert_eq!(anomalies(Some(&format!("{name},{},later", Anomaly::AngleOpen.name()))), known);
        assert_eq!(anomalies(Some("")), 0);
        assert_eq!(anomalies(None), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_a_reason(line: Vec<u8>) {
            let _ = event(&line, &Options::default(), 0);
        }

        /// Bytes that are nearly a line come further.
        #[test]
        fn a_line_with_anything_in_it_is_an_event_or_a_reason(
            at in 0..LINE.len(), length in 0..40usize, instead: Vec<u8>,
        ) {
            let mut line = LINE.as_bytes().to_vec();
            line.splice(at..(at + length).min(LINE.len()), instead);
            if let Ok(event) = event(&line, &Options::default(), 3) {
                prop_assert_eq!(event.place, 3);
                prop_assert!(!event.source.ip().is_unspecified());
            }
        }

        /// Whatever the texts are, reading them does not panic, and what is kept fits into an event.
        #[test]
        fn any_texts_are_an_event_or_a_reason(texts in prop::collection::vec(".{0,300}", 7)) {
            let mut line: serde_json::Value = serde_json::from_str(LINE).unwrap();
            let members = ["event_timestamp", "source_ip", "called_number", "sip_method",
                "sip_user_agent", "destination_ip", "created_by_node_id"];
            for (member, text) in members.into_iter().zip(&texts) {
                if text.len() % 2 == 0 {
                    line[member] = text.as_str().into();
                }
            }
            if let Ok(event) = read(&line.to_string()) {
                prop_assert!(event.number.len() <= 128 && event.method.len() <= 32);
                prop_assert!(event.user_agent.len() <= 256);
            }
        }
    }
}
