//! What may be appended: nonces, idempotency, preconditions.
//!
//! In: the views, and the overlay of what was admitted but is not folded yet. Out: a nonce, or the op
//! that an idempotency key already stands for, or a refusal.
//!
//! Invariants:
//! * Admission looks at the overlay first, so that ops admitted together are admitted in order.
//! * A refusal that only an op of others justifies is none yet: that op may fail. It is asked for again
//!   once that op is synced.
//! * Admission changes nothing.

use super::overlay::Overlay;
use crate::error::{Error, ErrorCode, Result};
use crate::op::{Item, Items, Nonce, Op, OpKind, Seq, kind};
use crate::views::State;

/// Why something is not admitted.
#[derive(Debug)]
pub(super) enum Refusal {
    /// For good.
    Final(Error),
    /// It depends on an op that is not synced yet: ask again when it is.
    AskAgain,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Final(error)
    }
}

/// What admission looks at.
#[derive(Clone, Copy)]
pub(super) struct Admission<'s> {
    pub state: &'s State,
    pub overlay: Overlay<'s>,
    pub now_seconds: f64,
}

/// Returns the nonce of a write.
///
/// Refuses with `ReplayError` an explicit one that is not above the client's last, and when none is
/// left.
pub(super) fn nonce(
    admission: &Admission<'_>,
    client: &str,
    explicit: Option<i64>,
) -> std::result::Result<i64, Refusal> {
    let Admission { state, overlay, .. } = admission;
    let folded = state.views.clients.last_nonce(client);
    let last = overlay.last_nonce(client).or(folded);
    let Some(nonce) = explicit else {
        return match next_nonce(client, last) {
            // Only an op of others that is not synced yet may have used the last one.
            Err(_) if next_nonce(client, overlay.own_last_nonce(client).or(folded)).is_ok() => {
                Err(Refusal::AskAgain)
            }
            next => Ok(next?),
        };
    };
    let is_above =
        |last: Option<Nonce>| last.is_none_or(|last| last.is_below(Nonce::Integer(nonce.into())));
    if is_above(last) {
        return Ok(nonce);
    }
    if is_above(folded) && is_above(overlay.own_last_nonce(client)) {
        return Err(Refusal::AskAgain);
    }
    let message = format!(
        "nonce {nonce} of client {client:?} is not above its last, {}; a replayed write is refused",
        spell(last)
    );
    Err(Refusal::Final(Error::new(ErrorCode::ReplayError, message)))
}

fn next_nonce(client: &str, last: Option<Nonce>) -> Result<i64> {
    let next = last.map_or(1, Nonce::next).max(1);
    i64::try_from(next).map_err(|_| {
        Error::new(
            ErrorCode::ReplayError,
            format!("client {client:?} has used its last nonce; write as another client"),
        )
    })
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
/// Refuses with `PreconditionFailed`.
pub(super) fn precondition(
    admission: &Admission<'_>,
    document: (&str, &str),
    expected: Seq,
) -> std::result::Result<(), Refusal> {
    let (collection, id) = document;
    let Admission { state, overlay, now_seconds } = admission;
    let folded = last_seq(state, *now_seconds, collection, id);
    let found =
        overlay.version(collection, id).map_or(folded, |pending| pending.seq_at(*now_seconds));
    if found == expected {
        return Ok(());
    }
    if folded == expected {
        return Err(Refusal::AskAgain);
    }
    let there = if folded < 0 { "there is none".to_owned() } else { format!("it is {folded}") };
    Err(Refusal::Final(Error::new(
        ErrorCode::PreconditionFailed,
        format!("if_seq {expected} does not hold for {collection}:{id}: {there}; read it again"),
    )))
}

/// Returns the seq of a document's version at HEAD, or -1 where it is absent or expired.
pub(crate) fn last_seq(state: &State, now_seconds: f64, collection: &str, id: &str) -> Seq {
    match last_version(state, collection, id) {
        Some((seq, expires_at)) if expires_at.is_none_or(|it| it > now_seconds) => seq,
        _ => -1,
    }
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
/// Refuses with `IdempotencyConflict` when it is of another kind or has another target; with
/// `StorageError` or `IntegrityError` when the log cannot confirm it.
pub(super) fn replayed(
    admission: &Admission<'_>,
    idem: Option<&str>,
    items: &Items<'_>,
) -> std::result::Result<Option<Seq>, Refusal> {
    let Some(idem) = idem else { return Ok(None) };
    let Admission { state, overlay, .. } = admission;
    if overlay.has_own_idem(idem) {
        return Err(conflict(idem, "an op of the same batch").into());
    }
    if overlay.has_others_idem(idem) {
        return Err(Refusal::AskAgain);
    }
    for seq in state.views.clients.idem_candidates(idem) {
        // The table holds hashes: the log says whether the key is this one.
        let found = state.log.with_fields(*seq, |fields| {
            if fields.idem().as_deref() != Some(idem) {
                return Ok(None);
            }
            let op = fields.to_op()?;
            let is_same = targets(&op.items) == targets(items);
            Ok(Some(if is_same { Ok(*seq) } else { Err(describe(&op, &fields.kind())) }))
        })?;
        match found {
            None => {}
            Some(Ok(seq)) => return Ok(Some(seq)),
            Some(Err(other)) => return Err(conflict(idem, &format!("op {seq}, a {other}")).into()),
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

fn describe(op: &Op<'_>, kind: &str) -> String {
    match (&op.items, targets(&op.items).1.as_slice()) {
        (Items::One(_), [(kind::PUT | kind::DELETE, [collection, id, _])]) => {
            format!("{kind} of {collection}:{id}")
        }
        (Items::One(_), [(kind::PUT_FILE, [name, ..])]) => format!("{kind} of {name}"),
        _ => kind.to_owned(),
    }
}

/// What makes two writes the same write: the kinds and what they are about.
fn targets<'a>(items: &'a Items<'_>) -> (bool, Vec<(&'static str, [&'a str; 3])>) {
    let target = |item: &'a Item<'_>| {
        let about = match &item.kind {
            OpKind::Put(put) => [&*put.collection, &*put.id, ""],
            OpKind::Delete { collection, id } => [&**collection, &**id, ""],
            OpKind::Link { from, relation, to } | OpKind::Unlink { from, relation, to } => {
                [&**from, &**relation, &**to]
            }
            OpKind::PutFile(put) => [&*put.name, "", ""],
            OpKind::Checkpoint { .. }
            | OpKind::Repair(_)
            | OpKind::Encrypt { .. }
            | OpKind::Unknown => [""; 3],
        };
        (item.kind.name().unwrap_or_default(), about)
    };
    (matches!(items, Items::Many(_)), items.as_slice().iter().map(target).collect())
}
