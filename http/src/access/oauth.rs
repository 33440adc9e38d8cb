//! `POST /oauth2/token`: client credentials (RFC 6749, section 4.4).
//!
//! A client is one of the operator's tokens: its id is the token's name, its secret the token. It may
//! show both in a JSON object, as CGRateS does, as a form, or as HTTP Basic credentials. What it gets
//! ends within an hour, so a node that is asked often shows its lasting secret rarely.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use sentrypeer_storage::event::Time;
use serde::{Deserialize, Serialize};

use super::rules::{is_media, is_of_no_other_site};
use super::scope::Scopes;
use super::token::RANDOM_BYTES;
use super::{Access, Head};
use crate::exchange::Response;
use crate::limits::ISSUED_TIME_MAX;

const NS_PER_S: u64 = 1_000_000_000;

/// What a client asks with.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

/// Why there is no token: the codes of RFC 6749, section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Request(&'static str),
    Client,
    Grant,
    Scope,
    Origin,
}

/// What a client gets (RFC 6749, section 5.1).
#[derive(Serialize)]
struct Issue<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

/// Answers a request for a token, of which these are the random bytes. Also says for whom it is, for
/// the audit.
pub fn answer(
    access: &Access,
    head: &Head<'_>,
    body: &[u8],
    random: &[u8; RANDOM_BYTES],
    now: Time,
) -> (Response, Option<String>) {
    match issue(access, head, body, random, now) {
        Ok((response, client)) => (response, Some(client)),
        Err(refused) => (refused.response(head), None),
    }
}

fn issue(
    access: &Access,
    head: &Head<'_>,
    body: &[u8],
    random: &[u8; RANDOM_BYTES],
    now: Time,
) -> Result<(Response, String), Refused> {
    is_of_no_other_site(head).map_err(|_| Refused::Origin)?;
    let asked = Asked::of(head, body)?;
    if asked.grant_type.as_deref().is_some_and(|grant| grant != "client_credentials") {
        return Err(Refused::Grant);
    }
    let (id, secret) = asked.client_id.zip(asked.client_secret).ok_or(Refused::Client)?;
    let client = access.book().client(&id, &secret, now).ok_or(Refused::Client)?;
    let scopes = match asked.scope.as_deref().filter(|names| !names.is_empty()) {
        None => client.scopes,
        Some(names) => Scopes::from_names(names).ok_or(Refused::Scope)?.and(client.scopes),
    };
    if scopes.is_empty() {
        return Err(Refused::Scope);
    }
    let lasting = Time(now.0 + ISSUED_TIME_MAX.as_secs() * NS_PER_S);
    let expires = client.expires.map_or(lasting, |end| end.min(lasting));
    let token = access.issue(&client.id, scopes, expires, random);
    let response = Response::json(
        200,
        &Issue {
            access_token: token.text(),
            token_type: "Bearer",
            expires_in: (expires.0 - now.0) / NS_PER_S,
            scope: scopes.to_string(),
        },
    );
    Ok((response.with("Cache-Control", "no-store"), client.name.clone()))
}

impl Asked {
    fn of(head: &Head<'_>, body: &[u8]) -> Result<Self, Refused> {
        let media = head.content_type.unwrap_or("");
        let mut asked = if is_media(media, "application/json") {
            serde_json::from_slice(body).map_err(|_| Refused::Request("The body is no JSON."))?
        } else if is_media(media, "application/x-www-form-urlencoded") {
            Self::of_form(body)?
        } else {
            return Err(Refused::Request("Send application/json or a form."));
        };
        if let Some(value) = head.authorization {
            let both = asked.client_id.is_some() || asked.client_secret.is_some();
            if both {
                return Err(Refused::Request("Show the client's secret once."));
            }
            let (id, secret) = basic(value).ok_or(Refused::Client)?;
            (asked.client_id, asked.client_secret) = (Some(id), Some(secret));
        }
        Ok(asked)
    }

    /// A form (WHATWG URL, section 5.1). A member may come once (RFC 6749, section 3.2).
    fn of_form(body: &[u8]) -> Result<Self, Refused> {
        let broken = Refused::Request("The body is no form.");
        let text = std::str::from_utf8(body).map_err(|_| broken)?;
        let mut asked = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = of_form(value).ok_or(broken)?;
            let member = match name {
                "grant_type" => &mut asked.grant_type,
                "client_id" => &mut asked.client_id,
                "client_secret" => &mut asked.client_secret,
                "scope" => &mut asked.scope,
                // Unknown members are passed over (RFC 6749, section 3.2): `audience`, say.
                _ => continue,
            };
            if member.replace(value).is_some() {
                return Err(Refused::Request("A member is there twice."));
            }
        }
        Ok(asked)
    }
}

/// What a value of a form stands for: `+` is a space there.
fn of_form(value: &str) -> Option<String> {
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

/// The credentials of `Authorization: Basic`, each form-encoded before (RFC 6749, section 2.3.1).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((of_form(id)?, of_form(secret)?))
}

impl Refused {
    fn response(self, head: &Head<'_>) -> Response {
        #[derive(Serialize)]
        struct Error {
            error: &'static str,
            error_description: &'static str,
        }
        let (status, error, error_description) = match self {
            Self::Request(why) => (400, "invalid_request", why),
            Self::Client => (401, "invalid_client", "The client is not known, or has ended."),
            Self::Grant => (400, "unsupported_grant_type", "Only client_credentials is given."),
            Self::Scope => (400, "invalid_scope", "The client has none of these scopes."),
            Self::Origin => (403, "access_denied", "Pages of other sites get no token here."),
        };
        let response = Response::json(status, &Error { error, error_description });
        let response = response.with("Cache-Control", "no-store");
        if self == Self::Client && head.authorization.is_some() {
            return response.with("WWW-Authenticate", "Basic realm=\"sentrypeer\"");
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::{Book, Wanted};
    use super::super::rules::{Line, Need};
    use super::super::scope::Scope;
    use super::super::{Settings, Who};
    use super::*;

    const NOW: Time = Time(1_795_477_956 * NS_PER_S);
    const RANDOM: [u8; RANDOM_BYTES] = [9; RANDOM_BYTES];

    /// Access with one client that ends in ten minutes, and its secret.
    fn access() -> (Access, String) {
        let mut book = Book::default();
        let scopes = Scopes::of([Scope::Read, Scope::Feed]);
        let expires = Some(Time(NOW.0 + 600 * NS_PER_S));
        let wanted = Wanted { name: "cgrates", scopes, expires, rate: None };
        let secret = book.make(&wanted, &[1; RANDOM_BYTES], NOW).unwrap().0;
        (Access::new(Settings::default(), book), secret.text().to_owned())
    }

    fn json() -> Head<'static> {
        let host = Some("127.0.0.1");
        Head { method: "POST", host, content_type: Some("application/json"), ..Head::default() }
    }

    fn form() -> Head<'static> {
        Head { content_type: Some("application/x-www-form-urlencoded"), ..json() }
    }

    fn ask(access: &Access, head: &Head<'_>, body: &str) -> (u16, serde_json::Value) {
        let (response, _) = answer(access, head, body.as_bytes(), &RANDOM, NOW);
        let status = response.status;
        (status, serde_json::from_slice(&response.body.into_bytes()).unwrap())
    }

    #[test]
    fn json_a_form_and_basic_credentials_give_a_token_that_opens() {
        let (access, secret) = access();
        let body = format!(
            r#"{{"grant_type":"client_credentials","client_id":"cgrates","client_secret":"{secret}","audience":"x"}}"#
        );
        let in_form =
            format!("client_id=cgrates&client_secret={secret}&audience=x&scope=read+feed");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("cgrates:{secret}")));
        let with_basic = Head { authorization: Some(&basic), ..form() };
        for (head, body) in [
            (json(), body.as_str()),
            (form(), in_form.as_str()),
            (with_basic, "grant_type=client_credentials"),
        ] {
            let (status, issued) = ask(&access, &head, body);
            assert_eq!((status, &issued["token_type"]), (200, &"Bearer".into()), "{body}");
            assert_eq!(
                (&issued["expires_in"], &issued["scope"]),
                (&600.into(), &"read feed".into())
            );
            let bearer = format!("Bearer {}", issued["access_token"].as_str().unwrap());
            let head = Head { authorization: Some(&bearer), ..json() };
            let need = Need::Scope(Scope::Read);
            let grant = access.who(&Line::default(), &head, need, NOW).unwrap();
            assert!(matches!(&grant.who, Who::Token(client) if client.name == "cgrates"));
            let later = Time(NOW.0 + 600 * NS_PER_S);
            assert!(access.who(&Line::default(), &head, need, later).is_err());
        }
    }

    #[test]
    fn what_was_issued_ends_with_the_client_and_has_no_more_than_was_asked() {
        let (access, secret) = access();
        let body = format!("client_id=cgrates&client_secret={secret}&scope=read%20write");
        let (_, issued) = ask(&access, &form(), &body);
        assert_eq!(issued["scope"], "read");
        let bearer = format!("Bearer {}", issued["access_token"].as_str().unwrap());
        let head = Head { authorization: Some(&bearer), ..json() };
        let who =
            |access: &Access| access.who(&Line::default(), &head, Need::Scope(Scope::Read), NOW);
        assert!(!who(&access).unwrap().scopes.has(Scope::Feed));
        access.set_book(Book::default());
        assert!(who(&access).is_err());
    }

    #[test]
    fn what_is_wrong_is_named_as_the_standard_names_it() {
        let (access, secret) = access();
        let with = |more: &str| format!("client_id=cgrates&client_secret={secret}{more}");
        let basic = Head { authorization: Some("Basic !!"), ..form() };
        let foreign = Head { origin: Some("https://evil.example"), ..form() };
        let plain = Head { content_type: Some("text/plain"), ..form() };
        let wrong = "client_id=cgrates&client_secret=sp_0".to_owned();
        for (head, body, status, error) in [
            (form(), with("&grant_type=password"), 400, "unsupported_grant_type"),
            (form(), with("&scope=write"), 400, "invalid_scope"),
            (form(), with("&scope=root"), 400, "invalid_scope"),
            (form(), with("&client_id=x"), 400, "invalid_request"),
            (form(), with("&scope=%ff"), 400, "invalid_request"),
            (basic, with(""), 400, "invalid_request"),
            (basic, String::new(), 401, "invalid_client"),
            (form(), wrong, 401, "invalid_client"),
            (form(), String::new(), 401, "invalid_client"),
            (json(), "{".to_owned(), 400, "invalid_request"),
            (json(), "[".repeat(10_000), 400, "invalid_request"),
            (plain, with(""), 400, "invalid_request"),
            (foreign, with(""), 403, "access_denied"),
        ] {
            let (got, answered) = ask(&access, &head, &body);
            let shown = body.get(..40).unwrap_or(&body);
            assert_eq!((got, &answered["error"]), (status, &error.into()), "{shown}");
        }
    }
}
