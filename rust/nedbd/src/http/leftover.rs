//! What of a request's body nobody has read.
//!
//! A client may send a body to a path that reads none, or one that is refused before it is read. To close the
//! connection on it would lose the answer, since a system throws away what it holds for whom it resets; to
//! leave it would make it the next request. So it is read and thrown away, up to a bound and for some time,
//! and only then the connection ends; who goes on sending is read from for some time still, once it is answered.
//!
//! In: requests and their answers. Out: the answers, which say `Connection: close` where something is left.

use crate::connections::Unread;
use crate::places::Activity;
use crate::server::Server;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// How much is thrown away, in longest bodies: who sends more does not stop soon.
const DISCARDED_BODIES_MAX: usize = 2;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Has a request answered, and reads what that left of its body.
pub async fn discard_leftover<F: Future<Output = Response>>(
    server: &Server,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    if request.body().is_end_stream() {
        return answer(request).await;
    }
    // Whoever asks first whether to send it has not begun, and need not.
    let waits_for_leave = request.headers().contains_key(EXPECT);
    let unread = request.extensions().get::<Unread>().cloned();
    let activity = request.extensions().get::<Activity>().cloned();
    let (give_back, given_back) = oneshot::channel();
    let request = request.map(|body| Body::new(Returned::new(body, give_back)));
    let mut response = answer(request).await;
    let Ok(leftover) = given_back.await else { return response };
    // Who was too slow is not waited for again.
    let is_given_up = waits_for_leave || response.status() == StatusCode::REQUEST_TIMEOUT;
    // Whoever sends on what nobody wants gives way to those who ask for something.
    activity.inspect(Activity::end);
    let limits = &server.config.limits;
    let discarding = discard(leftover, limits.body_bytes_max * DISCARDED_BODIES_MAX);
    let timeout = DISCARD_TIMEOUT.min(limits.request_timeout);
    if is_given_up || tokio::time::timeout(timeout, discarding).await != Ok(true) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        unread.inspect(Unread::note);
    }
    response
}

/// Reads a body to its end; false when it is longer than that.
async fn discard(mut body: Body, bytes_max: usize) -> bool {
    let mut left = bytes_max;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

/// A body that comes back when whoever has it lets go of it before its end.
struct Returned {
    body: Option<Body>,
    give_back: Option<oneshot::Sender<Body>>,
    has_ended: bool,
}

impl Returned {
    fn new(body: Body, give_back: oneshot::Sender<Body>) -> Self {
        Returned { body: Some(body), give_back: Some(give_back), has_ended: false }
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let (Some(body), Some(give_back), false) =
            (self.body.take(), self.give_back.take(), self.has_ended)
        {
            // The request itself may be gone.
            let _taken_or_not = give_back.send(body);
        }
    }
}

impl HttpBody for Returned {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        self.has_ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_is_let_go_of_comes_back() {
        let (give_back, given_back) = oneshot::channel();
        drop(Body::new(Returned::new(Body::from("left"), give_back)));
        assert!(discard(given_back.await.unwrap(), 4).await);
        let (give_back, given_back) = oneshot::channel();
        drop(Returned::new(Body::from("too long"), give_back));
        assert!(!discard(given_back.await.unwrap(), 4).await);
    }

    #[tokio::test]
    async fn a_body_that_was_read_does_not() {
        let (give_back, given_back) = oneshot::channel();
        let body = Body::new(Returned::new(Body::from("read"), give_back));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "read");
        assert!(given_back.await.is_err());
    }
}
