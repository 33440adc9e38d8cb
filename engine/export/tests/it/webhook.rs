//! The webhook, with receivers of each kind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::hmac;
use sentrypeer_export::output::Receiver;
use sentrypeer_export::secret::Secret;
use sentrypeer_export::webhook::{Credentials, Form, Settings};
use sentrypeer_export::{Outputs, StartError};

use crate::harness::{Node, SmallDisk, repeats, server_tls, settings, status, wait_for};
use crate::http_server::{Reply, Request, Server};

pub fn to(node: &Node, server: &Server, form: Form) -> Settings {
    Settings {
        url: Secret::new(format!("http://{}/hook?key=hush", server.address)),
        form,
        events: 100,
        gzip: false,
        signing_secret: None,
        credentials: None,
        ca_file: None,
        dead_letters: node.path("dead.json"),
    }
}

fn start(node: &Node, settings: Settings) -> Outputs {
    node.start(Receiver::Webhook(settings))
}

fn ok(_: usize, _: &Request) -> Reply {
    Reply::Status(204, "")
}

#[test]
fn each_form_carries_every_event_once() {
    for form in [Form::Object, Form::Array, Form::Lines, Form::CloudEvent, Form::CloudEventBatch] {
        let mut node = Node::new();
        let server = Server::start(ok);
        node.record(250);
        let outputs = start(&node, to(&node, &server, form));
        node.await_cursor(&outputs);
        assert_eq!(repeats(&node.ids(), &server.ids()), 0, "{form:?}");
        let requests = server.requests.lock().unwrap();
        let (single, first) = (matches!(form, Form::Object | Form::CloudEvent), &requests[0]);
        assert_eq!(requests.len(), if single { 250 } else { 3 });
        assert_eq!(first.path, "/hook?key=hush");
        let expected = match form {
            Form::Object | Form::Array => "application/json",
            Form::Lines => "application/x-ndjson",
            Form::CloudEvent => "application/cloudevents+json",
            Form::CloudEventBatch => "application/cloudevents-batch+json",
        };
        assert_eq!(first.header("content-type"), expected);
        if form == Form::CloudEvent {
            let event: serde_json::Value = serde_json::from_str(&first.text()).unwrap();
            assert_eq!(
                (&event["specversion"], &event["id"]),
                (&"1.0".into(), &node.ids()[0].as_str().into())
            );
        }
    }
}

#[test]
fn a_packed_body_is_signed_as_it_is_sent() {
    let mut node = Node::new();
    let server = Server::start(ok);
    node.record(120);
    let signing_secret = Some(Secret::new("hush"));
    let signed = Settings { signing_secret, gzip: true, ..to(&node, &server, Form::Lines) };
    let outputs = start(&node, signed);
    node.await_cursor(&outputs);
    assert_eq!(repeats(&node.ids(), &server.ids()), 0);
    for request in &*server.requests.lock().unwrap() {
        let (time, mac) = request.header("x-sentrypeer-signature").split_once(",v1=").unwrap();
        let covered = [time.strip_prefix("t=").unwrap().as_bytes(), b".", &request.body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"hush");
        let bytes: Vec<u8> = (0..mac.len() / 2)
            .map(|n| u8::from_str_radix(&mac[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, &covered, &bytes).unwrap();
    }
}

#[test]
fn a_receiver_that_is_killed_slow_busy_or_mad_gets_every_event_once_by_its_key() {
    let mut node = Node::new();
    let server = Server::start(|n, _| match n % 9 {
        0 => Reply::Raw(b""),
        1 => Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        2 => Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ncut"),
        3 => Reply::Status(500, ""),
        4 => Reply::Status(302, "location: http://127.0.0.1:1/\r\n"),
        5 => Reply::Status(429, "retry-after: 1\r\n"),
        6 => {
            std::thread::sleep(Duration::from_millis(300));
            Reply::Status(200, "")
        }
        _ => Reply::Status(200, ""),
    });
    node.record(300);
    let outputs = start(&node, to(&node, &server, Form::Array));
    wait_for("a beginning", || status(&outputs).sent > 0);
    // The process ends in the middle, and goes on from the cursor that it has stored.
    node.stop(outputs);
    let mut node = node.restart();
    node.record(100);
    let outputs = start(&node, to(&node, &server, Form::Array));
    node.await_cursor(&outputs);
    assert!(repeats(&node.ids(), &server.ids()) > 0, "nothing was tried again");
    let mut once = Vec::new();
    let mut keys = std::collections::BTreeSet::new();
    for request in &*server.requests.lock().unwrap() {
        if keys.insert(request.header("idempotency-key").to_owned()) {
            once.extend(request.ids());
        }
    }
    assert_eq!(repeats(&node.ids(), &once), 0);
    assert!(!node.path("dead.json").exists());
}

#[test]
fn what_is_refused_for_good_is_set_aside_and_what_is_too_large_is_halved() {
    let mut node = Node::new();
    let server = Server::start(|_, request| match request.ids().len() {
        31.. => Reply::Status(413, ""),
        // What is left at the end of a batch it does not like.
        ..10 => Reply::Status(422, ""),
        _ => Reply::Status(200, ""),
    });
    node.record(250);
    let outputs = start(&node, Settings { events: 83, ..to(&node, &server, Form::Lines) });
    node.await_cursor(&outputs);
    let now = status(&outputs);
    let dead = std::fs::read_to_string(node.path("dead.json")).unwrap_or_default();
    let letters: Vec<serde_json::Value> =
        dead.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((now.sent + now.set_aside, now.set_aside), (250, letters.len() as u64));
    assert!(!letters.is_empty());
    assert_eq!((&letters[0]["status"], now.failures), (&422.into(), 0));
    let id = letters[0]["event"]["event_uuid"].as_str().unwrap();
    assert!(node.ids().iter().any(|event| event == id));
}

#[test]
fn a_dead_letter_that_cannot_be_written_stops_the_cursor() {
    let mut node = Node::new();
    let server = Server::start(|_, _| Reply::Status(400, ""));
    node.record(10);
    let dead_letters = node.path("none/dead.json");
    let outputs = start(&node, Settings { dead_letters, ..to(&node, &server, Form::Array) });
    wait_for("the failure", || status(&outputs).failures > 0);
    assert_eq!((status(&outputs).cursor.0, status(&outputs).set_aside), (0, 0));
}

#[test]
fn a_full_disk_under_the_dead_letters_loses_none() {
    let Some(disk) = SmallDisk::new(512 * 1024) else { return };
    let mut node = Node::new();
    let server = Server::start(|_, _| Reply::Status(422, ""));
    let dead_letters = disk.0.path().join("dead.json");
    node.record(10);
    let settings =
        Settings { dead_letters: dead_letters.clone(), ..to(&node, &server, Form::Array) };
    let outputs = start(&node, settings);
    node.await_cursor(&outputs);
    let ballast = disk.0.path().join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 1024 * 1024]).is_err());
    node.record(50);
    wait_for("the failure", || status(&outputs).failures > 0);
    assert_eq!(status(&outputs).set_aside, 10);
    std::fs::remove_file(&ballast).unwrap();
    node.await_cursor(&outputs);
    let text = std::fs::read_to_string(&dead_letters).unwrap();
    let id = |line: &str| {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        letter["event"]["event_uuid"].as_str().unwrap().to_owned()
    };
    assert_eq!(repeats(&node.ids(), &text.lines().map(id).collect::<Vec<_>>()), 0);
}

#[test]
fn a_token_is_fetched_and_renewed_when_it_is_refused() {
    let mut node = Node::new();
    let tokens = Server::start(|n, _| match n {
        0 => Reply::Status(503, ""),
        1 => Reply::Json("{\"token\": 7}".to_owned()),
        _ => Reply::Json(format!("{{\"access_token\": \"token-{n}\", \"expires_in\": 3600}}")),
    });
    let server = Server::start(|_, request| match request.header("authorization") {
        "Bearer token-3" => Reply::Status(200, ""),
        "Bearer token-2" => Reply::Status(401, ""),
        _ => Reply::Status(400, ""),
    });
    node.record(350);
    let credentials = Some(Credentials {
        client_id: "me & you".to_owned(),
        client_secret: Secret::new("hush+hush"),
        token_url: format!("http://{}/oauth/token", tokens.address),
        audience: "https://sentrypeer.example/api".to_owned(),
    });
    let outputs = start(&node, Settings { credentials, ..to(&node, &server, Form::Array) });
    node.await_cursor(&outputs);
    assert_eq!(status(&outputs).set_aside, 0);
    let asked = tokens.requests.lock().unwrap();
    assert_eq!(asked.len(), 4, "a good token is used again");
    assert_eq!(
        asked[3].text(),
        "grant_type=client_credentials&client_id=me+%26+you&client_secret=hush%2Bhush\
         &audience=https%3A%2F%2Fsentrypeer.example%2Fapi"
    );
    assert!(status(&outputs).failures >= 2);
}

#[test]
fn no_secret_is_in_a_status_or_an_error() {
    let mut node = Node::new();
    let closed = Server { address: "127.0.0.1:1".to_owned(), requests: Arc::default() };
    node.record(1);
    let mut settings = to(&node, &closed, Form::Object);
    settings.url = Secret::new("http://me:hush@127.0.0.1:1/hush?hush");
    settings.signing_secret = Some(Secret::new("hush"));
    assert!(!format!("{settings:?}").contains("hush"));
    let outputs = start(&node, settings.clone());
    wait_for("the failure", || status(&outputs).failures > 0);
    let shown = format!("{:?}", status(&outputs));
    assert!(!shown.contains("hush") && shown.contains("http://127.0.0.1:1: "), "{shown}");
    for url in ["ftp://hush/", "hush", "http://[hush"] {
        let url = Secret::new(url);
        let wrong = Receiver::Webhook(Settings { url, ..settings.clone() });
        let error = node.start_all(vec![crate::harness::settings("hook", wrong)]).unwrap_err();
        assert!(matches!(error, StartError::Settings { .. }));
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
    }
    let credentials = Some(Credentials {
        client_id: "me".to_owned(),
        client_secret: Secret::new("hush"),
        token_url: "http://192.0.2.1/hush".to_owned(),
        audience: String::new(),
    });
    let wrong = Receiver::Webhook(Settings { credentials, ..to(&node, &closed, Form::Object) });
    let error = node.start_all(vec![self::settings("hook", wrong)]).unwrap_err().to_string();
    assert!(error.contains("https") && !error.contains("hush"), "{error}");
}

#[test]
fn http_2_is_spoken_with_who_offers_it() {
    let mut node = Node::new();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(node.path("ca.pem"), key.cert.pem()).unwrap();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let port = serve_h2(&key, bodies.clone());
    node.record(250);
    let any = Server { address: String::new(), requests: Arc::default() };
    let settings = Settings {
        url: Secret::new(format!("https://localhost:{port}/")),
        ca_file: Some(node.path("ca.pem")),
        ..to(&node, &any, Form::Array)
    };
    let outputs = start(&node, settings);
    node.await_cursor(&outputs);
    let found: Vec<_> = bodies.lock().unwrap().iter().flat_map(Request::ids).collect();
    assert_eq!(repeats(&node.ids(), &found), 0);
}

/// Answers 200 over HTTP/2 and nothing else; its port.
fn serve_h2(key: &rcgen::CertifiedKey<rcgen::KeyPair>, bodies: Arc<Mutex<Vec<Request>>>) -> u16 {
    let tls = tokio_rustls::TlsAcceptor::from(server_tls(key, &[b"h2"]));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = tls.accept(stream).await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let bodies = bodies.clone();
                    tokio::spawn(async move {
                        let mut stream = request.into_body();
                        let mut body = Vec::new();
                        while let Some(Ok(data)) = stream.data().await {
                            stream.flow_control().release_capacity(data.len()).unwrap();
                            body.extend_from_slice(&data);
                        }
                        bodies.lock().unwrap().push(Request { body, ..Request::default() });
                        respond.send_response(http::Response::new(()), true).unwrap();
                    });
                }
            }
        });
    });
    port
}
