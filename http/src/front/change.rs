//! What is answered from more than what is known: requests for tokens, and the allow-list.

use std::sync::Arc;

use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use sentrypeer_storage::event::Time;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::answer::{Answering, Caller, Early};
use crate::access::{Head, oauth_answer};
use crate::allow::{Change, change, list};
use crate::counters::Incident;
use crate::endpoint::Route;
use crate::exchange::Response;
use crate::limits::{REQUEST_BODY_BYTES_MAX, REQUEST_BODY_TIME_MAX};
use crate::token_file;

impl Answering {
    /// The whole body of a request, within its bounds.
    pub(super) async fn whole(&self, body: Incoming) -> Result<Bytes, Early> {
        let limited = Limited::new(body, REQUEST_BODY_BYTES_MAX).collect();
        let (status, reason) = match timeout(REQUEST_BODY_TIME_MAX, limited).await {
            Ok(Ok(body)) => return Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => (413, "The body is too long."),
            Ok(Err(_)) => (400, "The body broke off."),
            Err(_) => (408, "The body did not come in time."),
        };
        self.happened(Incident::BadBody);
        Err(Box::new(Response::error(status, reason)))
    }

    /// Answers a client that asks for a token.
    pub(super) fn token(
        &self,
        caller: &Caller,
        head: &Head<'_>,
        body: &[u8],
        now: Time,
    ) -> Response {
        let Ok(random) = token_file::random() else {
            return Response::error(503, "The system gives no random bytes.");
        };
        let (response, client) = oauth_answer(&self.access, head, body, &random, now);
        match client {
            Some(client) => {
                let from = caller.place.peer();
                log::info!(target: "audit", "{from}: a token for an hour issued to client {client}");
            }
            None => self.happened(Incident::Unauthorized),
        }
        response
    }

    /// Reads or changes the allow-list for who has been found to be allowed to. `from` says who that is.
    pub(super) async fn allow_list(
        &self,
        from: String,
        parts: &Parts,
        body: Bytes,
        now: Time,
    ) -> Response {
        let Some(book) = self.allow.as_ref().map(Arc::clone) else {
            return Response::error(
                404,
                "This node has its allow-list in its configuration alone.",
            );
        };
        let asked = parts.clone();
        let answered = spawn_blocking(move || {
            let wanted = match asked.method.as_str() {
                "POST" => Change::Add(&body),
                "DELETE" => Change::Remove(Route::of(asked.uri.path()).part()),
                method => {
                    let page = list(&*book, asked.uri.query().unwrap_or(""), now);
                    return if method == "HEAD" { page.without_body() } else { page };
                }
            };
            let (response, audit) = change(&*book, wanted, now);
            if let Some(audit) = audit {
                log::info!(target: "audit", "{from}: {audit}");
            }
            response
        });
        let failed = |_| Response::error(500, "This is a fault of the node. Its log says more.");
        answered.await.unwrap_or_else(failed)
    }
}
