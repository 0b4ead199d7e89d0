//! The one way to write: admit, append, sync, fold.
//!
//! In: what an op would be. Out: its seq, once it is as durable as was asked for, or an error and no
//! trace.
//!
//! Invariants:
//! * One thread at a time holds the writer; what it appends follows what is folded.
//! * Nothing is folded, and so nothing visible, before its line is synced.
//! * After a failed append or sync the handle writes no more: what is on the disk is unknown.

use super::Inner;
use super::admit::{self, Pending};
use super::check::CheckedOptions;
use super::write::stored_text;
use crate::error::{Error, ErrorCode, Result};
use crate::fold::fold;
use crate::hash::ZERO_HASH;
use crate::log::{Body, EncodedLine, encode_line};
use crate::op::{Item, Items, Nonce, Op, OpKind, Seq};
use crate::store::LogStore;
use crate::views::State;
use parking_lot::MutexGuard;
use std::borrow::Cow;
use std::ops::Range;

/// What the one who writes holds.
pub(super) struct Writer {
    /// Where lines go; None in memory.
    store: Option<Box<dyn LogStore>>,
    /// Why nothing may be written, if nothing may.
    refusal: Option<(ErrorCode, String)>,
    pending: Pending,
    scratch: String,
    payload: String,
    lines: String,
}

impl Writer {
    /// Makes the writer of a log in memory.
    pub fn memory() -> Self {
        Writer::new(None, None)
    }

    /// Makes the writer of a log on a disk.
    pub fn disk(store: Box<dyn LogStore>) -> Self {
        Writer::new(Some(store), None)
    }

    /// Makes a writer that refuses every write.
    pub fn refusing(code: ErrorCode, reason: String) -> Self {
        Writer::new(None, Some((code, reason)))
    }

    fn new(store: Option<Box<dyn LogStore>>, refusal: Option<(ErrorCode, String)>) -> Self {
        Writer {
            store,
            refusal,
            pending: Pending::default(),
            scratch: String::new(),
            payload: String::new(),
            lines: String::new(),
        }
    }

    /// Gives the lock on the directory back.
    pub fn close(&mut self) {
        if let Some(mut store) = self.store.take() {
            store.release();
        }
    }

    /// Syncs what was appended.
    pub fn sync(&mut self) -> Result<()> {
        match &mut self.store {
            Some(store) => store.sync().map_err(|error| Error::storage("sync the log", error)),
            None => Ok(()),
        }
    }
}

/// What an op would be.
pub(super) struct Draft<'a> {
    pub options: &'a CheckedOptions<'a>,
    /// The kind's name in the log.
    pub op: &'static str,
    pub items: Items<'a>,
    /// The payload's canonical text; texts of the items stand in it.
    pub payload: String,
    /// Preconditions: collection, id, expected seq.
    pub if_seqs: Vec<(&'a str, &'a str, Seq)>,
    /// Whether the op itself carries the provenance of the options.
    pub has_provenance: bool,
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// It will be this op.
    New(Seq),
    /// Its idempotency key stands for this op already: nothing is appended.
    Replayed(Seq),
}

struct Staged<'a> {
    op: Op<'a>,
    line: Range<usize>,
    hash: String,
}

/// Ops that are admitted one after another and made durable together.
pub(super) struct Group<'w, 'a> {
    inner: &'w Inner,
    writer: MutexGuard<'w, Writer>,
    staged: Vec<Staged<'a>>,
    now_seconds: f64,
}

impl Inner {
    /// Begins a group: takes the writer.
    ///
    /// Errors: `DatabaseClosed`, `ReadOnly`, `CommitUnknown` after a failed write.
    pub(super) fn begin_group<'a>(&self) -> Result<Group<'_, 'a>> {
        let mut writer = self.writer.lock();
        self.check_open()?;
        if let Some((code, reason)) = &writer.refusal {
            return Err(Error::new(*code, reason.clone()));
        }
        writer.lines.clear();
        writer.pending.clear();
        let now_seconds = self.options.clock.now_seconds();
        Ok(Group { inner: self, writer, staged: Vec::new(), now_seconds })
    }
}

impl<'w, 'a> Group<'w, 'a> {
    /// Returns the time of this group, in seconds since 1970.
    pub fn now_seconds(&self) -> f64 {
        self.now_seconds
    }

    /// Hands the state to `look`; nobody else writes meanwhile.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.state.read())
    }

    /// Lends a buffer for a payload; `Draft::payload` gives it back.
    pub fn payload_buffer(&mut self) -> String {
        let mut payload = std::mem::take(&mut self.writer.payload);
        payload.clear();
        payload
    }

    /// Admits a draft as the next op, after those staged already.
    ///
    /// Errors: `InvalidArgument` for a cause that is none, `IdempotencyConflict`, `ReplayError`,
    /// `PreconditionFailed`, `LimitExceeded`. The group is as before then.
    pub fn stage(&mut self, draft: Draft<'a>) -> Result<Admitted> {
        let outcome = self.try_stage(&draft);
        let Draft { options, mut items, payload, .. } = draft;
        self.writer.payload = payload;
        let (seq, nonce, line, encoded) = match outcome? {
            Outcome::Replayed(seq) => return Ok(Admitted::Replayed(seq)),
            Outcome::New { seq, nonce, line, encoded } => (seq, nonce, line, encoded),
        };
        shift_places(&mut items, encoded.payload_start);
        let op = Op {
            seq,
            client: Cow::Borrowed(options.client),
            nonce: Nonce::Integer(nonce.into()),
            idem: options.given.idem.as_deref().map(Cow::Borrowed),
            items,
        };
        self.staged.push(Staged { op, line, hash: encoded.hash });
        Ok(Admitted::New(seq))
    }

    /// Returns the stored text of the op that was staged last, if it is a put.
    pub fn last_staged_text(&self) -> Option<&str> {
        stored_text(&self.staged.last()?.op.items)
    }

    /// Notes what is staged, so that what is staged next is admitted after it.
    pub fn note_staged(&mut self) {
        if let Some(last) = self.staged.last() {
            self.writer.pending.note(&last.op);
        }
    }

    /// Appends and syncs what is staged, folds it, and so makes it visible.
    ///
    /// Errors: `CommitUnknown`; nothing is visible then, and nothing more is written.
    pub fn finish(mut self) -> Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let writer = &mut *self.writer;
        if let Some(store) = &mut writer.store {
            let written = store.append(writer.lines.as_bytes()).and_then(|()| store.sync());
            if let Err(error) = written {
                return Err(fail(writer, error));
            }
        }
        let mut state = self.inner.state.write();
        for staged in &mut self.staged {
            let line = writer.lines.get(staged.line.clone()).unwrap_or_default();
            publish(&mut state, &staged.op, line);
            state.head = std::mem::take(&mut staged.hash);
        }
        Ok(())
    }

    fn try_stage(&mut self, draft: &Draft<'_>) -> Result<Outcome> {
        let state = self.inner.state.read();
        let writer = &mut *self.writer;
        let (options, given) = (draft.options, draft.options.given);
        let pending = &writer.pending;
        if let Some(seq) = admit::replayed(&state, pending, given.idem.as_deref(), &draft.items)? {
            return Ok(Outcome::Replayed(seq));
        }
        let seq = state.views.seq + 1 + self.staged.len() as Seq;
        for item in draft.items.as_slice() {
            admit::causes(&item.caused_by, seq)?;
        }
        let nonce = admit::nonce(&state, pending, options.client, given.nonce)?;
        for (collection, id, expected) in &draft.if_seqs {
            let document = (*collection, *id);
            admit::precondition(&state, pending, self.now_seconds, document, Some(*expected))?;
        }
        let provenance = draft.has_provenance.then_some(given);
        let body = Body {
            seq,
            client: options.client,
            nonce,
            op: draft.op,
            payload: &draft.payload,
            ts: self.now_seconds,
            idem: given.idem.as_deref(),
            caused_by: provenance.map_or(&[], |given| &given.caused_by),
            evidence: provenance.and_then(|given| given.evidence.as_deref()),
            confidence: provenance.and_then(|given| given.confidence),
            valid_from: provenance.and_then(|given| given.valid_from.as_deref()),
            valid_to: provenance.and_then(|given| given.valid_to.as_deref()),
        };
        let prev_hash = match self.staged.last() {
            Some(last) => &last.hash,
            None if state.views.seq < 0 => ZERO_HASH,
            None => &state.head,
        };
        let start = writer.lines.len();
        let encoded = encode_line(&body, prev_hash, &mut writer.scratch, &mut writer.lines)?;
        let line = start..writer.lines.len();
        Ok(Outcome::New { seq, nonce, line, encoded })
    }
}

enum Outcome {
    New { seq: Seq, nonce: i64, line: Range<usize>, encoded: EncodedLine },
    Replayed(Seq),
}

/// Turns places in a payload into places in a line.
fn shift_places(items: &mut Items<'_>, payload_start: usize) {
    let shift = |item: &mut Item<'_>| {
        if let OpKind::Put(put) = &mut item.kind {
            // LINE_BYTES_MAX is far below 4 GiB.
            put.place.start += payload_start as u32;
        }
    };
    match items {
        Items::One(item) => shift(item),
        Items::Many(items) => items.iter_mut().for_each(shift),
    }
}

/// Folds an op whose line is in the log.
fn publish(state: &mut State, op: &Op<'_>, line: &str) {
    state.log.push_line(line);
    for (number, item) in op.items.as_slice().iter().enumerate() {
        if let OpKind::Put(put) = &item.kind {
            state.log.remember(op.seq, number as u32, &put.text);
        }
    }
    fold(&mut state.views, op);
}

/// Refuses further writes after one that failed, and says so.
fn fail(writer: &mut Writer, error: std::io::Error) -> Error {
    let reason = "an earlier write failed, so what is on the disk is unknown; reopen the database \
                  and retry with the same idem"
        .to_owned();
    writer.refusal = Some((ErrorCode::CommitUnknown, reason));
    Error::new(
        ErrorCode::CommitUnknown,
        "the write failed on its way to the disk and may or may not be there after reopening; \
         reopen the database and retry with the same idem",
    )
    .with_source(error)
}
