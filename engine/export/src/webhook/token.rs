//! OAuth 2 client credentials (RFC 6749, section 4.4).

use std::time::{Duration, Instant};

use reqwest::{Client, Url};

use super::client::{read_body, why};
use crate::batch::Failure;
use crate::limits::{TOKEN_LIFE_DEFAULT, TOKEN_LIFE_MAX, TOKEN_RENEW_BEFORE};
use crate::secret::Secret;

/// How a token is had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who we are.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// Where tokens come from; HTTPS, or this machine.
    pub token_url: String,
    /// For whom the token is; left out when empty.
    pub audience: String,
}

/// The token at work.
#[derive(Debug)]
pub(super) struct Token {
    credentials: Credentials,
    url: Url,
    held: Option<(String, Instant)>,
}

impl Token {
    pub(super) fn new(credentials: Credentials) -> Result<Self, Failure> {
        let url = super::client::url(&credentials.token_url, "the token's URL")?;
        if !super::client::is_private(&url) {
            return Err(Failure::new("the token's URL must be https: the secret goes there"));
        }
        Ok(Self { credentials, url, held: None })
    }

    /// The token is of no use: the next call gets another.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }

    /// A token that holds for a while yet.
    pub(super) async fn value(&mut self, client: &Client) -> Result<String, Failure> {
        if let Some((token, until)) = &self.held
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let (token, life) = self.fetch(client).await?;
        let life = life.min(TOKEN_LIFE_MAX);
        let until = Instant::now() + life.saturating_sub(TOKEN_RENEW_BEFORE.min(life / 2));
        self.held = Some((token.clone(), until));
        Ok(token)
    }

    async fn fetch(&self, client: &Client) -> Result<(String, Duration), Failure> {
        let Credentials { client_id, client_secret, audience, .. } = &self.credentials;
        let mut form = Url::parse("form:").map_err(|_| Failure::new("no form"))?;
        form.query_pairs_mut()
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("client_secret", client_secret.reveal());
        if !audience.is_empty() {
            form.query_pairs_mut().append_pair("audience", audience);
        }
        let request = client
            .post(self.url.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.query().unwrap_or_default().to_owned());
        let failed = |what: &str| Failure::new(format!("the token's URL {what}"));
        let answer = request.send().await.map_err(|error| failed(&why(error)))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(failed(&format!("answers {}", status.as_u16())));
        }
        let body = read_body(answer).await.map_err(|error| failed(&why(error)))?;
        let body: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| failed("answers what is no JSON"))?;
        let token = body["access_token"].as_str().filter(|token| is_token(token));
        let life = body["expires_in"].as_u64().map_or(TOKEN_LIFE_DEFAULT, Duration::from_secs);
        let token = token.ok_or_else(|| failed("answers without an access_token"))?;
        Ok((token.to_owned(), life))
    }
}

/// RFC 6750, section 2.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
