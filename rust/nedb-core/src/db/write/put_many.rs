//! put_many: many documents, one op each.
//!
//! In: documents of one collection. Out: the documents as stored.
//!
//! Few documents are one group, and share one sync. Many are checked and made canonical first, while others write, and
//! then admitted some at a time, so that nobody waits for all of them.
//!
//! Invariants:
//! * All documents are checked before the first is appended.
//! * Where a later part cannot be written, the call is `CommitUnknown`, and says how many documents stand.

use super::put::{Target, put_draft, put_of, stage_put};
use crate::db::check::{self, CheckedOptions};
use crate::db::database::Database;
use crate::db::options::WriteOptions;
use crate::engine::{Draft, Group};
use crate::error::{Error, ErrorCode, Result};
use crate::json::{Part, canonicalize, members, split, string_text};
use crate::limits::{BATCH_ITEMS_COUNT_MAX, NESTING_DEPTH_MAX};
use crate::op::{OpKind, Put};
use std::borrow::Cow;

/// Documents, and bytes of their texts, that are admitted while nobody else is: some milliseconds.
const PART_COUNT: usize = 1_024;
const PART_BYTES: usize = 1 << 20;

impl Database {
    /// Writes many documents of one collection in order, one op each, with one sync; of more than about a thousand,
    /// or a megabyte, with one for each so many, so that others write in between.
    ///
    /// `documents` are ids and JSON texts. All are checked before the first is appended; after a crash
    /// a prefix of them may stand. Options: all but `nonce`, `idem` and `if_seq`.
    ///
    /// Errors: as `put`; then none is written. `CommitUnknown` where a later part fails, with how many are written.
    pub fn put_many(
        &self,
        collection: &str,
        documents: &[(String, String)],
        options: &WriteOptions,
    ) -> Result<Vec<String>> {
        let refused = [options.nonce.is_some(), options.idem.is_some(), options.if_seq.is_some()];
        if refused.contains(&true) {
            return Err(Error::invalid(
                "put_many takes no nonce, idem or if_seq, which are for one op; use put or batch",
            ));
        }
        if documents.len() > BATCH_ITEMS_COUNT_MAX {
            return Err(Error::limit(format!(
                "put_many takes at most {BATCH_ITEMS_COUNT_MAX} documents at once"
            )));
        }
        let checked = check::options(options)?;
        let bytes: usize = documents.iter().map(|(_, document)| document.len()).sum();
        if documents.len() > PART_COUNT || bytes > PART_BYTES {
            return self.put_in_parts(collection, documents, &checked);
        }
        self.inner.engine.admit(|group| {
            let mut results = Vec::with_capacity(documents.len());
            for (id, document) in documents {
                let target = Target::checked(collection, id)?;
                let draft = put_draft(&target, document, &checked, group.now_seconds())?;
                results.push(staged(group, draft)?);
            }
            Ok(results)
        })
    }

    fn put_in_parts(
        &self,
        collection: &str,
        documents: &[(String, String)],
        options: &CheckedOptions<'_>,
    ) -> Result<Vec<String>> {
        let now_seconds = self.inner.options.clock.now_seconds();
        let prepared = documents
            .iter()
            .map(|(id, document)| {
                put_of(&Target::checked(collection, id)?, document, options, now_seconds)
            })
            .collect::<Result<Vec<_>>>()?;
        let mut results = Vec::with_capacity(documents.len());
        let mut rest = prepared.as_slice();
        while !rest.is_empty() {
            let (part, others) = rest.split_at(part_count(rest));
            rest = others;
            let written = self.inner.engine.admit(|group| {
                let draft = |put| Draft::one(&options.origin, OpKind::Put(borrowed(put)));
                part.iter().map(|put| staged(group, draft(put))).collect::<Result<Vec<_>>>()
            });
            results.extend(written.map_err(|error| cut_short(error, results.len()))?);
        }
        Ok(results)
    }

    /// Writes many documents as `put_many` does: `documents` is a JSON object of id → document, or an array of
    /// documents that carry `_id`.
    ///
    /// Errors: as `put_many`.
    pub fn put_many_json(
        &self,
        collection: &str,
        documents: &str,
        options: &WriteOptions,
    ) -> Result<Vec<String>> {
        let identified = |part: Part| match part.key {
            Some(id) => Ok((id, part.text)),
            None => Ok((own_id(&part.text)?, part.text)),
        };
        let parts = split(documents, NESTING_DEPTH_MAX + 1)?;
        let documents = parts.into_iter().map(identified).collect::<Result<Vec<_>>>()?;
        self.put_many(collection, &documents, options)
    }
}

/// Stages a put, so that what follows is admitted after it; returns the document as it is handed out.
fn staged<'a>(group: &mut Group<'_, 'a>, draft: Draft<'a>) -> Result<String> {
    let mut result = String::new();
    stage_put(group, draft, &mut result)?;
    group.note_staged();
    Ok(result)
}

/// Returns the same put with texts that it borrows: a draft is made of it again where it is asked for again.
fn borrowed<'p>(put: &'p Put<'_>) -> Put<'p> {
    Put {
        collection: Cow::Borrowed(&put.collection),
        id: Cow::Borrowed(&put.id),
        text: Cow::Borrowed(&put.text),
        ..*put
    }
}

/// Returns how many of the documents that come next are admitted together.
fn part_count(prepared: &[Put<'_>]) -> usize {
    let mut bytes = 0;
    let is_within = |it: &&Put<'_>| {
        bytes += it.text.len();
        bytes <= PART_BYTES
    };
    prepared.iter().take(PART_COUNT).take_while(is_within).count().max(1)
}

/// Says how many documents stand where a later part was not written.
fn cut_short(error: Error, written_count: usize) -> Error {
    if written_count == 0 {
        return error;
    }
    let others = match error.code() {
        ErrorCode::CommitUnknown => "nobody knows whether the others are",
        _ => "the others are not",
    };
    let message = format!(
        "the first {written_count} documents of this put_many are written, and {others}; put those again"
    );
    Error::new(ErrorCode::CommitUnknown, message).with_source(error)
}

/// Returns the id that a document of a list says it has.
fn own_id(document: &str) -> Result<String> {
    let canonical = canonicalize(document)?;
    let id = members(&canonical).find(|(key, _)| *key == "_id").and_then(|(_, id)| string_text(id));
    id.map(Cow::into_owned).ok_or_else(|| {
        Error::invalid("a document of a list is an object whose _id is a string; or give an object of id → document")
    })
}
