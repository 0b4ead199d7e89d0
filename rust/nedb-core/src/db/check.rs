//! Every check of an argument: what is wrong, and what would be right.

use crate::db::options::{Options, WriteOptions};
use crate::document::Provenance;
use crate::engine::Origin;
use crate::error::{Error, ErrorCode, Result};
use crate::instant::{self, Bound, Instant};
use crate::limits::{CAUSES_COUNT_MAX, EVIDENCE_BYTES_MAX, NAME_BYTES_MAX, TTL_SECONDS_MAX};
use crate::log::Damage;

/// A write's options, checked.
#[derive(Clone, Debug)]
pub(in crate::db) struct CheckedOptions<'a> {
    pub given: &'a WriteOptions,
    pub origin: Origin<'a>,
    pub valid_from: Option<Instant>,
    pub valid_to: Option<Instant>,
}

/// Makes the refusal of a write through a handle that was opened for reading.
pub(in crate::db) fn opened_read_only() -> Error {
    Error::new(
        ErrorCode::ReadOnly,
        "the database was opened read-only; open it for writing to write",
    )
}

/// Makes the refusal of a write to a damaged database.
pub(in crate::db) fn damaged(damage: &Damage) -> Error {
    Error::new(
        ErrorCode::ReadOnly,
        format!(
            "the log is damaged at op {}: {}; the database can be read up to there, and written to \
             after repair(), which keeps the damaged log beside",
            damage.seq, damage.reason
        ),
    )
}

/// Checks how a database is to be opened.
///
/// Errors: `InvalidArgument`.
pub(in crate::db) fn open_options(given: &Options) -> Result<()> {
    if given.checkpoint_every_ops == Some(0) {
        return Err(Error::invalid(
            "checkpoint_every_ops is a number of ops, at least 1; leave it out for no checkpoints",
        ));
    }
    Ok(())
}

/// Checks what can be checked without looking at the database.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn options(given: &WriteOptions) -> Result<CheckedOptions<'_>> {
    let checked = kept_options(given)?;
    if checked.valid_from.zip(checked.valid_to).is_some_and(|(from, to)| to < from) {
        return Err(Error::invalid(format!(
            "valid_to {:?} is before valid_from {:?}",
            given.valid_to.as_deref().unwrap_or_default(),
            given.valid_from.as_deref().unwrap_or_default()
        )));
    }
    Ok(checked)
}

/// Checks the options of a write that keeps the valid time that a document has: NEDB 1.x took a
/// `valid_to` before its `valid_from`.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn kept_options(given: &WriteOptions) -> Result<CheckedOptions<'_>> {
    let client = given.client.as_deref().unwrap_or("local");
    name("client", client)?;
    if let Some(idem) = &given.idem {
        name("idem", idem)?;
    }
    if given.nonce.is_some_and(|nonce| nonce < 1) {
        return Err(Error::invalid("a nonce is an integer from 1 to 9223372036854775807"));
    }
    if let Some(confidence) = given.confidence.filter(|it| !(0.0..=1.0).contains(it)) {
        return Err(Error::invalid(format!(
            "confidence is a number from 0 to 1, not {confidence}"
        )));
    }
    if let Some(ttl_seconds) = given.ttl_seconds {
        ttl(ttl_seconds)?;
    }
    if given.evidence.as_ref().is_some_and(|evidence| evidence.len() > EVIDENCE_BYTES_MAX) {
        return Err(Error::limit(format!("evidence is longer than {EVIDENCE_BYTES_MAX} bytes")));
    }
    if given.caused_by.len() > CAUSES_COUNT_MAX {
        return Err(Error::limit(format!("caused_by names more than {CAUSES_COUNT_MAX} ops")));
    }
    let valid_from = date("valid_from", given.valid_from.as_deref(), Bound::From)?;
    let valid_to = date("valid_to", given.valid_to.as_deref(), Bound::To)?;
    let said = Provenance {
        caused_by: &given.caused_by,
        confidence: given.confidence,
        evidence: given.evidence.as_deref(),
        expires_at: None,
        valid_from: given.valid_from.as_deref(),
        valid_to: given.valid_to.as_deref(),
    };
    let origin = Origin { client, nonce: given.nonce, idem: given.idem.as_deref(), said };
    Ok(CheckedOptions { given, origin, valid_from, valid_to })
}

/// Checks that what a kind of write does not take was not given to it.
///
/// Errors: `InvalidArgument`.
pub(in crate::db) fn takes_no(given: &WriteOptions, verb: &str, takes_if_seq: bool) -> Result<()> {
    let refused = [
        ("ttl_s", given.ttl_seconds.is_some()),
        ("valid_from", given.valid_from.is_some()),
        ("valid_to", given.valid_to.is_some()),
        ("if_seq", given.if_seq.is_some() && !takes_if_seq),
    ];
    match refused.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::invalid(format!("{verb} takes no {option}"))),
        None => Ok(()),
    }
}

/// Checks a time to live.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn ttl(ttl_seconds: f64) -> Result<()> {
    if ttl_seconds.is_nan() || ttl_seconds <= 0.0 {
        return Err(Error::invalid(format!(
            "ttl_s is a number of seconds above 0, not {ttl_seconds:?}"
        )));
    }
    if ttl_seconds > TTL_SECONDS_MAX {
        return Err(Error::limit(format!(
            "ttl_s is at most {TTL_SECONDS_MAX:?} seconds, not {ttl_seconds:?}"
        )));
    }
    Ok(())
}

/// Reads a date that may be left out.
///
/// Errors: `InvalidArgument`.
pub(in crate::db) fn date(
    option: &str,
    text: Option<&str>,
    bound: Bound,
) -> Result<Option<Instant>> {
    let Some(text) = text else { return Ok(None) };
    instant::parse(text, bound).map(Some).ok_or_else(|| {
        Error::invalid(format!(
            "{option} is an ISO 8601 date or instant such as \"2024-06-15\" or \"2024-06-15T12:00:00Z\", not {text:?}"
        ))
    })
}

/// Checks a collection's name.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn collection(collection: &str) -> Result<()> {
    name("a collection's name", collection)?;
    if collection.contains(':') {
        return Err(Error::invalid(format!(
            "a collection's name holds no \":\", which separates it from the id in a node: {collection:?}"
        )));
    }
    Ok(())
}

/// Checks what an index is to be on.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn index(collection_name: &str, field: &str) -> Result<()> {
    collection(collection_name)?;
    if field.is_empty() {
        return Err(Error::invalid("an index needs a field: a name or a dotted path"));
    }
    name("the field of an index", field)
}

/// Checks a document's id.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn id(id: &str) -> Result<()> {
    name("an id", id)
}

/// Checks a node, `collection:id`, split at the first `:`.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn node(node: &str) -> Result<()> {
    match node.split_once(':') {
        Some((in_collection, document)) => {
            collection(in_collection)?;
            id(document)
        }
        None => Err(Error::invalid(format!(
            "a node is written collection:id, as in \"users:alice\", not {node:?}"
        ))),
    }
}

/// Checks a file's name: any text, slashes and all.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn file_name(file_name: &str) -> Result<()> {
    name("a file's name", file_name)
}

/// Checks that what putting a file does not take was not given to it.
///
/// Errors: `InvalidArgument`.
pub(in crate::db) fn put_file_options(given: &WriteOptions) -> Result<()> {
    let refused = [("ttl_s", given.ttl_seconds.is_some()), ("if_seq", given.if_seq.is_some())];
    match refused.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Error::invalid(format!("put_file takes no {option}"))),
        None => Ok(()),
    }
}

/// Checks a relation's name.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn relation(relation: &str) -> Result<()> {
    name("a relation", relation)
}

fn name(what: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{what} must be a string that is not empty")));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(Error::limit(format!(
            "{what} is at most {NAME_BYTES_MAX} bytes long, not {}",
            text.len()
        )));
    }
    Ok(())
}

/// Checks an edge: two nodes and a relation.
///
/// Errors: `InvalidArgument`, `LimitExceeded`.
pub(in crate::db) fn edge(edge: (&str, &str, &str)) -> Result<()> {
    let (from, relation_name, to) = edge;
    node(from)?;
    relation(relation_name)?;
    node(to)
}
