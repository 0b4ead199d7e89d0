//! Connections: accepted where there is a place for them, each with its bounds of size and time.
//!
//! In: a listener. Out: requests to the service, answers to clients.
//!
//! Invariants:
//! * A client that does not shake hands has no connection for long.
//! * A client that sends nothing, or takes nothing, costs a connection and no thread, and not for ever; one that sends
//!   nothing is closed as soon as another needs its place.
//! * What of a body was not read is never taken for a request: the connection ends instead, and only once the client
//!   can have read why.
//! * After a stop no connection is accepted, those that are idle end at once, and a client that takes nothing is not
//!   waited for.

use crate::http::{HEALTH, no_place};
use crate::places::{Activity, Place, Places};
use crate::server::Shared;
use crate::tls::Tls;
use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

/// What a client gets for whom there is no place.
const NO_PLACE: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n\
    connection: close\r\nretry-after: 1\r\ncontent-length: 96\r\n\r\n\
    {\"error\":{\"code\":\"TOO_MANY_REQUESTS\",\"message\":\"as many connections are open as \
    there may be\"}}\n";
/// How many clients without a place are told so at a time; the others are not answered.
const TOLD_COUNT_MAX: usize = 1_024;
/// How long one of them has to read it.
const TOLD_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client has to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client that was answered may go on sending what nobody reads.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of that is taken at a time.
const LINGER_BYTES: usize = 16 << 10;
/// How long a client may take nothing of its answer while the server stops.
const STILL_AT_STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Says of a connection that its client was answered before all was read that it sends.
#[derive(Clone, Debug, Default)]
pub struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Notes that it is so.
    pub fn note(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_noted(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How a listener was served to its end.
pub struct Ended {
    /// Whether every request was answered.
    pub is_drained: bool,
    /// Until when the stop may wait for anything else.
    pub deadline: Instant,
}

/// Serves a listener until the server is to stop, then waits for what is in flight.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    server: &Shared,
) -> Ended {
    let graceful = GracefulShutdown::new();
    let limits = &server.config.limits;
    let places = Places::new(limits.connections_count_max, limits.peer_connections_count_max);
    let told = Arc::new(Semaphore::new(TOLD_COUNT_MAX));
    let mut stop = server.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stops| *stops) => break,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(target: crate::logs::OPERATION, %error, "no connection accepted");
                // Out of file descriptors: some come back when others end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        match places.admit(address.ip()) {
            Some(place) => {
                let client = Client {
                    watcher: graceful.watcher(),
                    router: router.clone(),
                    server: Arc::clone(server),
                    place,
                };
                tokio::spawn(client.serve(stream, tls.clone()));
            }
            None => {
                server.metrics.refused();
                if let Ok(place) = Arc::clone(&told).try_acquire_owned() {
                    tokio::spawn(async move {
                        let _told_or_not = tokio::time::timeout(TOLD_TIMEOUT, refuse(stream)).await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop(listener);
    let deadline = Instant::now() + server.config.stop_timeout;
    let is_drained = tokio::time::timeout_at(deadline, graceful.shutdown()).await.is_ok();
    if !is_drained {
        tracing::error!(target: crate::logs::OPERATION, "some requests did not end in time");
    }
    Ended { is_drained, deadline }
}

/// What serves one client.
struct Client {
    watcher: Watcher,
    router: Router,
    server: Shared,
    place: Place,
}

impl Client {
    async fn serve(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        let (server, activity) = (Arc::clone(&self.server), self.place.activity());
        server.metrics.connected();
        tokio::select! {
            () = self.converse(stream, tls) => {}
            () = activity.given_up() => server.metrics.given_up(),
            () = stands_still_at_stop(&server, &activity) => {}
        }
        server.metrics.disconnected();
    }

    async fn converse(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        // An answer is one piece, so there is nothing to wait for.
        let _slower_without = stream.set_nodelay(true);
        let unread = Unread::default();
        let timeout = self.server.config.limits.idle_timeout;
        let stream = Paced::new(stream, timeout, unread.clone(), self.place.activity());
        match tls {
            None => self.answer(stream, unread).await,
            Some(tls) => match self.shake_hands(stream, &tls).await {
                Some(stream) => self.answer(stream, unread).await,
                None => self.server.metrics.handshake_failed(),
            },
        }
    }

    /// Returns the stream that the client and the server have agreed on; None when it did not come to that.
    async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        tls: &Tls,
    ) -> Option<TlsStream<S>> {
        let timeout = HANDSHAKE_TIMEOUT.min(self.server.config.limits.idle_timeout);
        let mut stop = self.server.stop.subscribe();
        tokio::select! {
            shaken = tokio::time::timeout(timeout, tls.acceptor().accept(stream)) => shaken.ok()?.ok(),
            _ = stop.wait_for(|stops| *stops) => None,
        }
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        unread: Unread,
    ) {
        let limits = self.server.config.limits.clone();
        let Client { watcher, router, server, place } = self;
        let (router, activity) = (TowerToHyperService::new(router), place.activity());
        let is_for_health = place.is_for_health();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let turn = Turn::begin(&activity);
            let is_refused = is_for_health && request.uri().path() != HEALTH;
            if is_refused {
                server.metrics.refused();
                unread.note();
            }
            request.extensions_mut().insert(unread.clone());
            request.extensions_mut().insert(activity.clone());
            // Whoever is refused asks for nothing: what is not polled is not begun.
            let answer = router.call(request);
            async move {
                let turn = turn?;
                let mut response = match is_refused {
                    true => no_place(),
                    false => answer.await.unwrap_or_else(|never| match never {}),
                };
                if is_for_health {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, io::Error>(response.map(|body| Owed { body, _turn: turn }))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle_timeout)
            // What is read ahead of a head, and what waits to be sent before more of an answer is asked for.
            .max_buf_size(limits.header_bytes_max)
            .serve_connection(TokioIo::new(stream), service);
        // Whatever ended it, there is nobody left to tell.
        let _ended = watcher.watch(connection).await;
        drop(place);
    }
}

/// Returns when the server stops and a client takes nothing of what waits for it: a stop would wait as long as it may.
async fn stands_still_at_stop(server: &Shared, activity: &Activity) {
    let mut stop = server.stop.subscribe();
    let is_to_stop = stop.wait_for(|stops| *stops).await.is_ok();
    debug_assert!(is_to_stop, "the server, which tells of the stop, is there");
    activity.stands_still(STILL_AT_STOP_TIMEOUT).await;
}

/// A request that is owed an answer.
struct Turn(Activity);

impl Turn {
    /// Begins one; an error on a connection that gave up its place before the request was whole.
    fn begin(activity: &Activity) -> io::Result<Turn> {
        match activity.begin() {
            true => Ok(Turn(activity.clone())),
            false => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer, which is owed until it is handed over.
struct Owed<B> {
    body: B,
    _turn: Turn,
}

impl<B: Body + Unpin> Body for Owed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells a client that there is no place for it.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(NO_PLACE).await?;
    stream.shutdown().await?;
    // To close while the client still sends would take back what was just said.
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// A stream whose writes must get on: a client that takes nothing for some time is let go. One that was answered while
/// it sends is let go once it has stopped, or after some time: to close while it sends would take the answer back.
struct Paced<S> {
    stream: S,
    timeout: Duration,
    /// Runs while a write waits, and while what nobody reads is thrown away.
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
    unread: Unread,
    activity: Activity,
    is_shut_down: bool,
}

impl<S> Paced<S> {
    fn new(stream: S, timeout: Duration, unread: Unread, activity: Activity) -> Self {
        let deadline = Box::pin(tokio::time::sleep(timeout));
        Paced {
            stream,
            timeout,
            deadline,
            is_waiting: false,
            unread,
            activity,
            is_shut_down: false,
        }
    }

    /// Notes how a write went; an error once it has waited too long.
    fn note<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.is_waiting {
                self.is_waiting = false;
                self.activity.note_sending(false);
            }
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.activity.note_sending(true);
            self.deadline.as_mut().reset(Instant::now() + self.timeout);
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.note(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut_down {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.is_shut_down = true;
            let timeout = LINGER_TIMEOUT.min(self.timeout);
            self.deadline.as_mut().reset(Instant::now() + timeout);
        }
        if !self.unread.is_noted() {
            return Poll::Ready(Ok(()));
        }
        self.linger(context)
    }
}

impl<S: AsyncRead + Unpin> Paced<S> {
    /// Throws away what a client still sends, until it has stopped or its time is up.
    fn linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ignored = [0; LINGER_BYTES];
        while self.deadline.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut ignored);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ended => return Poll::Ready(Ok(())),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_without_a_place_gets_is_whole() {
        let text = std::str::from_utf8(NO_PLACE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(value["error"]["code"], "TOO_MANY_REQUESTS");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_let_go() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut paced =
            Paced::new(ours, Duration::from_secs(5), Unread::default(), Activity::default());
        paced.write_all(&[0; 16]).await.unwrap();
        let begun = Instant::now();
        let error = paced.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_was_answered_while_it_sends_is_read_until_it_stops() {
        for (unread, sends_on, waited_s) in [(false, true, 0), (true, false, 0), (true, true, 5)] {
            let (ours, mut theirs) = tokio::io::duplex(16);
            let noted = Unread::default();
            if unread {
                noted.note();
            }
            let mut paced = Paced::new(ours, Duration::from_secs(60), noted, Activity::default());
            let sending = tokio::spawn(async move {
                for _ in 0..if sends_on { usize::MAX } else { 100 } {
                    theirs.write_all(&[0; 100]).await?;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                io::Result::Ok(())
            });
            let begun = Instant::now();
            paced.shutdown().await.unwrap();
            assert_eq!(begun.elapsed().as_secs(), waited_s);
            drop(paced);
            // Whoever is not read any more is told so when the stream is gone.
            assert_eq!(sending.await.unwrap().is_ok(), unread && !sends_on);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_gets_on_is_waited_for() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut paced =
            Paced::new(ours, Duration::from_secs(5), Unread::default(), Activity::default());
        let reading = tokio::spawn(async move {
            let mut read = [0; 16];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                theirs.read_exact(&mut read).await.unwrap();
            }
        });
        paced.write_all(&[0; 128]).await.unwrap();
        reading.await.unwrap();
    }
}
