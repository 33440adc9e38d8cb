//! What is posted: bytes only, no IO.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ring::{digest, hmac};
use sentrypeer_storage::event::Time;
use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use serde_json::json;
use serde_json::value::RawValue;

use crate::batch::Batch;
use crate::limits::WEBHOOK_BODY_BYTES_MAX;
use crate::line::{Renderer, rfc3339};
use crate::secret::Secret;

/// What a request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One event: the object of SentryPeer 4.x.
    #[default]
    Object,
    /// A JSON array of such objects.
    Array,
    /// One such object a line.
    Lines,
    /// One event as a CloudEvent 1.0 in structured mode.
    CloudEvent,
    /// A batch of CloudEvents 1.0.
    CloudEventBatch,
}

impl Form {
    /// Whether a request carries more than one event.
    pub(crate) fn is_batch(self) -> bool {
        !matches!(self, Self::Object | Self::CloudEvent)
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Object | Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::CloudEvent => "application/cloudevents+json",
            Self::CloudEventBatch => "application/cloudevents-batch+json",
        }
    }

    fn is_cloud_event(self) -> bool {
        matches!(self, Self::CloudEvent | Self::CloudEventBatch)
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Post {
    /// How many events are in it.
    pub(crate) events: usize,
    /// The same for the same events, whenever they are sent.
    pub(crate) key: String,
    pub(crate) body: Vec<u8>,
}

/// A request with at most so many of these events, and fewer when they are large.
pub(crate) fn post(batch: &Batch<'_>, form: Form, events_max: usize, gzip: bool) -> Post {
    let renderer = Renderer::default();
    let most = if form.is_batch() { events_max.max(1) } else { 1 };
    let (open, between, close) = match form {
        Form::Array | Form::CloudEventBatch => ("[", ",", "]"),
        Form::Lines => ("", "\n", "\n"),
        Form::Object | Form::CloudEvent => ("", "", ""),
    };
    let mut ids = digest::Context::new(&digest::SHA256);
    let (mut body, mut events) = (open.as_bytes().to_vec(), 0);
    for event in batch.events.iter().take(most) {
        if events > 0 {
            if body.len() >= WEBHOOK_BODY_BYTES_MAX {
                break;
            }
            body.extend_from_slice(between.as_bytes());
        }
        if form.is_cloud_event() {
            let line = renderer.line(event, batch.producer, batch.allow);
            body.extend_from_slice(cloud_event(event, batch.producer, line).as_bytes());
        } else {
            renderer.write(event, batch.producer, batch.allow, &mut body);
        }
        ids.update(event.id.as_bytes());
        events += 1;
    }
    body.extend_from_slice(close.as_bytes());
    let key = hex(&ids.finish().as_ref()[..16]);
    Post { events, key, body: if gzip { packed(&body) } else { body } }
}

/// CloudEvents 1.0, JSON format, section 3: the object is its data.
fn cloud_event(event: &StoredEvent, from: &Producer, line: String) -> String {
    json!({
        "specversion": "1.0",
        "id": event.id.to_string(),
        "source": format!("urn:uuid:{}", from.node_id),
        "type": "org.sentrypeer.sip.event",
        "time": rfc3339(event.time),
        "subject": event.source.ip().to_string(),
        "datacontenttype": "application/json",
        "data": RawValue::from_string(line).ok(),
    })
    .to_string()
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail; if it did, an empty body would be refused.
    let done = gzip.write_all(body).and_then(|()| gzip.finish());
    done.unwrap_or_default()
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the seconds, a dot, and the body as it is sent.
pub(crate) fn signature(secret: &Secret, now: Time, body: &[u8]) -> String {
    let seconds = now.0 / 1_000_000_000;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(format!("{seconds}.").as_bytes());
    signed.update(body);
    format!("t={seconds},v1={}", hex(signed.sign().as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_time_and_body() {
        let signed = signature(&Secret::new("key"), Time(1_000_000_000), b"x");
        assert!(signed.starts_with("t=1,v1=") && signed.len() == 7 + 64, "{signed}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        assert_eq!(signed[7..], hex(hmac::sign(&key, b"1.x").as_ref()));
    }
}
