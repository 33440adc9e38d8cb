//! `/api/v1/events/stream` over HTTP/2: on one connection with other requests, and ended by either side.

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::limits::{H2_WINDOW_BYTES, STREAM_EVENTS_MAX};
use sentrypeer_storage::event::EventRef;
use serde_json::Value;

use crate::node::{at, event, wait_until};
use crate::tls::{ask, run, served};

/// A live stream on a connection.
struct Stream {
    body: RecvStream,
    buffer: String,
    /// The id that was given last.
    last_id: String,
}

impl Stream {
    async fn open(send: &SendRequest<Bytes>, query: &str, last: Option<&str>) -> Self {
        let mut request =
            http::Request::get(format!("https://localhost/api/v1/events/stream{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut send = send.clone().ready().await.unwrap();
        let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), buffer: String::new(), last_id: String::new() }
    }

    /// The lines of the next message; nothing at the end of the answer.
    async fn message(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some((message, rest)) = self.buffer.split_once("\n\n") {
                let lines: Vec<_> = message.lines().map(str::to_owned).collect();
                self.buffer = rest.to_owned();
                let id = lines.iter().find_map(|line| line.strip_prefix("id: "));
                id.into_iter().for_each(|id| id.clone_into(&mut self.last_id));
                return Some(lines);
            }
            let slice = self.body.data().await?.unwrap();
            self.body.flow_control().release_capacity(slice.len()).unwrap();
            self.buffer.push_str(std::str::from_utf8(&slice).unwrap());
        }
    }

    /// The number of the next event, whatever else comes before it.
    async fn number(&mut self) -> String {
        loop {
            let lines = self.message().await.expect("the stream goes on");
            let Some(data) = lines.iter().find_map(|line| line.strip_prefix("data: ")) else {
                continue;
            };
            assert!(lines.iter().all(|line| !line.starts_with("event: ")), "{lines:?}");
            let event: Value = serde_json::from_str(data).unwrap();
            return event["number"].as_str().unwrap().to_owned();
        }
    }

    async fn numbers(&mut self, how_many: usize) -> Vec<String> {
        let mut found = Vec::new();
        while found.len() < how_many {
            found.push(self.number().await);
        }
        found
    }

    /// Reads until the stream has said where it begins.
    async fn begin(&mut self) -> String {
        while self.last_id.is_empty() {
            self.message().await.unwrap();
        }
        self.last_id.clone()
    }
}

#[test]
fn events_come_as_they_are_stored_beside_other_requests_of_the_connection() {
    let mut served = served();
    run(async {
        let send = served.h2().await;
        let mut streams =
            [Stream::open(&send, "", None).await, Stream::open(&send, "?method=BYE", None).await];
        for stream in &mut streams {
            stream.begin().await;
        }
        let bye = EventRef { method: b"BYE", ..event("198.18.0.8", "2", at(2)) };
        served.node.push([event("198.18.0.8", "1", at(2)), bye].into_iter());
        assert_eq!(ask(&send, "/ip-addresses/198.18.0.7").await.0, 200);
        assert_eq!(streams[1].number().await, "2");
        assert_eq!(streams[0].numbers(2).await, ["1", "2"]);
        assert_eq!(ask(&send, "/livez").await.0, 200);
    });
}

#[test]
fn who_comes_back_with_the_last_id_gets_every_event_once() {
    let mut served = served();
    run(async {
        let send = served.h2().await;
        let mut last = Stream::open(&send, "", None).await.begin().await;
        let numbers: Vec<_> = (0..STREAM_EVENTS_MAX * 2 + 7).map(|n| n.to_string()).collect();
        served.node.push(numbers.iter().map(|number| event("198.18.0.7", number, at(2))));
        let mut found = Vec::new();
        for some in [3, STREAM_EVENTS_MAX, numbers.len() - STREAM_EVENTS_MAX - 3] {
            // The one before was reset when it was dropped, in the middle of what it had.
            let mut stream = Stream::open(&send, "", Some(&last)).await;
            found.extend(stream.numbers(some).await);
            last = stream.last_id;
        }
        assert_eq!(found, numbers);
        served.node.push([event("198.18.0.7", "the last", at(3))].into_iter());
        // Another connection goes on just as well, and by the parameter too.
        let (other, after) = (served.h2().await, format!("?after={last}"));
        assert_eq!(Stream::open(&other, &after, None).await.number().await, "the last");
        drop((send, other));
    });
    let counters = &served.node.ctx.counters;
    wait_until("the places of all of them are free", || counters.open_streams() == 0);
}

#[test]
fn what_is_not_taken_ends_with_its_connection_and_holds_no_place() {
    let mut served = served();
    run(async {
        let send = served.h2().await;
        let mut lying = Stream::open(&send, "", None).await;
        lying.begin().await;
        let agent = [b'x'; 250];
        let more_than_the_window = 4 * H2_WINDOW_BYTES as usize / agent.len();
        let long = EventRef { user_agent: &agent, ..event("198.18.0.7", "", at(2)) };
        served.node.push(std::iter::repeat_n(long, more_than_the_window));
        let counters = &served.node.ctx.counters;
        // What the peer does on other streams makes no difference.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while let Ok(mut ready) = send.clone().ready().await {
            assert!(std::time::Instant::now() < deadline, "the connection goes on for ever");
            let request = http::Request::get("https://localhost/livez").body(()).unwrap();
            let Ok((response, _)) = ready.send_request(request, true) else { break };
            if response.await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        wait_until("its place is free", || counters.open_streams() == 0);
        assert_eq!(served.happened(Incident::SlowReader), 1);
    });
}

#[test]
fn a_stream_ends_in_good_order_when_the_front_stops() {
    let served = served();
    run(async {
        let send = served.h2().await;
        let mut stream = Stream::open(&send, "", None).await;
        stream.begin().await;
        let front = served.front;
        let stopping = tokio::task::spawn_blocking(move || front.stop());
        while stream.message().await.is_some() {}
        stopping.await.unwrap();
    });
}
