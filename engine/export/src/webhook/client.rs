//! The HTTP client, and what of it may be told.

use std::path::Path;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use crate::batch::Failure;
use crate::limits::{ANSWER_BYTES_MAX, CONNECT_PATIENCE, WEBHOOK_PATIENCE};
use crate::tls;

pub(super) fn client(ca_file: Option<&Path>) -> Result<Client, Failure> {
    let mut tls = (*tls::client(ca_file)?).clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("sentrypeer/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_PATIENCE)
        .timeout(WEBHOOK_PATIENCE)
        .build()
        .map_err(|error| Failure::new(format!("no HTTP client: {}", why(error))))
}

/// The URL, if it is one of HTTP.
pub(super) fn url(text: &str, what: &str) -> Result<Url, Failure> {
    // The text itself may hold a secret and is not repeated.
    let url = Url::parse(text).map_err(|error| Failure::new(format!("{what}: {error}")))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(url);
    }
    Err(Failure::new(format!("{what} must begin with http:// or https://")))
}

/// Whether nobody on the way can read along.
pub(super) fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    url.scheme() == "https" || host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Scheme, host and port: paths and queries of webhooks are secrets more often than not.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Why a request failed, without its URL.
pub(super) fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// The answer's body, as much of it as can matter.
pub(super) async fn read_body(mut answer: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES_MAX
        && let Some(chunk) = answer.chunk().await?
    {
        let room = ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}
