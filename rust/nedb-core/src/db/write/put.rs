//! Put, delete, link and their kin: one op each.

use crate::db::check::{self, CheckedOptions};
use crate::db::database::Database;
use crate::db::options::WriteOptions;
use crate::document::{Provenance, write_stored, write_with_seq};
use crate::engine::{Admitted, Draft, Group, last_seq};
use crate::error::{Error, Result};
use crate::json::{elements, members, string_text};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::op::{Item, OpKind, Put, Seq, TextPlace, kind};
use crate::views::State;
use std::borrow::Cow;

/// Room for what a stored text has beside what the host gave: `_id`, mostly.
const STORED_EXTRA_BYTES: usize = 32;

/// What a read-modify-write does with what it read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Writes this document, a JSON object's text.
    Put(String),
    /// Deletes the document.
    Delete,
    /// Leaves everything as it is; no op is appended.
    Keep,
}

impl Database {
    /// Writes a document, in place of the one that was there, and returns it as stored.
    ///
    /// `document` is the text of a JSON object; the text returned has `_id` and `_seq` too. With an
    /// `idem` that was used for this document before, the version written then is returned and
    /// nothing is appended.
    ///
    /// Cost: one line of the log; on a disk one sync. Errors: `InvalidArgument`, `LimitExceeded`,
    /// `ReplayError`, `IdempotencyConflict`, `PreconditionFailed`, `ReadOnly`, `DatabaseClosed`,
    /// `CommitUnknown`.
    pub fn put(
        &self,
        collection: &str,
        id: &str,
        document: &str,
        options: &WriteOptions,
    ) -> Result<String> {
        let mut out = String::new();
        self.put_into(collection, id, document, options, &mut out)?;
        Ok(out)
    }

    /// Writes a document as `put` does, and appends it as stored to `out`.
    ///
    /// Errors: as `put`; `out` is unchanged then.
    pub fn put_into(
        &self,
        collection: &str,
        id: &str,
        document: &str,
        options: &WriteOptions,
        out: &mut String,
    ) -> Result<()> {
        let checked = check::options(options)?;
        let target = Target::checked(collection, id)?;
        let given_back = out.len();
        let written = self.inner.engine.admit(|group| {
            out.truncate(given_back);
            let draft = put_draft(&target, document, &checked, group.now_seconds())?;
            stage_put(group, draft, out).map(|_| ())
        });
        written.inspect_err(|_| out.truncate(given_back))
    }

    /// Deletes a document, or says that it is absent, and returns the op's seq.
    ///
    /// Errors: as `put`; `InvalidArgument` for a time to live or a valid time.
    pub fn delete(&self, collection: &str, id: &str, options: &WriteOptions) -> Result<Seq> {
        check::takes_no(options, "delete", true)?;
        let checked = check::options(options)?;
        let target = Target::checked(collection, id)?;
        self.inner.engine.admit(|group| {
            let draft = delete_draft(&target, &checked);
            stage_one(group, draft)
        })
    }

    /// Adds an edge from one node to another, and returns the op's seq. Nodes are `collection:id`.
    ///
    /// Errors: as `put`; `InvalidArgument` for a time to live, a valid time or an `if_seq`.
    pub fn link(
        &self,
        from: &str,
        relation: &str,
        to: &str,
        options: &WriteOptions,
    ) -> Result<Seq> {
        self.write_edge(kind::LINK, (from, relation, to), options)
    }

    /// Ends an edge, or says that it is absent, and returns the op's seq.
    ///
    /// Errors: as `link`.
    pub fn unlink(
        &self,
        from: &str,
        relation: &str,
        to: &str,
        options: &WriteOptions,
    ) -> Result<Seq> {
        self.write_edge(kind::UNLINK, (from, relation, to), options)
    }

    /// Lets a document expire in `ttl_seconds` from now, and returns whether it is there.
    ///
    /// The same document is put again, with the valid time and the provenance it has.
    ///
    /// Errors: as `put`; nothing is appended for an absent document.
    pub fn expire(
        &self,
        collection: &str,
        id: &str,
        ttl_seconds: f64,
        options: &WriteOptions,
    ) -> Result<bool> {
        check::ttl(ttl_seconds)?;
        let target = Target::checked(collection, id)?;
        self.inner.engine.admit(|group| {
            let Some((text, _)) = current(group, &target)? else { return Ok(false) };
            let kept = with_provenance(options, &text, group.last_seq());
            let kept = WriteOptions { ttl_seconds: Some(ttl_seconds), ..kept };
            let checked = check::kept_options(&kept)?;
            let draft = put_draft(&target, &text, &checked, group.now_seconds())?;
            group.stage_owned(draft).map(|_| true)
        })
    }

    /// Reads a document, hands its text to `change`, and writes what that says, as one step.
    ///
    /// `change` is handed None for an absent document; it runs while no one else writes, so it must be
    /// quick and must not call the database; it may run again, where its answer depended on a write that
    /// was not synced yet. Returns the document afterwards.
    ///
    /// Errors: as `put`, and whatever `change` returns.
    pub fn update(
        &self,
        collection: &str,
        id: &str,
        options: &WriteOptions,
        mut change: impl FnMut(Option<&str>) -> Result<Update>,
    ) -> Result<Option<String>> {
        let checked = check::options(options)?;
        let target = Target::checked(collection, id)?;
        self.inner.engine.admit(|group| {
            let current = current(group, &target)?.map(|(stored, seq)| with_seq(&stored, seq));
            let change = change(current.as_deref());
            if matches!(change, Ok(Update::Keep) | Err(_))
                && group.pending_version(collection, id).is_some()
            {
                // What is answered must stand: also a refusal of what is not synced yet.
                group.ask_again();
            }
            match change? {
                Update::Keep => Ok(current),
                Update::Delete => {
                    check::takes_no(options, "a deletion", true)?;
                    let draft = delete_draft(&target, &checked);
                    group.stage(draft).map(|_| None)
                }
                Update::Put(document) => {
                    let draft = put_draft(&target, &document, &checked, group.now_seconds())?;
                    let mut out = String::new();
                    stage_put(group, draft, &mut out).map(|_| Some(out))
                }
            }
        })
    }

    fn write_edge(
        &self,
        op: &'static str,
        edge: (&str, &str, &str),
        options: &WriteOptions,
    ) -> Result<Seq> {
        check::takes_no(options, op, false)?;
        let checked = check::options(options)?;
        check::edge(edge)?;
        self.inner.engine.admit(|group| {
            let draft = edge_draft(op, edge, &checked);
            stage_one(group, draft)
        })
    }
}

/// Stages an op, and returns its seq, or that of the op that its key stands for.
pub(in crate::db) fn stage_one<'a>(group: &mut Group<'_, 'a>, draft: Draft<'a>) -> Result<Seq> {
    match group.stage(draft)? {
        Admitted::Replayed(seq) | Admitted::New(seq) => Ok(seq),
    }
}

/// Stages a put, and appends the document to `out` as it is handed out.
pub(in crate::db) fn stage_put<'a>(
    group: &mut Group<'_, 'a>,
    draft: Draft<'a>,
    out: &mut String,
) -> Result<Admitted> {
    let admitted = group.stage(draft)?;
    hand_out(group, admitted, out)?;
    Ok(admitted)
}

/// Appends the document that a put wrote, now or when its key was first used, as it is handed out.
fn hand_out(group: &Group<'_, '_>, admitted: Admitted, out: &mut String) -> Result<()> {
    match admitted {
        Admitted::New(seq) => {
            let text = group.last_staged_items().first().and_then(stored_text);
            write_with_seq(text.unwrap_or_default(), seq, out);
        }
        Admitted::Replayed(seq) => {
            let originals = group.with_state(|state| written_texts(state, seq))?;
            write_with_seq(&written_by(seq, originals.into_iter().next())?, seq, out);
        }
    }
    Ok(())
}

/// A document that is written to, with a name that was checked.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct Target<'a> {
    pub collection: &'a str,
    pub id: &'a str,
}

impl<'a> Target<'a> {
    pub fn checked(collection: &'a str, id: &'a str) -> Result<Target<'a>> {
        check::collection(collection)?;
        check::id(id)?;
        Ok(Target { collection, id })
    }

    /// Makes the deletion of it.
    pub fn deletion(&self) -> OpKind<'a> {
        OpKind::Delete { collection: Cow::Borrowed(self.collection), id: Cow::Borrowed(self.id) }
    }
}

/// Drafts a put.
///
/// Errors: as `put_of`.
pub(in crate::db) fn put_draft<'a>(
    target: &Target<'a>,
    document: &str,
    options: &'a CheckedOptions<'a>,
    now_seconds: f64,
) -> Result<Draft<'a>> {
    let put = put_of(target, document, options, now_seconds)?;
    Ok(with_precondition(Draft::one(&options.origin, OpKind::Put(put)), target, options))
}

/// Makes a put: its stored text is built here, and stands in the op's line later.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn put_of<'a>(
    target: &Target<'a>,
    document: &str,
    options: &CheckedOptions<'_>,
    now_seconds: f64,
) -> Result<Put<'a>> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::limit(format!(
            "a document is at most {DOCUMENT_BYTES_MAX} bytes long, not {}",
            document.len()
        )));
    }
    let expires_at = options.given.ttl_seconds.map(|ttl_seconds| now_seconds + ttl_seconds);
    let said = Provenance { expires_at, ..options.origin.said.clone() };
    let mut text = String::with_capacity(document.len() + target.id.len() + STORED_EXTRA_BYTES);
    write_stored(document, target.id, &said, &mut text)?;
    Ok(Put {
        collection: Cow::Borrowed(target.collection),
        id: Cow::Borrowed(target.id),
        // It has one once its line is written.
        place: TextPlace::LEGACY,
        text: Cow::Owned(text),
        valid_from: options.valid_from,
        valid_to: options.valid_to,
        expires_at,
    })
}

pub(in crate::db) fn delete_draft<'a>(
    target: &Target<'a>,
    options: &'a CheckedOptions<'a>,
) -> Draft<'a> {
    let draft = Draft::one(&options.origin, target.deletion());
    with_precondition(draft, target, options)
}

fn with_precondition<'a>(
    draft: Draft<'a>,
    target: &Target<'a>,
    options: &CheckedOptions<'_>,
) -> Draft<'a> {
    let expected = options.given.if_seq.map(|seq| (target.collection, target.id, seq));
    Draft { if_seqs: expected.into_iter().collect(), ..draft }
}

pub(in crate::db) fn edge_draft<'a>(
    op: &str,
    edge: (&'a str, &'a str, &'a str),
    options: &'a CheckedOptions<'a>,
) -> Draft<'a> {
    Draft::one(&options.origin, edge_kind(op, edge))
}

pub(in crate::db) fn edge_kind<'a>(op: &str, edge: (&'a str, &'a str, &'a str)) -> OpKind<'a> {
    let (from, relation, to) =
        (Cow::Borrowed(edge.0), Cow::Borrowed(edge.1), Cow::Borrowed(edge.2));
    if op == kind::LINK {
        OpKind::Link { from, relation, to }
    } else {
        OpKind::Unlink { from, relation, to }
    }
}

/// Returns the stored text that an item wrote, if it is a put.
pub(in crate::db) fn stored_text<'d>(item: &'d Item<'_>) -> Option<&'d str> {
    match &item.kind {
        OpKind::Put(put) => Some(&put.text),
        _ => None,
    }
}

/// Returns what an item wrote that is known to be a put.
pub(in crate::db) fn written_by(seq: Seq, text: Option<Option<String>>) -> Result<String> {
    text.flatten().ok_or_else(|| Error::integrity(format!("op {seq} of the log is no put")))
}

/// Returns the stored texts that the items of an op wrote; None for an item that is no put.
pub(in crate::db) fn written_texts(state: &State, seq: Seq) -> Result<Vec<Option<String>>> {
    state.log.with_fields(seq, |fields| {
        let text = |item: &Item<'_>| stored_text(item).map(str::to_owned);
        Ok(fields.to_op()?.items.as_slice().iter().map(text).collect())
    })
}

/// Returns the stored text of a document and its seq, as they are once everything admitted is folded;
/// None where it is absent or expired.
fn current(group: &mut Group<'_, '_>, target: &Target<'_>) -> Result<Option<(String, Seq)>> {
    let now = group.now_seconds();
    if let Some(pending) = group.pending_version(target.collection, target.id) {
        let is_expired = pending.expires_at.is_some_and(|expires_at| expires_at <= now);
        let text = pending.text.filter(|_| !is_expired);
        if text.is_none() {
            // Absent for now: whoever is told so must be told the truth.
            group.ask_again();
        }
        return Ok(text.map(|text| (text.to_string(), pending.seq)));
    }
    group.with_state(|state| {
        let seq = last_seq(state, now, target.collection, target.id);
        if seq < 0 {
            return Ok(None);
        }
        let documents = &state.views.documents;
        let version = documents
            .collection(target.collection)
            .and_then(|collection| {
                let document = documents.document(collection, target.id)?;
                documents.versions(collection, document).last()
            })
            .ok_or_else(|| Error::integrity("a document with a seq has no version"))?;
        let text = state.version_text(target.collection, target.id, version)?;
        Ok(Some((text.to_string(), seq)))
    })
}

fn with_seq(stored: &str, seq: Seq) -> String {
    let mut text = String::new();
    write_with_seq(stored, seq, &mut text);
    text
}

/// Returns the options of a write that keeps what a stored text says about itself. What NEDB 1.x took
/// and nobody may write any more, as a cause that is no op, counts as absent.
fn with_provenance(options: &WriteOptions, stored: &str, last_seq: Seq) -> WriteOptions {
    let mut kept = options.clone();
    for (key, value) in members(stored) {
        let text = || string_text(value).map(Cow::into_owned);
        match key {
            "_caused_by" => {
                let seqs = elements(value).filter_map(|seq| seq.parse().ok());
                kept.caused_by = seqs.filter(|seq| (0..=last_seq).contains(seq)).collect();
            }
            "_confidence" => {
                kept.confidence = value.parse().ok().filter(|it| (0.0..=1.0).contains(it));
            }
            "_evidence" => kept.evidence = text(),
            "_valid_from" => kept.valid_from = text().filter(|date| is_date(date)),
            "_valid_to" => kept.valid_to = text().filter(|date| is_date(date)),
            _ => {}
        }
    }
    kept
}

fn is_date(text: &str) -> bool {
    crate::instant::parse(text, crate::instant::Bound::At).is_some()
}
