//! Ops that one call admits: all of them or none.
//!
//! In: drafts of ops. Out: lines, appended to the batch that is being gathered, or folded at once in
//! memory.
//!
//! Invariants:
//! * A group that is dropped before it is finished leaves no trace.
//! * What is admitted follows the last op that was admitted by anyone, folded or not.

use super::admission::{self, Admission, Refusal};
use super::engine::Engine;
use super::overlay::{Overlay, PendingVersion};
use super::signal::Signal;
use super::writer::{Buffers, Staged, Tail, Writer};
use crate::crypto::Sealed;
use crate::document::Provenance;
use crate::error::{Error, ErrorCode, Result};
use crate::log::{Fields, Header, encode_line};
use crate::op::{Item, Items, Nonce, Op, OpKind, Seq};
use crate::views::State;
use parking_lot::MutexGuard;
use std::borrow::Cow;
use std::future::poll_fn;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a task holds its thread to wait for others that do nothing but admit or fold.
const BRIEF: Duration = Duration::from_micros(100);

/// Who writes, and what they say of what they write.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    pub client: &'a str,
    /// None: the one after the client's last.
    pub nonce: Option<i64>,
    pub idem: Option<&'a str>,
    pub said: Provenance<'a>,
}

/// What an op would be.
pub(crate) struct Draft<'a> {
    pub origin: &'a Origin<'a>,
    pub items: Items<'a>,
    /// What each item of a transaction says of itself.
    pub said_of_items: &'a [Provenance<'a>],
    /// Preconditions: collection, id, expected seq.
    pub if_seqs: Vec<(&'a str, &'a str, Seq)>,
}

impl<'a> Draft<'a> {
    /// Drafts an op that does one thing.
    pub fn one(origin: &'a Origin<'a>, kind: OpKind<'a>) -> Draft<'a> {
        let item = Item { kind, caused_by: Cow::Borrowed(origin.said.caused_by) };
        Draft { origin, items: Items::One(item), said_of_items: &[], if_seqs: Vec::new() }
    }
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It will be this op.
    New(Seq),
    /// Its idempotency key stands for this op already: nothing is appended.
    Replayed(Seq),
}

/// Where an op has its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its seq.
    pub seq: Seq,
    /// The hash of its line, which is the head of the log as it stands after it.
    pub hash: String,
}

/// Ops that are admitted one after another and made durable together.
pub(crate) struct Group<'w, 'a> {
    engine: &'w Engine,
    writer: MutexGuard<'w, Writer>,
    staged: Vec<Staged<'a>>,
    now_seconds: f64,
    /// The answer depends on ops of others that are not synced yet.
    must_ask_again: bool,
}

impl Engine {
    /// Admits what `draft` stages, and returns what it returns once that is durable.
    ///
    /// `draft` runs while nobody else admits; it is run again where its answer depended on an op that
    /// was not synced yet.
    ///
    /// Errors: what `draft` returns, and nothing is appended then; `DatabaseClosed`, `ReadOnly`,
    /// `CommitUnknown`.
    pub fn admit<'w, 'a, T>(
        &'w self,
        mut draft: impl FnMut(&mut Group<'w, 'a>) -> Result<T>,
    ) -> Result<T> {
        self.check_process()?;
        loop {
            let mut group = self.begin_group()?;
            let answer = draft(&mut group);
            if group.must_ask_again {
                self.wait_for_pending(&mut group.writer);
                continue;
            }
            let answer = answer?;
            group.finish()?;
            return Ok(answer);
        }
    }

    /// Admits what `draft` stages as `admit` does, without holding the thread that it runs on: while there is
    /// something to wait for, the task waits. Dropped before it answered, it leaves the write done or not done.
    ///
    /// Errors: as `admit`, and `StorageError` when no thread can be started to wait for syncs.
    pub async fn admit_later<'w, 'a, T>(
        self: &'w Arc<Self>,
        mut draft: impl FnMut(&mut Group<'w, 'a>) -> Result<T>,
    ) -> Result<T> {
        self.check_process()?;
        self.start_committer()?;
        let admitted = poll_fn(|context| self.poll_admission(context, &mut draft));
        let (answer, signal) = admitted.await?;
        if let Some(signal) = signal {
            poll_fn(|context| self.poll_commit(&signal, context)).await?;
        }
        Ok(answer)
    }

    fn start_committer(self: &Arc<Self>) -> Result<()> {
        let is_on_disk = self.setup.directory.is_some();
        if self.committer.is_ready(is_on_disk) {
            return Ok(());
        }
        let (lead, wait) = (Arc::downgrade(self), Arc::downgrade(self));
        let lead = move || {
            if let Some(engine) = lead.upgrade() {
                engine.lead_for_tasks();
            }
        };
        let wait = move || {
            if let Some(engine) = wait.upgrade() {
                // Only to wait for whoever holds them.
                drop(engine.writer.lock());
                drop(engine.state.read());
            }
        };
        self.committer.start(is_on_disk, lead, wait)
    }

    /// Admits what `draft` stages, once nothing is in the way; None beside the answer where nothing is left to
    /// wait for.
    fn poll_admission<'w, 'a, T>(
        &'w self,
        context: &Context<'_>,
        draft: &mut impl FnMut(&mut Group<'w, 'a>) -> Result<T>,
    ) -> Poll<Result<(T, Option<Arc<Signal>>)>> {
        loop {
            let views_are_free = self.state.try_read_for(BRIEF).is_some();
            let Some(mut writer) = self.writer.try_lock_for(BRIEF).filter(|_| views_are_free)
            else {
                self.committer.wait_for_writer(context);
                return Poll::Pending;
            };
            if writer.is_held_back() {
                writer.wake_at_progress(context);
                return Poll::Pending;
            }
            let mut group = self.begin_group_with(writer)?;
            let answer = draft(&mut group);
            if !group.must_ask_again {
                let answer = answer?;
                return Poll::Ready(group.finish_later().map(|signal| (answer, signal)));
            }
            if group.writer.has_pending() {
                group.writer.wake_at_progress(context);
                return Poll::Pending;
            }
        }
    }

    fn begin_group<'a>(&self) -> Result<Group<'_, 'a>> {
        self.begin_group_with(self.lock_to_admit())
    }

    /// Begins a group with the writer held.
    ///
    /// Errors: `DatabaseClosed`, `DatabaseLocked`, `ReadOnly`, `CommitUnknown`.
    pub(super) fn begin_group_with<'w, 'a>(
        &'w self,
        mut writer: MutexGuard<'w, Writer>,
    ) -> Result<Group<'w, 'a>> {
        self.check_open()?;
        self.check_takes_writes(&writer)?;
        writer.buffers.lines.clear();
        writer.buffers.overlay.clear();
        let now_seconds = self.setup.clock.now_seconds();
        Ok(Group { engine: self, writer, staged: Vec::new(), now_seconds, must_ask_again: false })
    }
}

impl<'w, 'a> Group<'w, 'a> {
    /// Returns the time of this group, in seconds since 1970.
    pub fn now_seconds(&self) -> f64 {
        self.now_seconds
    }

    /// Returns the seq of the last op that was admitted, folded or not.
    pub fn last_seq(&self) -> Seq {
        self.writer.tail.seq + self.staged.len() as Seq
    }

    /// Hands the state to `look`; nobody admits anything meanwhile.
    pub fn with_state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.engine.state.read())
    }

    /// Returns a document's state, if it is not in the views yet.
    pub fn pending_version(&self, collection: &str, id: &str) -> Option<PendingVersion> {
        self.overlay().version(collection, id)
    }

    /// Returns the number of a file's last version, if it is not in the views yet.
    pub fn pending_file_version(&self, name: &str) -> Option<u64> {
        self.overlay().file_version(name)
    }

    /// Says that the answer depends on what others have admitted and not synced yet.
    pub fn ask_again(&mut self) {
        self.must_ask_again = true;
    }

    /// Admits a draft as the next op, after those staged already.
    ///
    /// Errors: `InvalidArgument` for a cause that is none, `IdempotencyConflict`, `ReplayError`,
    /// `PreconditionFailed`, `LimitExceeded`. The group is as before then.
    pub fn stage(&mut self, draft: Draft<'a>) -> Result<Admitted> {
        self.stage_as(draft, |op| op)
    }

    /// Admits a draft that does not outlive the group as `stage` does.
    ///
    /// Errors: as `stage`.
    pub fn stage_owned(&mut self, draft: Draft<'_>) -> Result<Admitted> {
        self.stage_as(draft, |op| op.into_owned())
    }

    fn stage_as<'d>(
        &mut self,
        mut draft: Draft<'d>,
        keep: impl FnOnce(Op<'d>) -> Op<'a>,
    ) -> Result<Admitted> {
        let outcome = self.try_stage(&mut draft);
        let Draft { origin, items, .. } = draft;
        let (seq, nonce, line, hash) = match outcome {
            Ok(Outcome::New { seq, nonce, line, hash }) => (seq, nonce, line, hash),
            Ok(Outcome::Replayed(seq)) => return Ok(Admitted::Replayed(seq)),
            Err(Refusal::Final(error)) => return Err(error),
            Err(Refusal::AskAgain) => {
                self.must_ask_again = true;
                let reason = "the answer depends on a write that is not synced yet";
                return Err(Error::new(ErrorCode::CommitUnknown, reason));
            }
        };
        let op = Op {
            seq,
            client: Cow::Borrowed(origin.client),
            nonce: Nonce::Integer(nonce.into()),
            idem: origin.idem.map(Cow::Borrowed),
            items,
        };
        self.staged.push(Staged { op: keep(op), line, hash });
        Ok(Admitted::New(seq))
    }

    /// Returns the items of the op that was staged last.
    pub fn last_staged_items(&self) -> &[Item<'_>] {
        self.staged.last().map_or(&[], |staged| staged.op.items.as_slice())
    }

    /// Notes what is staged, so that what is staged next is admitted after it.
    pub fn note_staged(&mut self) {
        if let Some(last) = self.staged.last() {
            self.writer.buffers.overlay.note(&last.op);
        }
    }

    /// Returns where the op that was staged last, or that its key stands for, has its place in the log.
    ///
    /// Errors: `IntegrityError`, `StorageError` when an op of before cannot be read.
    pub fn receipt(&self, admitted: Admitted) -> Result<Receipt> {
        let (seq, hash) = match (admitted, self.staged.last()) {
            (Admitted::New(seq), Some(last)) => (seq, last.hash.clone()),
            (Admitted::New(seq) | Admitted::Replayed(seq), _) => {
                let hash = |fields: &Fields<'_>| Ok(fields.hash.to_owned());
                (seq, self.with_state(|state| state.log.with_fields(seq, hash))?)
            }
        };
        Ok(Receipt { seq, hash })
    }

    /// Makes what is staged durable and visible.
    ///
    /// Errors: `CommitUnknown`; nothing is visible then, and nothing more is written. `StorageError` when
    /// there is no randomness to seal it with; the group is dropped then.
    pub fn finish(self) -> Result<()> {
        let engine = self.engine;
        self.gather()?.map_or(Ok(()), |writer| engine.commit(writer))
    }

    /// Has what is staged made durable and visible; what is returned tells when it is. None when it is.
    ///
    /// Errors: `StorageError` as `finish`.
    fn finish_later(self) -> Result<Option<Arc<Signal>>> {
        let engine = self.engine;
        Ok(self.gather()?.map(|writer| engine.commit_later(writer)))
    }

    /// Appends what is staged to the batch that is being gathered, and gives the writer back to have it
    /// written; None when there is nothing to write, as in memory.
    fn gather(mut self) -> Result<Option<MutexGuard<'w, Writer>>> {
        let writer = &mut *self.writer;
        if let Some(sealed) = self.engine.setup.protection.as_sealed() {
            seal_lines(sealed, &mut self.staged, &mut writer.buffers)?;
        }
        let Some(last) = self.staged.last() else { return Ok(None) };
        writer.tail = Tail { seq: last.op.seq, hash: last.hash.clone() };
        if !writer.is_on_disk() {
            self.engine.publish(&mut self.staged, &writer.buffers.lines);
            return Ok(None);
        }
        let shift = writer.batch.lines.len();
        writer.batch.lines.push_str(&writer.buffers.lines);
        for staged in self.staged {
            writer.batch.overlay.note(&staged.op);
            writer.batch.staged.push(Staged {
                op: staged.op.into_owned(),
                line: staged.line.start + shift..staged.line.end + shift,
                hash: staged.hash,
            });
        }
        Ok(Some(self.writer))
    }

    fn overlay(&self) -> Overlay<'_> {
        let writer = &*self.writer;
        Overlay { own: &writer.buffers.overlay, others: [&writer.batch.overlay, &writer.syncing] }
    }

    fn try_stage(&mut self, draft: &mut Draft<'_>) -> std::result::Result<Outcome, Refusal> {
        let Draft { origin, items, said_of_items, if_seqs } = draft;
        let seq = self.last_seq() + 1;
        let nonce = {
            let state = self.engine.state.read();
            let admission =
                Admission { state: &state, overlay: self.overlay(), now_seconds: self.now_seconds };
            if let Some(seq) = admission::replayed(&admission, origin.idem, items)? {
                return Ok(Outcome::Replayed(seq));
            }
            for item in items.as_slice() {
                admission::causes(&item.caused_by, seq)?;
            }
            let nonce = admission::nonce(&admission, origin.client, origin.nonce)?;
            for (collection, id, expected) in if_seqs {
                admission::precondition(&admission, (collection, id), *expected)?;
            }
            nonce
        };
        let header = Header {
            seq,
            client: origin.client,
            nonce,
            ts: self.now_seconds,
            idem: origin.idem,
            said: origin.said.clone(),
            said_of_items,
        };
        let Writer { tail, buffers, .. } = &mut *self.writer;
        let prev_hash = self.staged.last().map_or(&tail.hash, |last| &last.hash);
        let Buffers { scratch, lines, .. } = buffers;
        let start = lines.len();
        let hash = encode_line(&header, items, prev_hash, scratch, lines)?;
        Ok(Outcome::New { seq, nonce, line: start..lines.len(), hash })
    }
}

enum Outcome {
    New { seq: Seq, nonce: i64, line: Range<usize>, hash: String },
    Replayed(Seq),
}

/// Seals lines that are about to go to the disk, in the order in which they will stand there.
fn seal_lines(sealed: &Sealed, staged: &mut [Staged<'_>], buffers: &mut Buffers) -> Result<()> {
    let Buffers { lines, sealed_lines, sealing, .. } = buffers;
    sealed_lines.clear();
    for staged in staged {
        let line = lines.get(staged.line.clone()).unwrap_or_default().trim_end_matches('\n');
        let start = sealed_lines.len();
        sealed.seal_line(staged.op.seq, line.as_bytes(), sealing, sealed_lines)?;
        sealed_lines.push('\n');
        staged.line = start..sealed_lines.len();
    }
    std::mem::swap(lines, sealed_lines);
    Ok(())
}
