//! The feed of committed ops, in pages and as server-sent events.
//!
//! In: the seq of the last op that a client has. Out: every op after it, in order, each with its seq and its
//! hash, which is the head after it.
//!
//! Invariants:
//! * A page or a stream goes on exactly after the seq that it was given: no op is left out or sent twice.
//! * An op is sent only when it is committed.
//! * A client that does not read costs its connection and a window: ops are read when there is room for them, and a
//!   long one in parts.
//! * The log is read in short steps, of which few run at a time, and on no thread that serves.

use super::answer::{Answer, json};
use super::request::{At, Url};
use super::routes::{position_members, position_of};
use super::shapes;
use crate::refusal::{Code, Refusal, Result};
use crate::server::{Shared, timed_out};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use nedb_core::{Database, ErrorCode, Seq};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::IntoParams;

/// Ops in a page when no number is asked for.
const PAGE_COUNT: usize = 100;
/// Most ops in one page.
const PAGE_COUNT_MAX: usize = 10_000;
/// A page, or a part of the log, ends with the op that makes it this long.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// What is read at once for a stream, in bytes: with what waits to be sent a subscriber that reads nothing holds two
/// of them and a part of an op.
const WINDOW_BYTES: usize = 64 << 10;
/// A longer op is sent in parts of this length, or so many parts as it may have: it is read anew for each.
const PART_BYTES: usize = 256 << 10;
const PARTS_COUNT_MAX: usize = 16;
/// A stream that has nothing to say says so this often, so that a lost client is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const EVENT_STREAM: &str = "text/event-stream";

/// Which ops are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// The seq of the last op that the client has; -1, or left out, for none.
    #[param(minimum = -1)]
    after_seq: Option<i64>,
    /// The hash of that op, as the client has it: where the log has another one there it is another log, and the
    /// answer an error.
    #[param(min_length = 64, max_length = 64)]
    after_hash: Option<String>,
    /// Most ops in a page: 100 when left out, at most 10,000.
    limit: Option<usize>,
    /// How long an empty page waits for an op, in milliseconds; not at all when left out.
    wait_ms: Option<u64>,
}

/// Gives every committed op after a seq: a page of them, or, to `Accept: text/event-stream`, a stream.
#[utoipa::path(get, path = "/v1/databases/{name}/changes", tag = "changes",
    params(("name" = String, Path), ChangesQuery),
    responses((status = 200, description = "{changes, seq, head, more}: seq is where the next page goes on; or events `op` with the seq as their id", body = shapes::ChangeList),
        (status = 400, description = "after_seq is beyond the log", body = shapes::ErrorBody),
        (status = 412, description = "after_hash is not the hash at after_seq: it is another log", body = shapes::ErrorBody)))]
pub async fn changes(
    State(server): State<Shared>,
    At(served): At,
    Url(query): Url<ChangesQuery>,
    headers: HeaderMap,
) -> Answer {
    let is_stream = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains(EVENT_STREAM));
    let after_seq = match last_event_id(&headers)? {
        Some(seq) if is_stream => seq,
        _ => query.after_seq.unwrap_or(-1),
    };
    let feed = Feed {
        database: served.database.clone(),
        commits: served.commits.subscribe(),
        stop: server.stop.subscribe(),
        server,
        after_seq,
        sent_bytes: 0,
    };
    // What is dropped while it is fed must not be held open by the feed.
    drop(served);
    if let Some(hash) = &query.after_hash {
        feed.check_hash(query.after_seq.unwrap_or(-1), hash.clone()).await?;
    }
    feed.check_start()?;
    match is_stream {
        true => Ok(event_stream(feed)),
        false => feed.page(&query).await.map(json),
    }
}

/// Ops after a seq, as they are committed.
struct Feed {
    database: Database,
    commits: watch::Receiver<Seq>,
    stop: watch::Receiver<bool>,
    server: Shared,
    after_seq: Seq,
    /// How much of the op after it a stream has sent.
    sent_bytes: usize,
}

/// Ops that follow each other.
struct Page {
    ops: Vec<String>,
    /// Whether there are more after them.
    more: bool,
}

impl Feed {
    fn check_start(&self) -> Result<()> {
        let seq = self.database.seq();
        if (-1..=seq).contains(&self.after_seq) {
            return Ok(());
        }
        Err(Refusal::invalid(format!(
            "after_seq is {} and the last op is {seq}: this is not the log that it was read from, or \
             it has lost its end",
            self.after_seq
        )))
    }

    /// Checks that the log has an op that the client has: a seq alone fits any log that is long enough.
    async fn check_hash(&self, seq: Seq, hash: String) -> Result<()> {
        let database = self.database.clone();
        let is_there = move || {
            let is_in_it = (-1..=database.seq()).contains(&seq);
            Ok(is_in_it && position_of(&database, seq)?.hash == hash)
        };
        if self.server.feed_step(is_there).await? {
            return Ok(());
        }
        let message = format!(
            "after_hash is not the hash of op {seq} in this log: it is another one than the one that was read from"
        );
        Err(Refusal::new(Code::Engine(ErrorCode::PreconditionFailed), message))
    }

    /// Returns the next page as the text of an answer.
    async fn page(mut self, query: &ChangesQuery) -> Result<String> {
        let limit = query.limit.unwrap_or(PAGE_COUNT).min(PAGE_COUNT_MAX);
        let longest = self.server.config.limits.request_timeout / 2;
        let wait = Duration::from_millis(query.wait_ms.unwrap_or(0)).min(longest);
        let mut page = self.read(limit).await?;
        let waits = page.ops.is_empty() && !page.more && !wait.is_zero();
        if waits && self.wait(wait).await == Waited::Committed {
            page = self.read(limit).await?;
        }
        let database = self.database.clone();
        let after_seq = self.after_seq;
        self.step(move || page_text(&database, after_seq, &page)).await
    }

    /// Reads the next ops. Whatever is committed from here on will be noticed by `wait`.
    async fn read(&mut self, limit: usize) -> Result<Page> {
        self.commits.mark_unchanged();
        let (database, after_seq) = (self.database.clone(), self.after_seq);
        self.step(move || read_page(&database, after_seq, limit)).await
    }

    /// Runs a step of a page, for as long as a request may take.
    async fn step<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let timeout = self.server.config.limits.request_timeout;
        let step = tokio::time::timeout(timeout, self.server.feed_step(work)).await;
        step.unwrap_or_else(|_| Err(timed_out("the read took", timeout)))
    }

    /// Waits for a commit, for some time at most.
    async fn wait(&mut self, timeout: Duration) -> Waited {
        tokio::select! {
            changed = self.commits.changed() => match changed {
                Ok(()) => Waited::Committed,
                Err(_) => Waited::Ended,
            },
            _ = self.stop.wait_for(|stops| *stops) => Waited::Ended,
            () = tokio::time::sleep(timeout) => Waited::InVain,
        }
    }

    /// Returns the next piece of a stream; None at its end.
    async fn next_events(&mut self) -> Option<Bytes> {
        loop {
            self.commits.mark_unchanged();
            let (database, after_seq) = (self.database.clone(), self.after_seq);
            let sent_bytes = self.sent_bytes;
            let read = move || read_window(&database, after_seq, sent_bytes);
            // Whatever is wrong, the client comes back with the id of the last event and is told then.
            let window = self.server.feed_step(read).await.ok()?;
            (self.after_seq, self.sent_bytes) = (window.after_seq, window.sent_bytes);
            if window.events.len() >= WINDOW_BYTES && *self.stop.borrow() {
                // A stop does not wait for all that was: it goes on from the same place with the next server.
                return None;
            }
            if !window.events.is_empty() {
                return Some(window.events);
            }
            match self.wait(KEEP_ALIVE).await {
                Waited::Committed => {}
                Waited::InVain => return Some(Bytes::from_static(b":\n\n")),
                Waited::Ended => return None,
            }
        }
    }
}

/// A part of a stream, and where the next one goes on.
struct Window {
    events: Bytes,
    after_seq: Seq,
    sent_bytes: usize,
}

#[derive(PartialEq)]
enum Waited {
    Committed,
    InVain,
    /// The database or the server is going.
    Ended,
}

fn event_stream(feed: Feed) -> Response {
    let begin = stream::once(async { Ok(Bytes::from_static(b"retry: 1000\n\n")) });
    let events = stream::unfold(feed, |mut feed| async {
        let piece = feed.next_events().await?;
        Some((Ok::<Bytes, Infallible>(piece), feed))
    });
    let mut response = Response::new(Body::from_stream(stream::StreamExt::chain(begin, events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads what a client that comes back says it has.
fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(seq) => Ok(Some(seq)),
        None => Err(Refusal::invalid("Last-Event-ID is the seq of the last op that was read")),
    }
}

fn read_page(database: &Database, after_seq: Seq, limit: usize) -> Result<Page> {
    let (mut ops, mut bytes) = (Vec::new(), 0);
    let mut seq = after_seq + 1;
    while ops.len() < limit && bytes < PAGE_BYTES_MAX {
        let Some(op) = database.op(seq)? else { return Ok(Page { ops, more: false }) };
        bytes += op.len();
        ops.push(op);
        seq += 1;
    }
    Ok(Page { ops, more: seq <= database.seq() })
}

/// Reads what is sent at once of a stream: ops until a window is full, and of one that is longer a part.
fn read_window(database: &Database, mut after_seq: Seq, mut sent_bytes: usize) -> Result<Window> {
    let mut events = Vec::new();
    while events.len() < WINDOW_BYTES {
        let Some(op) = database.op(after_seq + 1)? else { break };
        if sent_bytes == 0 {
            // An op is one line, so it is the data of one event as it is.
            events
                .extend_from_slice(format!("id: {}\nevent: op\ndata: ", after_seq + 1).as_bytes());
        }
        let at_once = PART_BYTES.max(op.len().div_ceil(PARTS_COUNT_MAX));
        let rest = op.as_bytes().get(sent_bytes..).unwrap_or_default();
        if rest.len() > at_once {
            events.extend_from_slice(rest.get(..at_once).unwrap_or_default());
            sent_bytes += at_once;
            break;
        }
        events.extend_from_slice(rest);
        events.extend_from_slice(b"\n\n");
        (after_seq, sent_bytes) = (after_seq + 1, 0);
    }
    // It may be held for long.
    events.shrink_to_fit();
    Ok(Window { events: Bytes::from(events), after_seq, sent_bytes })
}

/// Spells a page, with the seq that the next one goes on from and the head after it.
fn page_text(database: &Database, after_seq: Seq, page: &Page) -> Result<String> {
    let seq = after_seq + page.ops.len() as Seq;
    let place = position_of(database, seq)?;
    let (ops, more, place) = (page.ops.join(","), page.more, position_members(&place));
    Ok(format!(r#"{{"changes":[{ops}],{place},"more":{more}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nedb_core::{Options, WriteOptions};

    fn database(count: usize, document: &str) -> Database {
        let database = Database::in_memory(Options::default()).unwrap();
        for number in 0..count {
            database.put("c", &number.to_string(), document, &WriteOptions::default()).unwrap();
        }
        database
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_or_a_repeat() {
        let database = database(7, "{}");
        let (mut after_seq, mut seqs) = (-1, Vec::new());
        loop {
            let page = read_page(&database, after_seq, 3).unwrap();
            for op in &page.ops {
                let op: serde_json::Value = serde_json::from_str(op).unwrap();
                seqs.push(op["seq"].as_i64().unwrap());
            }
            after_seq += page.ops.len() as Seq;
            if !page.more {
                break;
            }
        }
        assert_eq!(seqs, [0, 1, 2, 3, 4, 5, 6]);
        let text = page_text(&database, 3, &read_page(&database, 3, 2).unwrap()).unwrap();
        let page: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((page["seq"].as_i64(), page["more"].as_bool()), (Some(5), Some(true)));
        assert_eq!(page["head"], page["changes"][1]["hash"]);
    }

    #[test]
    fn a_page_is_bounded_in_bytes_and_has_one_op_at_least() {
        let long = format!("{{\"t\":\"{}\"}}", "x".repeat(PAGE_BYTES_MAX));
        let database = database(3, &long);
        let page = read_page(&database, -1, 10).unwrap();
        assert_eq!((page.ops.len(), page.more), (1, true));
    }

    #[test]
    fn a_stream_is_the_same_however_long_its_ops_are_and_its_windows_are_bounded() {
        let long_bytes = PART_BYTES * (PARTS_COUNT_MAX - 1);
        for text_bytes in [10, WINDOW_BYTES / 3, WINDOW_BYTES - 200, PART_BYTES + 1, long_bytes] {
            let database = database(5, &format!("{{\"t\":\"{}\"}}", "é".repeat(text_bytes / 2)));
            let (mut after_seq, mut sent_bytes, mut stream) = (-1, 0, Vec::new());
            loop {
                let window = read_window(&database, after_seq, sent_bytes).unwrap();
                if window.events.is_empty() {
                    break;
                }
                assert!(window.events.len() <= WINDOW_BYTES + PART_BYTES + 200, "{text_bytes}");
                stream.extend_from_slice(&window.events);
                (after_seq, sent_bytes) = (window.after_seq, window.sent_bytes);
            }
            let op = |seq: Seq| database.op(seq).unwrap().unwrap();
            let event = |seq: Seq| format!("id: {seq}\nevent: op\ndata: {}\n\n", op(seq));
            assert!(stream == (0..5).map(event).collect::<String>().into_bytes(), "{text_bytes}");
        }
    }

    #[test]
    fn a_page_of_no_op_says_whether_there_are_more() {
        let page = read_page(&database(1, "{}"), -1, 0).unwrap();
        assert_eq!((page.ops.len(), page.more), (0, true));
        assert!(!read_page(&database(1, "{}"), 0, 0).unwrap().more);
    }

    #[test]
    fn an_empty_log_has_an_empty_page() {
        let database = database(0, "{}");
        let text = page_text(&database, -1, &read_page(&database, -1, 10).unwrap()).unwrap();
        let expected =
            format!(r#"{{"changes":[],"seq":-1,"head":"{}","more":false}}"#, "0".repeat(64));
        assert_eq!(text, expected);
    }
}
