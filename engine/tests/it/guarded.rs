//! The API as strangers meet it: TLS, tokens, client certificates, names, and what SIGHUP changes.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use nix::sys::signal::Signal;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{Node, PATIENCE, Plan, await_that, plan, program, request};
use crate::many_addresses::in_a_network_of_its_own;

/// A CA of the test's own, and what it signs.
struct Ca {
    pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let (pem, der) = (made.pem(), made.der().clone());
        Self { pem, der, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `localhost`, and its key, in PEM form.
    fn signed(&self) -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key)
    }

    /// Puts a new certificate and its key into a folder, as `c.pem` and `k.pem`.
    fn put(&self, folder: &Path) {
        let (cert, key) = self.signed();
        fs::write(folder.join("c.pem"), cert).unwrap();
        fs::write(folder.join("k.pem"), key.serialize_pem()).unwrap();
    }

    /// A client that trusts this CA alone.
    fn client(&self, own: Option<(String, KeyPair)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                use rustls::pki_types::pem::PemObject;
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        }
    }
}

/// A node in `plan`'s folder whose API shows what is in `c.pem` and `k.pem` there.
fn with_tls(plan: Plan, more: &[&str]) -> Node {
    let folder = plan.folder.path().to_owned();
    let mut command = plan.command();
    command.arg("--api-cert").arg(folder.join("c.pem"));
    command.arg("--api-key").arg(folder.join("k.pem")).args(more);
    plan.start_as(command)
}

fn tls(address: SocketAddr, config: ClientConfig) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(connection, stream)
}

/// Asks with these header lines: status and the whole answer.
fn ask(mut stream: impl Read + Write, line: &str, headers: &[&str]) -> (u16, String) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // How TLS ends is not what is asked here.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {text:?}")), text)
}

fn get(address: SocketAddr, path: &str, token: Option<&str>) -> u16 {
    let host = format!("Host: {address}");
    let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
    let headers: Vec<&str> = std::iter::once(host.as_str()).chain(bearer.as_deref()).collect();
    ask(TcpStream::connect(address).unwrap(), &format!("GET {path}"), &headers).0
}

/// `sentrypeer token ...` on this database.
fn token(database: &Path, words: &[&str]) -> Output {
    program(database).arg("token").args(words).output().unwrap()
}

/// The token that is made.
fn made(database: &Path, words: &[&str]) -> String {
    let output = token(database, &[&["make"], words].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Lets a node record something that is in every list.
fn record(node: &Node) {
    let mut stream = TcpStream::connect(node.tcp.unwrap()).unwrap();
    stream.write_all(request("INVITE", "900", "guarded", "TCP").as_bytes()).unwrap();
}

#[test]
fn the_api_speaks_tls_with_the_operators_certificate_and_nothing_else() {
    let (ca, plan) = (Ca::new(), plan(&[]));
    ca.put(plan.folder.path());
    let node = with_tls(plan, &[]);
    let address = node.api.unwrap();
    assert!(node.lines().iter().any(|line| line.contains("API on https://")), "{:?}", node.lines());
    let (status, text) = ask(tls(address, ca.client(None)), "GET /", &["Host: localhost"]);
    assert!(status == 200 && text.ends_with(r#"{"status": "OK"}"#), "{text}");
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP/"), "an answer without TLS");
}

#[test]
fn sighup_shows_a_new_certificate_and_a_bad_one_leaves_the_old() {
    let (old, new, plan) = (Ca::new(), Ca::new(), plan(&[]));
    let folder = plan.folder.path().to_owned();
    old.put(&folder);
    let mut node = with_tls(plan, &[]);
    let address = node.api.unwrap();
    let trusts = |ca: &Ca| {
        let mut stream = tls(address, ca.client(None));
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
    };
    assert!(trusts(&old) && !trusts(&new));
    let renewed = |node: &Node| {
        node.lines().iter().filter(|line| line.contains("configuration was read again")).count()
    };
    new.put(&folder);
    node.signal(Signal::SIGHUP);
    await_that(|| renewed(&node) == 1, "the reload");
    assert!(trusts(&new) && !trusts(&old));

    // The key of another certificate, and then no certificate at all.
    old.put(&folder);
    let (cert, _) = new.signed();
    fs::write(folder.join("c.pem"), cert).unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("the API's old certificate stays: ");
    await_that(|| renewed(&node) == 2, "the second reload");
    fs::write(folder.join("c.pem"), "nothing").unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("c.pem: no certificate in PEM form there (api_cert)");
    assert!(trusts(&new) && !trusts(&old));
}

#[test]
fn a_token_opens_what_it_was_made_for_until_it_is_revoked_without_a_restart() {
    let node = plan(&[]).start();
    let (address, database) = (node.api.unwrap(), node.database());
    record(&node);
    node.await_events(1);
    let reads = made(&database, &["pbx", "--scopes=read"]);
    assert_eq!(get(address, "/ip-addresses", Some(&reads)), 200);
    assert_eq!(get(address, "/ip-addresses/ipset", Some(&reads)), 403, "another scope's path");
    let over = made(&database, &["old", "--expires=2026-01-01"]);
    assert_eq!(get(address, "/ip-addresses", Some(&over)), 401, "it has expired");
    let short = made(&database, &["short", "--expires=2s"]);
    await_that(|| get(address, "/ip-addresses", Some(&short)) == 401, "its end");

    let listed = token(&database, &["list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("pbx") && listed.contains("read"), "{listed}");
    assert!(!listed.contains(&reads[reads.len() - 16..]), "a list gives secrets away");
    assert!(token(&database, &["revoke", "pbx"]).status.success());
    assert_eq!(get(address, "/ip-addresses", Some(&reads)), 401, "it was revoked");
    let again = token(&database, &["revoke", "pbx"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is no token \"pbx\""));
    for said in ["audit: token pbx made, for read", "audit: token pbx revoked"] {
        assert!(node.lines().iter().any(|line| line.contains(said)), "{said}: {:?}", node.lines());
    }
}

#[test]
fn tokens_are_looked_after_without_a_node_and_sighup_reads_their_file() {
    let plan = plan(&[]);
    let database = plan.database();
    let first = made(&database, &["first", "--scopes=read,metrics"]);
    assert!(!database.exists(), "the database is not needed for that");
    let mut node = plan.start();
    let address = node.api.unwrap();
    assert_eq!(get(address, "/metrics", Some(&first)), 200);
    let file = sentrypeer_http::token_file::path(&database);
    let kept = fs::read(&file).unwrap();
    let second = made(&database, &["second", "--scopes=metrics"]);
    fs::write(&file, kept).unwrap();
    assert_eq!(get(address, "/metrics", Some(&second)), 200, "a file alone changes nothing");
    node.signal(Signal::SIGHUP);
    await_that(|| get(address, "/metrics", Some(&second)) == 401, "the file to be read");
    fs::write(&file, "nonsense").unwrap();
    node.signal(Signal::SIGHUP);
    node.await_line("the API's tokens stay as they were: ");
    assert_eq!(get(address, "/metrics", Some(&first)), 200);
}

#[test]
fn who_comes_from_elsewhere_needs_a_token_or_a_certificate() {
    in_a_network_of_its_own(|| {
        let (ca, stranger, plan) =
            (Ca::new(), Ca::new(), plan(&["--api-listen=198.51.100.7:8082", "--no-tls"]));
        let folder = plan.folder.path().to_owned();
        ca.put(&folder);
        fs::write(folder.join("ca.pem"), &ca.pem).unwrap();
        let authority = format!("--api-client-ca={}", folder.join("ca.pem").display());
        let mut node = with_tls(plan, &[&authority, "--api-client-scopes=read"]);
        node.api = Some("198.51.100.7:8082".parse().unwrap());
        let address = node.api.unwrap();
        record(&node);
        let ask = |own, path: &str, more: &[&str]| {
            let headers = [&["Host: 198.51.100.7"], more].concat();
            ask(tls(address, ca.client(own)), &format!("GET {path}"), &headers).0
        };
        await_that(|| ask(Some(ca.signed()), "/ip-addresses", &[]) == 200, "the event");
        assert_eq!(ask(None, "/ip-addresses", &[]), 401);
        assert_eq!(ask(None, "/livez", &[]), 200);
        let bearer = format!("Authorization: Bearer {}", made(&node.database(), &["far"]));
        assert_eq!(ask(None, "/ip-addresses", &[&bearer]), 200);
        // A certificate may do what was said, and not what it may do by default.
        assert_eq!(ask(Some(ca.signed()), "/metrics", &[]), 403);
        let mut refused = tls(address, ca.client(Some(stranger.signed())));
        let _ = refused.write_all(b"GET / HTTP/1.1\r\nHost: 198.51.100.7\r\n\r\n");
        let mut bytes = Vec::new();
        let _ = refused.read_to_end(&mut bytes);
        assert!(bytes.is_empty(), "a certificate of somebody else's CA opens it");
    });
}

#[test]
fn a_public_address_without_protection_is_refused_with_the_place_and_the_remedy() {
    for (what, flags) in [
        ("--api-cert", vec!["--api-listen=0.0.0.0:0"]),
        ("make a token", vec!["--api-listen=0.0.0.0:0", "--api-cert=C", "--api-key=K"]),
    ] {
        let plan = plan(&["--no-sip"]);
        let folder = plan.folder.path().to_owned();
        Ca::new().put(&folder);
        let mut command = plan.command();
        for flag in flags {
            let flag = flag.replace("=C", &format!("={}", folder.join("c.pem").display()));
            command.arg(flag.replace("=K", &format!("={}", folder.join("k.pem").display())));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("--api-listen: ") && said.contains(what), "{said}");
        assert!(said.contains("insecure") && said.contains("127.0.0.1:"), "{said}");
    }
}

#[test]
fn a_token_or_insecure_api_opens_a_public_address() {
    let plan = plan(&["--no-sip", "--api-listen=0.0.0.0:0"]);
    Ca::new().put(plan.folder.path());
    made(&plan.database(), &["any"]);
    drop(with_tls(plan, &[]));
    let mut node =
        crate::harness::plan(&["--no-sip", "--api-listen=0.0.0.0:0", "--insecure-api"]).start();
    node.await_line("answers everybody who reaches it (insecure_api)");
    let port = node.api.unwrap().port();
    assert_eq!(get(SocketAddr::from(([127, 0, 0, 1], port)), "/ip-addresses", None), 404);
}

#[test]
fn a_host_that_is_not_ours_is_refused() {
    let node = plan(&["--api-hosts=sentrypeer.example"]).start();
    let address = node.api.unwrap();
    for (host, expected) in [
        ("localhost:8082", 200),
        ("SENTRYPEER.example", 200),
        ("192.0.2.1", 200),
        ("rebound.example", 421),
    ] {
        let stream = TcpStream::connect(address).unwrap();
        let header = format!("Host: {host}");
        assert_eq!(ask(stream, "GET /", &[&header]).0, expected, "{host}");
    }
}

#[test]
fn the_unix_socket_answers_alone_or_beside_an_address() {
    use std::os::unix::fs::PermissionsExt;
    let plan = plan(&["--no-sip", "--api-listen=", "--dip-listen=none"]);
    let path = plan.folder.path().join("api.sock");
    let mut command = plan.command();
    command.arg("--api-unix").arg(&path);
    let node = plan.start_as(command);
    assert!(node.api.is_none());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let (status, text) = ask(UnixStream::connect(&path).unwrap(), "GET /", &["Host: localhost"]);
    assert!(status == 200 && text.ends_with(r#"{"status": "OK"}"#), "{text}");
    assert!(node.stop().success());
    assert!(!path.exists(), "its file is left behind");
}

#[test]
fn pages_of_other_sites_may_read_what_4_x_lets_them_read_unless_that_is_switched_off() {
    for (flag, expected) in [("--api-any-origin=on", true), ("--api-any-origin=off", false)] {
        let node = plan(&[flag]).start();
        let stream = TcpStream::connect(node.api.unwrap()).unwrap();
        let (_, text) = ask(stream, "GET /health-check", &["Host: localhost"]);
        assert_eq!(text.to_ascii_lowercase().contains("access-control-allow-origin: *"), expected);
    }
}
