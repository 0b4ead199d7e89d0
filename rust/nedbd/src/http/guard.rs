//! What every request passes: tokens, origins, counts.

use super::answer::CLIENT_LEFT;
use super::leftover::discard_leftover;
use super::malformed::malformed;
use crate::logs::REQUEST;
use crate::metrics::Answered;
use crate::refusal::{Code, Refusal};
use crate::server::{Server, Shared};
use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The one path that is answered without a token.
pub const HEALTH: &str = "/health";

/// What every request passes, from the outside in: it is counted, what is left of its body is thrown away, and
/// what is none, or comes without the token or from a page of another origin is refused. One layer, since each costs a copy of
/// what it stands before.
pub async fn pass(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let observed = Observed::begin(&server, &request);
    // What answers browsers answers every OPTIONS: it must not come to it without being asked who it is.
    let is_checked_later =
        !server.config.cors_origins.is_empty() && request.method() != Method::OPTIONS;
    let answer = |request: Request| async {
        match malformed(&request) {
            // Whoever looks at its Host later looks at one.
            Some(refusal) => refusal.into_response(),
            None if is_checked_later => next.run(request).await,
            None => checked(&server, request, next).await,
        }
    };
    let response = answer_or_defect(discard_leftover(&server, request, answer)).await;
    observed.end(&response);
    response
}

/// Answers that there is a defect where an answer panics, on the thread of the connection as on any other: its
/// client is not left without one.
async fn answer_or_defect(answer: impl Future<Output = Response>) -> Response {
    // What a panic has left half done is behind locks, as when a thread panics.
    let answer = AssertUnwindSafe(answer).catch_unwind().await;
    answer.unwrap_or_else(|_panic| Refusal::defect().into_response())
}

/// What is known of a request before it is answered. It is counted once, also where it is let go of because its
/// client left.
struct Observed<'s> {
    server: &'s Server,
    begun: Instant,
    method: &'static str,
    /// The path as it was asked for may hold ids; the route holds none.
    matched: Option<MatchedPath>,
    received_bytes: u64,
    is_counted: bool,
}

impl<'s> Observed<'s> {
    fn begin(server: &'s Server, request: &Request) -> Observed<'s> {
        Observed {
            server,
            begun: Instant::now(),
            method: known_method(request.method()),
            matched: request.extensions().get::<MatchedPath>().cloned(),
            received_bytes: request.body().size_hint().exact().unwrap_or_default(),
            is_counted: false,
        }
    }

    fn end(mut self, response: &Response) {
        let sent_bytes = response.body().size_hint().exact().unwrap_or_default();
        self.count(response.status().as_u16(), sent_bytes);
    }

    /// Counts the request and says in the log what became of it.
    fn count(&mut self, status: u16, sent_bytes: u64) {
        self.is_counted = true;
        let (method, received_bytes) = (self.method, self.received_bytes);
        let route = self.matched.as_ref().map_or("unknown", MatchedPath::as_str);
        let elapsed = self.begun.elapsed();
        let answered = Answered { method, route, status, elapsed, received_bytes, sent_bytes };
        self.server.metrics.answered(&answered);
        let elapsed_us = elapsed.as_micros() as u64;
        tracing::info!(target: REQUEST, method, route, status, elapsed_us, received_bytes, sent_bytes);
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(CLIENT_LEFT, 0);
        }
    }
}

/// Returns the name of a method; what a client made up is one name.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PUT" => "PUT",
        _ => "OTHER",
    }
}

/// Refuses what comes without the token or from a page of another origin.
pub async fn check(State(server): State<Shared>, request: Request, next: Next) -> Response {
    checked(&server, request, next).await
}

async fn checked(server: &Server, request: Request, next: Next) -> Response {
    match objection(server, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

/// Tells why a request is refused, if it is. The token is asked first: whoever has none learns nothing else.
fn objection(server: &Server, request: &Request) -> Option<Refusal> {
    let headers = request.headers();
    // A browser asks whether a page may ask, and says no token then.
    let is_question = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && server.origins.names(headers);
    if let Some(token) = &server.config.token
        && request.uri().path() != HEALTH
        && !is_question
        && !token.is_in(headers)
    {
        let message = "this server asks for a token: Authorization: Bearer <token>";
        return Some(Refusal::new(Code::Unauthorized, message));
    }
    let why = server.origins.objection(headers)?;
    Some(Refusal::new(Code::OriginRefused, why))
}

/// Makes what answers the questions of browsers, for the origins that are named.
pub fn cors(origins: &[String]) -> CorsLayer {
    let named: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(named),
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            header::IF_RANGE,
            header::RANGE,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            header::ACCEPT_RANGES,
            header::CONTENT_RANGE,
            header::ETAG,
            HeaderName::from_static("nedb-file-version"),
            HeaderName::from_static("nedb-file-seq"),
            HeaderName::from_static("nedb-file-tier"),
        ])
        .max_age(Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let response = answer_or_defect(async { panic!("on purpose") }).await;
        assert_eq!(response.status(), 500);
        let response = answer_or_defect(async { "fine".into_response() }).await;
        assert_eq!(response.status(), 200);
    }
}
