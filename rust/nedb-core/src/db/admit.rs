//! What may be appended: nonces, idempotency, preconditions.
//!
//! In: the views, and the overlay of what was admitted but is not folded yet. Out: a nonce and a seq,
//! or the op that an idempotency key already stands for, or an error.
//!
//! Invariants:
//! * Admission looks at the overlay first, so that ops admitted together are admitted in order.
//! * Admission changes nothing.

use crate::error::{Error, ErrorCode, Result};
use crate::log::{Fields, member};
use crate::op::{Items, Nonce, Op, OpKind, Seq, kind};
use crate::views::State;
use rustc_hash::FxHashMap;

/// What was admitted and is not in the views yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    nonces: FxHashMap<String, Nonce>,
    /// The last seq of each document; -1 when it was deleted.
    versions: FxHashMap<(String, String), Seq>,
    idem: FxHashMap<String, Seq>,
}

impl Pending {
    /// Notes an op that was admitted.
    pub fn note(&mut self, op: &Op<'_>) {
        self.nonces.insert(op.client.clone().into_owned(), op.nonce);
        if let Some(idem) = &op.idem {
            self.idem.insert(idem.clone().into_owned(), op.seq);
        }
        for item in op.items.as_slice() {
            let (collection, id, seq) = match &item.kind {
                OpKind::Put(put) => (&put.collection, &put.id, op.seq),
                OpKind::Delete { collection, id } => (collection, id, -1),
                _ => continue,
            };
            self.versions.insert((collection.to_string(), id.to_string()), seq);
        }
    }

    /// Forgets everything, once it is folded.
    pub fn clear(&mut self) {
        self.nonces.clear();
        self.versions.clear();
        self.idem.clear();
    }
}

/// Returns the nonce of a write.
///
/// Errors: `ReplayError` when an explicit one is not above the client's last, or none is left.
pub(super) fn nonce(
    state: &State,
    pending: &Pending,
    client: &str,
    explicit: Option<i64>,
) -> Result<i64> {
    let last = pending.nonces.get(client).copied();
    let last = last.or_else(|| state.views.clients.last_nonce(client));
    match explicit {
        Some(nonce) if last.is_none_or(|last| last.is_below(Nonce::Integer(nonce.into()))) => {
            Ok(nonce)
        }
        Some(nonce) => Err(Error::new(
            ErrorCode::ReplayError,
            format!(
                "nonce {nonce} of client {client:?} is not above its last, {}; a replayed write is refused",
                spell(last)
            ),
        )),
        None => {
            let next = last.map_or(1, Nonce::next).max(1);
            i64::try_from(next).ok().ok_or_else(|| {
                Error::new(
                    ErrorCode::ReplayError,
                    format!("client {client:?} has used its last nonce; write as another client"),
                )
            })
        }
    }
}

fn spell(nonce: Option<Nonce>) -> String {
    match nonce {
        None => "none".to_owned(),
        Some(Nonce::Integer(nonce)) => nonce.to_string(),
        Some(Nonce::Fraction(nonce)) => nonce.to_string(),
    }
}

/// Checks that a document's last version is the one that was expected.
///
/// Errors: `PreconditionFailed`.
pub(super) fn precondition(
    state: &State,
    pending: &Pending,
    now_seconds: f64,
    document: (&str, &str),
    if_seq: Option<Seq>,
) -> Result<()> {
    let Some(expected) = if_seq else { return Ok(()) };
    let (collection, id) = document;
    // A key of owned strings is made only where a precondition is asked for.
    let pending = pending.versions.get(&(collection.to_owned(), id.to_owned())).copied();
    let found = pending.unwrap_or_else(|| last_seq(state, now_seconds, collection, id));
    if found == expected {
        return Ok(());
    }
    let there = if found < 0 { "there is none".to_owned() } else { format!("it is {found}") };
    Err(Error::new(
        ErrorCode::PreconditionFailed,
        format!("if_seq {expected} does not hold for {collection}:{id}: {there}; read it again"),
    ))
}

/// Returns the seq of a document's version at HEAD, or -1 where it is absent or expired.
pub(super) fn last_seq(state: &State, now_seconds: f64, collection: &str, id: &str) -> Seq {
    match last_version(state, collection, id) {
        Some((seq, expires_at)) if expires_at.is_none_or(|it| it > now_seconds) => seq,
        _ => -1,
    }
}

/// Tells whether a document is there and its end has come.
pub(super) fn is_expired(state: &State, now_seconds: f64, collection: &str, id: &str) -> bool {
    let version = last_version(state, collection, id);
    version.and_then(|(_, expires_at)| expires_at).is_some_and(|it| it <= now_seconds)
}

/// Returns the seq and the end of a document's last version, if that is no deletion.
fn last_version(state: &State, collection: &str, id: &str) -> Option<(Seq, Option<f64>)> {
    let documents = &state.views.documents;
    let collection = documents.collection(collection)?;
    let document = documents.document(collection, id)?;
    let version = documents.versions(collection, document).last()?;
    let expires_at = documents.expires_at(collection, version);
    (!version.is_tombstone()).then_some((version.seq, expires_at))
}

/// Checks that every cause is an op that comes before this one.
///
/// Errors: `InvalidArgument`.
pub(super) fn causes(caused_by: &[Seq], own_seq: Seq) -> Result<()> {
    match caused_by.iter().find(|cause| !(0..own_seq).contains(*cause)) {
        Some(cause) => Err(Error::invalid(format!(
            "caused_by names op {cause}, but this op would be {own_seq} and causes come before it"
        ))),
        None => Ok(()),
    }
}

/// Returns the op that an idempotency key stands for already.
///
/// Errors: `IdempotencyConflict` when it is of another kind or has another target; `StorageError`,
/// `IntegrityError` when the log cannot confirm it.
pub(super) fn replayed(
    state: &State,
    pending: &Pending,
    idem: Option<&str>,
    items: &Items<'_>,
) -> Result<Option<Seq>> {
    let Some(idem) = idem else { return Ok(None) };
    if pending.idem.contains_key(idem) {
        return Err(conflict(idem, "an op of the same batch"));
    }
    for seq in state.views.clients.idem_candidates(idem) {
        // The table holds hashes: the log says whether the key is this one.
        let found = state.log.with_fields(*seq, |fields| {
            if fields.idem().as_deref() != Some(idem) {
                return Ok(None);
            }
            let is_same = targets(&fields.to_op()?.items) == targets(items);
            Ok(Some(if is_same { Ok(*seq) } else { Err(describe(fields)) }))
        })?;
        match found {
            None => {}
            Some(Ok(seq)) => return Ok(Some(seq)),
            Some(Err(other)) => return Err(conflict(idem, &format!("op {seq}, a {other}"))),
        }
    }
    Ok(None)
}

fn conflict(idem: &str, other: &str) -> Error {
    Error::new(
        ErrorCode::IdempotencyConflict,
        format!("the idempotency key {idem:?} was used for {other}; use a new key for a new write"),
    )
}

fn describe(fields: &Fields<'_>) -> String {
    let payload = fields.payload();
    let member = |key| member(payload, key).unwrap_or("").trim_matches('"').to_owned();
    match fields.kind().as_ref() {
        kind @ (kind::PUT | kind::DELETE) => {
            format!("{kind} of {}:{}", member("coll"), member("id"))
        }
        kind => kind.to_owned(),
    }
}

/// What makes two writes the same write: the kinds and what they are about.
fn targets<'a>(items: &'a Items<'_>) -> (bool, Vec<(&'static str, [&'a str; 3])>) {
    let target = |item: &'a crate::op::Item<'_>| match &item.kind {
        OpKind::Put(put) => (kind::PUT, [&*put.collection, &*put.id, ""]),
        OpKind::Delete { collection, id } => (kind::DELETE, [&**collection, &**id, ""]),
        OpKind::Link { from, relation, to } => (kind::LINK, [&**from, &**relation, &**to]),
        OpKind::Unlink { from, relation, to } => (kind::UNLINK, [&**from, &**relation, &**to]),
        OpKind::PutFile => (kind::PUT_FILE, ["", "", ""]),
        OpKind::Checkpoint => (kind::CHECKPOINT, ["", "", ""]),
        OpKind::Unknown => ("", ["", "", ""]),
    };
    (matches!(items, Items::Many(_)), items.as_slice().iter().map(target).collect())
}
