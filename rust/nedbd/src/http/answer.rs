//! Texts as bodies, refusals as statuses.
//!
//! Invariants:
//! * Every refusal is `{"error": {"code", "message"}}`, with `position` for a query.
//! * The status of a code of the engine is the one that `tests/conformance/errors.toml` gives.

use crate::init::quoted;
use crate::refusal::{Code, Refusal};
use crate::server::AnswerPlaces;
use axum::body::{Body, HttpBody};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use nedb_core::ErrorCode;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What a request is counted with whose client left before the answer: a status that no answer has, and that others
/// count with as well.
pub const CLIENT_LEFT: u16 = 499;
/// How much of a long answer is handed on at once.
const SENT_BYTES: usize = 64 << 10;

/// What a handler returns.
pub type Answer = crate::refusal::Result<Response>;

/// Makes an answer of a JSON text.
pub fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // Whoever stands in between must not answer with what the database held before.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Makes the answer of something that was made.
pub fn created(text: String) -> Response {
    let mut response = json(text);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// Makes the answer to whoever asks for more than health where all other places are taken.
pub fn no_place() -> Response {
    let message = "as many connections are open as there may be";
    Refusal::new(Code::TooManyRequests, message).into_response()
}

/// Returns the status of a code.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::Engine(code) => engine_status(code),
        Code::Unauthorized => StatusCode::UNAUTHORIZED,
        Code::OriginRefused => StatusCode::FORBIDDEN,
        Code::RouteNotFound | Code::DatabaseNotFound | Code::DocumentNotFound => {
            StatusCode::NOT_FOUND
        }
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::DatabaseExists => StatusCode::CONFLICT,
        Code::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::NotReady => StatusCode::SERVICE_UNAVAILABLE,
        Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Code::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn engine_status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidArgument | ErrorCode::NqlError => StatusCode::BAD_REQUEST,
        ErrorCode::LimitExceeded => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::ReplayError | ErrorCode::IdempotencyConflict => StatusCode::CONFLICT,
        ErrorCode::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorCode::DatabaseLocked => StatusCode::LOCKED,
        ErrorCode::ReadOnly => StatusCode::FORBIDDEN,
        ErrorCode::TimedOut => StatusCode::REQUEST_TIMEOUT,
        // Nobody is left to read it; proxies write it so.
        ErrorCode::Cancelled => client_left(),
        ErrorCode::DatabaseClosed
        | ErrorCode::KeyRequired
        | ErrorCode::WrongKey
        | ErrorCode::PlainDatabase => StatusCode::SERVICE_UNAVAILABLE,
        // What is not known here yet is no fault of the client.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn client_left() -> StatusCode {
    StatusCode::from_u16(CLIENT_LEFT).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

/// Makes an answer of a JSON text that may be long, and holds its bytes' places until it is sent or given up.
pub fn held_json(text: String, places: Option<AnswerPlaces>) -> Response {
    let Some(places) = places else { return json(text) };
    let mut response = json(String::new());
    *response.body_mut() = Body::new(HeldBody { rest: Bytes::from(text), _places: places });
    response
}

/// A text on its way to a client, some of it at a time, and the places of its bytes.
struct HeldBody {
    rest: Bytes,
    _places: AnswerPlaces,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let bytes_count = self.rest.len().min(SENT_BYTES);
        // A copy: what waits to be sent when the body is gone must not keep all of it.
        let piece = Bytes::copy_from_slice(&self.rest.split_to(bytes_count));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// Returns a refusal as JSON text.
pub fn error_text(refusal: &Refusal) -> String {
    let (code, message) = (refusal.code.as_str(), quoted(&refusal.message));
    let position = refusal.position.map_or(String::new(), |at| {
        format!(
            r#","position":{{"column":{},"line":{},"offset":{}}}"#,
            at.column, at.line, at.offset_bytes
        )
    });
    format!(r#"{{"error":{{"code":"{code}","message":{message}{position}}}}}"#)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(error_text(&self));
        let status = status(self.code);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.code, Code::NotReady | Code::TooManyRequests) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status.is_server_error() && self.code != Code::NotReady {
            let (code, message) = (self.code.as_str(), &self.message);
            tracing::error!(target: crate::logs::OPERATION, code, message, "a request failed");
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nedb_core::QueryPosition;

    #[test]
    fn statuses_are_those_of_the_table_of_errors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance/errors.toml");
        let table: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        let errors = table["error"].as_array().unwrap();
        assert_eq!(errors.len(), ErrorCode::ALL.len());
        for (error, code) in errors.iter().zip(ErrorCode::ALL) {
            assert_eq!(error["code"].as_str(), Some(code.as_str()));
            let expected = error["http"].as_integer().unwrap();
            assert_eq!(i64::from(status(Code::Engine(code)).as_u16()), expected, "{code}");
        }
    }

    #[test]
    fn a_code_of_the_server_is_none_of_the_engine() {
        for own in Code::OWN {
            assert!(ErrorCode::ALL.iter().all(|code| code.as_str() != own.as_str()), "{own:?}");
            assert!(status(own).as_u16() >= 400);
        }
    }

    #[test]
    fn an_error_is_json_whatever_it_says() {
        let position = QueryPosition { offset_bytes: 4, line: 1, column: 5 };
        let refusal = Refusal {
            position: Some(position),
            ..Refusal::new(Code::Engine(ErrorCode::NqlError), "found \"\n\"")
        };
        let value: serde_json::Value = serde_json::from_str(&error_text(&refusal)).unwrap();
        assert_eq!(value["error"]["message"], "found \"\n\"");
        assert_eq!(value["error"]["position"]["column"], 5);
        assert_eq!(value["error"]["code"], "NQL_ERROR");
    }
}
