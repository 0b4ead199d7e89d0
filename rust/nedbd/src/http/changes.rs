//! The feed of committed ops, in pages and as server-sent events.
//!
//! In: the seq of the last op that a client has. Out: every op after it, in order, each with its seq and its
//! hash, which is the head after it.
//!
//! Invariants:
//! * A page or a stream goes on exactly after the seq that it was given: no op is left out or sent twice.
//! * An op is sent only when it is committed.
//! * A client that does not read costs its connection: ops are read when there is room for them.

use super::answer::{Answer, json};
use super::request::{At, Url};
use super::routes::{position_members, position_of};
use super::shapes;
use crate::refusal::{Refusal, Result};
use crate::server::Shared;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use nedb_core::{Database, Seq};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::IntoParams;

/// Ops in a page when no number is asked for.
const PAGE_COUNT: usize = 100;
/// Most ops in one page.
const PAGE_COUNT_MAX: usize = 10_000;
/// A page ends with the op that makes it this long.
const PAGE_BYTES_MAX: usize = 4 << 20;
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
    /// Most ops in a page: 100 when left out, at most 10,000.
    limit: Option<usize>,
    /// How long an empty page waits for an op, in milliseconds; not at all when left out.
    wait_ms: Option<u64>,
}

/// Gives every committed op after a seq: a page of them, or, to `Accept: text/event-stream`, a stream.
#[utoipa::path(get, path = "/v1/databases/{name}/changes", tag = "changes",
    params(("name" = String, Path), ChangesQuery),
    responses((status = 200, description = "{changes, seq, head, more}: seq is where the next page goes on; or events `op` with the seq as their id", body = shapes::ChangeList),
        (status = 400, description = "after_seq is beyond the log", body = shapes::ErrorBody)))]
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
    };
    feed.check_start()?;
    // What is dropped while it is fed must not be held open by the feed.
    drop(served);
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

    /// Returns the next page as the text of an answer.
    async fn page(mut self, query: &ChangesQuery) -> Result<String> {
        let limit = query.limit.unwrap_or(PAGE_COUNT).clamp(1, PAGE_COUNT_MAX);
        let longest = self.server.config.limits.request_timeout / 2;
        let wait = Duration::from_millis(query.wait_ms.unwrap_or(0)).min(longest);
        let mut page = self.read(limit).await?;
        if page.ops.is_empty() && !wait.is_zero() && self.wait(wait).await == Waited::Committed {
            page = self.read(limit).await?;
        }
        let database = self.database.clone();
        let after_seq = self.after_seq;
        self.server.read(move || page_text(&database, after_seq, &page)).await
    }

    /// Reads the next ops. Whatever is committed from here on will be noticed by `wait`.
    async fn read(&mut self, limit: usize) -> Result<Page> {
        self.commits.mark_unchanged();
        let (database, after_seq) = (self.database.clone(), self.after_seq);
        self.server.read(move || read_page(&database, after_seq, limit)).await
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
            // Whatever is wrong, the client comes back with the id of the last event and is told then.
            let page = self.read(PAGE_COUNT_MAX).await.ok()?;
            if !page.ops.is_empty() {
                return Some(self.events(&page));
            }
            match self.wait(KEEP_ALIVE).await {
                Waited::Committed => {}
                Waited::InVain => return Some(Bytes::from_static(b":\n\n")),
                Waited::Ended => return None,
            }
        }
    }

    fn events(&mut self, page: &Page) -> Bytes {
        let mut text = String::new();
        for op in &page.ops {
            self.after_seq += 1;
            // An op is one line, so it is the data of one event as it is.
            text.push_str(&format!("id: {}\nevent: op\ndata: {op}\n\n", self.after_seq));
        }
        Bytes::from(text)
    }
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
    fn an_empty_log_has_an_empty_page() {
        let database = database(0, "{}");
        let text = page_text(&database, -1, &read_page(&database, -1, 10).unwrap()).unwrap();
        let expected =
            format!(r#"{{"changes":[],"seq":-1,"head":"{}","more":false}}"#, "0".repeat(64));
        assert_eq!(text, expected);
    }
}
