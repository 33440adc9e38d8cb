//! The API front over TLS: HTTP/1.1, HTTP/2, and what ends either.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use sentrypeer_http::Lane;
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::api::{Front, serve_with};
use sentrypeer_http::front::setup::{Bound, Setup};
use sentrypeer_http::front::tls::{Pem, Tls};
use sentrypeer_http::limits::{H2_RESETS_MAX, H2_STREAMS_MAX};
use sentrypeer_storage::event::Time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{Authority, client_config};
use crate::node::{NS_PER_S, Node, event, wait_until};

/// A node that is served over TLS, and the CA that its certificate is of.
pub struct Served {
    pub node: Node,
    pub front: Front,
    tls: Arc<Tls>,
    authority: Authority,
}

pub fn served() -> Served {
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[event("198.18.0.7", "+44", now)]);
    let authority = Authority::new();
    let tls = Arc::new(Tls::new(&pem(&authority)).unwrap());
    let tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let bound = Bound { tcp, unix: Vec::new() };
    let setup = Setup { bound, tls: Some(Arc::clone(&tls)), insecure: true, ..Setup::default() };
    let front = serve_with(setup, Arc::clone(&node.ctx)).unwrap();
    Served { node, front, tls, authority }
}

fn pem(authority: &Authority) -> Pem {
    let (chain, key) = authority.issue("localhost");
    Pem { chain: chain.into(), key: key.into(), client_ca: None }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.front.addresses()[0]
    }

    pub fn happened(&self, what: Incident) -> u64 {
        self.node.ctx.counters.incidents(Lane::Api, what)
    }

    async fn connect(&self, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = client_config(&self.authority, None);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address()).await?;
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    pub async fn h2(&self) -> h2::client::SendRequest<Bytes> {
        let stream = self.connect("h2").await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        // How the connection ends is what the tests look at by its requests.
        tokio::spawn(async move { drop(connection.await) });
        send
    }
}

pub fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(test);
}

fn get(path: &str) -> http::Request<()> {
    http::Request::get(format!("https://localhost{path}")).body(()).unwrap()
}

/// Sends a request over HTTP/2 and reads its answer.
pub async fn ask(send: &h2::client::SendRequest<Bytes>, path: &str) -> (u16, Vec<u8>) {
    let mut send = send.clone().ready().await.unwrap();
    let (response, _) = send.send_request(get(path), true).unwrap();
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(slice) = body.data().await {
        let slice = slice.unwrap();
        body.flow_control().release_capacity(slice.len()).unwrap();
        bytes.extend_from_slice(&slice);
    }
    (status, bytes)
}

#[test]
fn both_versions_of_http_give_the_same_answer() {
    let served = served();
    run(async {
        let send = served.h2().await;
        let (status, body) = ask(&send, "/ip-addresses/198.18.0.7").await;
        assert_eq!(status, 200);
        let mut stream = served.connect("http/1.1").await.unwrap();
        let request =
            b"GET /ip-addresses/198.18.0.7 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        assert!(reply.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(reply.ends_with(&body) && body == b"{\"bad_actor_found\": \"198.18.0.7\"}");
    });
}

#[test]
fn what_is_no_tls_is_ended_and_counted() {
    let served = served();
    let mut client = crate::client::Client::connect(served.address());
    client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // A TLS alert may come first.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client.stream, &mut rest);
    assert!(!rest.starts_with(b"HTTP"));
    wait_until("it is counted", || served.happened(Incident::Handshake) == 1);
}

#[test]
fn another_certificate_is_shown_after_a_reload_and_connections_stay() {
    let mut served = served();
    run(async {
        let send = served.h2().await;
        let other = Authority::new();
        served.tls.reload(&pem(&other)).unwrap();
        assert!(served.connect("h2").await.is_err());
        served.authority = other;
        assert_eq!(ask(&served.h2().await, "/livez").await.0, 200);
        assert_eq!(ask(&send, "/livez").await.0, 200);
    });
}

#[test]
fn a_list_is_streamed_over_http2_to_many_at_once() {
    let mut served = served();
    let now = Time::now().minus_ns(NS_PER_S);
    let sources: Vec<String> =
        (0..5_000).map(|n| format!("198.19.{}.{}", n / 250, n % 250)).collect();
    served.node.push(sources.iter().map(|source| event(source, "", now)));
    run(async {
        let send = served.h2().await;
        let asked = (0..6).map(|_| {
            let send = send.clone();
            tokio::spawn(async move { ask(&send, "/ip-addresses").await })
        });
        for asked in asked.collect::<Vec<_>>() {
            let (status, body) = asked.await.unwrap();
            let list: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, list["ip_addresses_total"].as_u64()), (200, Some(5_001)));
        }
    });
}

#[test]
fn who_opens_streams_only_to_reset_them_is_told_to_go() {
    let served = served();
    run(async {
        let mut send = served.h2().await;
        let mut opened = 0;
        // One turn of this loop opens a stream and takes it back before the answer.
        while let Ok(mut ready) = send.clone().ready().await {
            let Ok((response, mut stream)) = ready.send_request(get("/ip-addresses"), true) else {
                break;
            };
            stream.send_reset(h2::Reason::CANCEL);
            drop(response);
            opened += 1;
            assert!(opened < 1_000_000, "the connection goes on for ever");
            send = ready;
            tokio::task::yield_now().await;
        }
        assert!(opened > H2_RESETS_MAX);
        wait_until("it is counted", || served.happened(Incident::Broken) >= 1);
        assert_eq!(ask(&served.h2().await, "/livez").await.0, 200);
    });
}

#[test]
fn a_connection_has_only_so_many_requests_under_way() {
    let served = served();
    run(async {
        let stream = served.connect("h2").await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        assert_eq!(ask(&send, "/livez").await.0, 200);
        let most = send.current_max_send_streams();
        assert_eq!(most, H2_STREAMS_MAX as usize);
        connection.abort();
    });
}

#[test]
fn a_body_that_nobody_wants_is_refused_on_http2_and_the_connection_stays() {
    let served = served();
    run(async {
        let send = served.h2().await;
        let mut ready = send.clone().ready().await.unwrap();
        let (response, mut body) = ready.send_request(get("/numbers"), false).unwrap();
        let _ = body.send_data(Bytes::from_static(&[b'x'; 1_000]), true);
        assert_eq!(response.await.unwrap().status(), 413);
        assert_eq!(ask(&send, "/livez").await.0, 200);
    });
}

#[test]
fn connections_over_http2_end_in_good_order_when_the_front_stops() {
    let Served { node: _node, front, authority, .. } = served();
    let address = front.addresses()[0];
    run(async {
        let mut config = client_config(&authority, None);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let ended = tokio::spawn(connection);
        assert_eq!(ask(&send, "/livez").await.0, 200);
        let stopping = tokio::task::spawn_blocking(move || front.stop());
        // What it says last may find the other end gone.
        drop(ended.await.unwrap());
        stopping.await.unwrap();
    });
}
