//! The webhook: events are posted to a URL.
//!
//! A request is done with when the answer is 2xx. What the receiver refuses for good is set aside in the
//! dead-letter file; everything else is tried again, for as long as the log has it.

mod answer;
mod body;
mod client;
mod dead_letter;
mod token;

use std::path::PathBuf;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Url};
use sentrypeer_storage::event::Time;
use tokio::runtime::Runtime;

use self::answer::Verdict;
pub use self::body::Form;
use self::body::Post;
use self::dead_letter::DeadLetters;
pub use self::token::Credentials;
use self::token::Token;
use crate::batch::{Batch, Delivery, Failure};
use crate::limits::{WEBHOOK_EVENTS_MAX, WEBHOOK_SINGLES_MAX};
use crate::secret::Secret;

/// Where events are posted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where; `http://` or `https://`. It may hold a secret.
    pub url: Secret,
    /// What a request carries.
    pub form: Form,
    /// How many events a batch has at most.
    pub events: usize,
    /// Whether bodies are packed.
    pub gzip: bool,
    /// Signs each request.
    pub signing_secret: Option<Secret>,
    /// Gets a token for each request.
    pub credentials: Option<Credentials>,
    /// Whom to trust: a file of certificates (PEM). Without one, whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Where what is refused for good goes.
    pub dead_letters: PathBuf,
}

/// The webhook at work.
#[derive(Debug)]
pub(crate) struct Webhook {
    url: Url,
    form: Form,
    /// How many events a batch has; less after the receiver has said that it was too large.
    events: usize,
    gzip: bool,
    signing_secret: Option<Secret>,
    token: Option<Token>,
    dead_letters: DeadLetters,
    client: Client,
    runtime: Runtime,
}

/// An answer that was read to its end.
struct Answer {
    status: u16,
    retry_after: Option<std::time::Duration>,
}

impl Webhook {
    /// # Errors
    ///
    /// The URL is none, or the certificates cannot be read.
    pub(crate) fn new(settings: Settings) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self {
            url: client::url(settings.url.reveal(), "the webhook's URL")?,
            form: settings.form,
            events: settings.events.clamp(1, WEBHOOK_EVENTS_MAX),
            gzip: settings.gzip,
            signing_secret: settings.signing_secret,
            token: settings.credentials.map(Token::new).transpose()?,
            dead_letters: DeadLetters::new(settings.dead_letters),
            client: client::client(settings.ca_file.as_deref())?,
            runtime: runtime.map_err(|error| Failure::new(error.to_string()))?,
        })
    }

    pub(crate) fn target(&self) -> String {
        client::shown(&self.url)
    }

    /// Few when each is a request of its own, so that orders are obeyed soon and little comes again.
    pub(crate) fn events_max(&self) -> usize {
        if self.form.is_batch() { self.events } else { WEBHOOK_SINGLES_MAX }
    }

    pub(crate) fn send(&mut self, batch: &Batch<'_>) -> Delivery {
        let mut delivery = Delivery::default();
        while delivery.done < batch.events.len() {
            let rest = Batch { events: &batch.events[delivery.done..], ..*batch };
            let post = body::post(&rest, self.form, self.events, self.gzip);
            let part = Batch { events: &rest.events[..post.events], ..rest };
            match self.deliver(&post, &part) {
                Ok(Verdict::TooLarge) => self.events = (post.events / 2).max(1),
                Ok(verdict) => {
                    delivery.done += post.events;
                    let is_refused = verdict == Verdict::Refused;
                    delivery.set_aside += if is_refused { post.events } else { 0 };
                }
                Err(mut failure) => {
                    failure.text = format!("{}: {}", self.target(), failure.text);
                    delivery.failure = Some(failure);
                    break;
                }
            }
        }
        delivery
    }

    /// Posts, and says what became of it: taken, refused and set aside, or too large.
    fn deliver(&mut self, post: &Post, part: &Batch<'_>) -> Result<Verdict, Failure> {
        let mut answer = self.post(post)?;
        let mut verdict = answer::verdict(answer.status, self.token.is_some(), post.events);
        if verdict == Verdict::Unauthorized
            && let Some(token) = &mut self.token
        {
            token.forget();
            answer = self.post(post)?;
            verdict = answer::verdict(answer.status, true, post.events);
        }
        match verdict {
            Verdict::Taken | Verdict::TooLarge => Ok(verdict),
            Verdict::Refused => {
                self.dead_letters.put(part, answer.status, Time::now())?;
                Ok(verdict)
            }
            // A fresh token that is refused says nothing about the events: they wait.
            Verdict::Unauthorized | Verdict::Later => {
                let failure = Failure::new(format!("it answers {}", answer.status));
                Err(Failure { retry_after: answer.retry_after, ..failure })
            }
        }
    }

    fn post(&mut self, post: &Post) -> Result<Answer, Failure> {
        let request = self.request(post);
        let Self { token, client, runtime, .. } = self;
        runtime.block_on(async {
            let request = match token {
                Some(token) => request.bearer_auth(token.value(client).await?),
                None => request,
            };
            let failed = |error| Failure::new(client::why(error));
            let answer = request.send().await.map_err(failed)?;
            let status = answer.status().as_u16();
            let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = after.and_then(|value| answer::retry_after(value, Time::now()));
            // Read to the end, so that the connection can be used again.
            client::read_body(answer).await.map_err(failed)?;
            Ok(Answer { status, retry_after })
        })
    }

    fn request(&self, post: &Post) -> RequestBuilder {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", self.form.content_type())
            .header("idempotency-key", &post.key);
        if self.gzip {
            request = request.header("content-encoding", "gzip");
        }
        if let Some(secret) = &self.signing_secret {
            let signature = body::signature(secret, Time::now(), &post.body);
            request = request.header("x-sentrypeer-signature", signature);
        }
        request.body(post.body.clone())
    }
}
