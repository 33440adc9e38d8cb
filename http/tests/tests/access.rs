//! Who may ask for what, over real sockets.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use sentrypeer_http::Lane;
use sentrypeer_http::access::{Access, Scope, Scopes, Settings};
use sentrypeer_http::counters::Incident;
use sentrypeer_http::front::api::{Front, serve_with};
use sentrypeer_http::front::setup::{Bound, Setup};
use sentrypeer_http::front::tls::{Pem, Tls};
use sentrypeer_http::limits::REQUEST_BODY_BYTES_MAX;
use sentrypeer_http::token_file;
use sentrypeer_storage::event::Time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificate::{Authority, client_config};
use crate::client::{Client, Reply};
use crate::node::{NS_PER_S, Node, event, wait_until};

struct Served {
    node: Node,
    front: Front,
    access: Arc<Access>,
    tokens: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

fn served(tls: Option<Arc<Tls>>, settings: Settings) -> Served {
    let now = Time::now().minus_ns(NS_PER_S);
    let node = Node::with(&[event("198.18.0.7", "+44", now)]);
    let folder = tempfile::tempdir().unwrap();
    let tokens = token_file::path(&folder.path().join("s.redb"));
    let access = Arc::new(Access::new(settings, token_file::load(&tokens).unwrap()));
    let tcp = vec![TcpListener::bind("127.0.0.1:0").unwrap()];
    let bound = Bound { tcp, unix: Vec::new() };
    let setup = Setup { bound, tls, access: Arc::clone(&access), ..Setup::default() };
    let front = serve_with(setup, Arc::clone(&node.ctx)).unwrap();
    Served { node, front, access, tokens, _folder: folder }
}

impl Served {
    fn address(&self) -> SocketAddr {
        self.front.addresses()[0]
    }

    fn happened(&self, what: Incident) -> u64 {
        self.node.ctx.counters.incidents(Lane::Api, what)
    }

    /// Makes a token as `sentrypeer token` does, and has the node take it.
    fn token(&self, name: &str, scopes: &[Scope]) -> String {
        let scopes = Scopes::of(scopes.iter().copied());
        let made = token_file::make(&self.tokens, name, scopes, None, None);
        let (secret, _, book) = made.unwrap();
        self.access.set_book(book);
        secret.text().to_owned()
    }

    fn ask(&self, request: &str) -> Reply {
        let mut client = Client::connect(self.address());
        client.send(request.as_bytes());
        client.reply_to(request.split(' ').next().unwrap()).unwrap()
    }

    fn post(&self, headers: &str, body: &str) -> Reply {
        let length = body.len();
        let head = "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n";
        self.ask(&format!("{head}{headers}Content-Length: {length}\r\n\r\n{body}"))
    }
}

#[test]
fn a_name_that_somebody_elses_dns_leads_here_is_misdirected() {
    let settings = Settings { hosts: vec!["pot.example".to_owned()], ..Settings::default() };
    let served = served(None, settings);
    let asked = |head: &str| served.ask(&format!("GET /numbers/+44 {head}\r\n\r\n")).status;
    assert_eq!(asked("HTTP/1.1\r\nHost: pot.example:8082"), 200);
    assert_eq!(asked("HTTP/1.0"), 200);
    assert_eq!(asked("HTTP/1.1\r\nHost: rebound.example"), 421);
    assert_eq!(asked("HTTP/1.0\r\nHost: rebound.example"), 421);
    assert_eq!(asked("HTTP/1.1"), 400);
    assert_eq!(asked("HTTP/1.1\r\nHost: localhost\r\nHost: rebound.example"), 400);
    let absolute = "GET http://rebound.example/numbers/+44 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(served.ask(absolute).status, 400);
    assert_eq!(served.happened(Incident::ForeignHost), 5);
}

#[test]
fn a_bad_token_is_refused_with_what_to_do_and_a_good_one_for_what_it_is_for() {
    let served = served(None, Settings::default());
    let token = served.token("feeds", &[Scope::Feed]);
    let asked = |path: &str, token: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
        served.ask(&format!("{head}Authorization: Bearer {token}\r\n\r\n"))
    };
    let refused = asked("/numbers", "nonsense");
    assert_eq!(refused.status, 401);
    let challenge = "Bearer realm=\"sentrypeer\", error=\"invalid_token\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    assert_eq!(asked("/numbers", &token).status, 403);
    assert_eq!(asked("/ip-addresses/ipset?allow_empty=1", &token).status, 200);
    let (_, book) = token_file::revoke(&served.tokens, "feeds").unwrap();
    served.access.set_book(book);
    assert_eq!(asked("/ip-addresses/ipset?allow_empty=1", &token).status, 401);
    assert_eq!(served.happened(Incident::Unauthorized), 2);
    assert_eq!(served.happened(Incident::Forbidden), 1);
}

#[test]
fn clients_of_other_services_show_their_token_as_they_do_there() {
    let served = served(None, Settings::default());
    let token = served.token("bouncer", &[Scope::Feed]);
    let get = |path: &str, more: &str| {
        served.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")).status
    };
    assert_eq!(get("/v1/decisions/stream", &format!("X-Api-Key: {token}\r\n")), 200);
    assert_eq!(get("/v1/decisions/stream", "X-Api-Key: wrong\r\n"), 401);
    assert_eq!(get(&format!("/api/{token}/banned"), ""), 200);
    assert_eq!(get(&format!("/api/{token}/banned/100"), ""), 200);
    assert_eq!(get("/api/wrong/banned", ""), 401);
}

#[test]
fn a_client_gets_a_short_token_as_cgrates_asks_for_it_and_dips_with_it() {
    let served = served(None, Settings::default());
    let secret = served.token("cgrates", &[Scope::Read]);
    let body = format!(r#"{{"client_id": "cgrates", "client_secret": "{secret}"}}"#);
    let reply = served.post("Content-Type: application/json\r\n", &body);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    let issued: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((&issued["token_type"], &issued["expires_in"]), (&"Bearer".into(), &3600.into()));
    let token = issued["access_token"].as_str().unwrap();
    let dip = "GET /ip-addresses/198.18.0.7 HTTP/1.1\r\nHost: localhost\r\n";
    let reply = served.ask(&format!("{dip}Authorization: Bearer {token}\r\n\r\n"));
    assert_eq!(reply.status, 200);
    let metrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n";
    let reply = served.ask(&format!("{metrics}Authorization: Bearer {token}\r\n\r\n"));
    assert_eq!(reply.status, 403);
    let wrong = body.replace(&secret, "sp_wrong");
    assert_eq!(served.post("Content-Type: application/json\r\n", &wrong).status, 401);
    let get = served.ask("GET /oauth2/token HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
}

#[test]
fn a_body_has_a_bound_and_ends_its_connection() {
    let served = served(None, Settings::default());
    let long = "x".repeat(REQUEST_BODY_BYTES_MAX + 1);
    let reply = served.post("Content-Type: application/json\r\n", &long);
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert_eq!(served.happened(Incident::BadBody), 1);
    let mut client = Client::connect(served.address());
    let smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\n";
    client.send(format!("{head}Content-Type: application/json\r\n{both}{smuggled}").as_bytes());
    assert_eq!(client.reply().status, 400);
    assert!(client.ends());
}

/// Asks over TLS with or without a client certificate; `None` where the connection fails.
async fn ask_tls(
    served: &Served,
    authority: &Authority,
    shown: Option<(String, String)>,
) -> Option<String> {
    let config = client_config(authority, shown);
    let stream = TcpStream::connect(served.address()).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.ok()?;
    let request = b"GET /numbers/+44 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut reply = Vec::new();
    // A refusal of the certificate comes after the handshake in TLS 1.3.
    let _ = stream.read_to_end(&mut reply).await;
    Some(String::from_utf8(reply).unwrap()).filter(|reply| !reply.is_empty())
}

#[test]
fn a_client_certificate_counts_for_what_was_set_and_a_foreign_one_for_nothing() {
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (chain, key) = authority.issue("localhost");
    let client_ca = Some(clients.pem().into());
    let pem = Pem { chain: chain.into(), key: key.into(), client_ca };
    let tls = Arc::new(Tls::new(&pem).unwrap());
    assert!(tls.asks_for_certificates());
    // Less than who comes from this machine has, so that it shows which of the two counts.
    let certificate_scopes = Scopes::of([Scope::Feed]);
    let served = served(Some(tls), Settings { certificate_scopes, ..Settings::default() });
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(async {
        let reply = ask_tls(&served, &authority, None).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
        let reply = ask_tls(&served, &authority, Some(clients.issue("firewall"))).await.unwrap();
        assert!(reply.starts_with("HTTP/1.1 403"), "{reply}");
        assert_eq!(ask_tls(&served, &authority, Some(strangers.issue("firewall"))).await, None);
    });
    wait_until("it is counted", || served.happened(Incident::Handshake) == 1);
}
