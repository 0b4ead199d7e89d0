//! The meaning of every op: one exhaustive match.
//!
//! In: ops in order of seq. Out: changed views. Reopening a database, writing to it and checking that
//! its state is a function of its log all come through here.

use crate::error::Result;
use crate::op::{Item, Op, OpKind, Put, Seq};
use crate::views::index::{Change, CollectionIndexes};
use crate::views::{CollectionId, DocumentPut, LifeId, State, Views};

/// Folds an op into the views; its seq must be the next.
pub(crate) fn fold(views: &mut Views, op: &Op<'_>) {
    views.clients.note_nonce(&op.client, op.nonce);
    if let Some(idem) = &op.idem {
        views.clients.note_idem(idem, op.seq);
    }
    for (number, item) in op.items.as_slice().iter().enumerate() {
        fold_item(views, op.seq, number as u32, item);
    }
    views.seq = op.seq;
}

fn fold_item(views: &mut Views, seq: Seq, number: u32, item: &Item<'_>) {
    views.causes.add(&item.caused_by, seq, number);
    match &item.kind {
        OpKind::Put(put) => fold_put(views, seq, number, put),
        OpKind::Delete { collection, id } => fold_delete(views, seq, number, collection, id),
        OpKind::Link { from, relation, to } => views.relations.link(from, relation, to, seq),
        OpKind::Unlink { from, relation, to } => views.relations.unlink(from, relation, to, seq),
        OpKind::PutFile(put) => views.files.put(seq, put),
        // Marks say nothing new, and what we do not know we keep.
        OpKind::Checkpoint { .. }
        | OpKind::Repair(_)
        | OpKind::Encrypt { .. }
        | OpKind::Unknown => {}
    }
}

fn fold_put(views: &mut Views, seq: Seq, item: u32, put: &Put<'_>) {
    let collection = views.documents.add_collection(&put.collection);
    let (document, life) = views.documents.put(
        collection,
        &DocumentPut {
            seq,
            item,
            id: &put.id,
            place: put.place,
            valid_from: put.valid_from,
            valid_to: put.valid_to,
            expires_at: put.expires_at,
        },
    );
    views.expiry.set(collection, document, put.expires_at);
    change_indexes(views, collection, &Change { life, seq, text: Some(&put.text) });
}

fn fold_delete(views: &mut Views, seq: Seq, item: u32, collection: &str, id: &str) {
    let Some(collection) = views.documents.collection(collection) else { return };
    if let Some((document, life)) = views.documents.delete(collection, id, seq, item) {
        views.expiry.set(collection, document, None);
        change_indexes(views, collection, &Change { life, seq, text: None });
    }
}

fn change_indexes(views: &mut Views, collection: CollectionId, change: &Change<'_>) {
    if let Some(indexes) = views.indexes.of_mut(collection) {
        indexes.apply(change);
    }
}

/// Folds the whole history of a collection into new indexes, as if they had always been there.
///
/// Cost: one text read for every version that was ever written.
/// Errors: `StorageError`, `IntegrityError`.
pub(crate) fn backfill(
    state: &State,
    collection: CollectionId,
    indexes: &mut CollectionIndexes,
) -> Result<()> {
    let documents = &state.views.documents;
    let name = documents.collection_name(collection);
    let mut events: Vec<(Seq, u32, u32, usize)> = Vec::new();
    for document in 0..documents.document_count(collection) {
        for (at, version) in documents.versions(collection, document).iter().enumerate() {
            events.push((version.seq, version.item, document, at));
        }
    }
    events.sort_unstable();
    for (seq, _, document, at) in events {
        let versions = documents.versions(collection, document);
        let Some(version) = versions.get(at) else { continue };
        let life = life_of(versions, at);
        if version.is_tombstone() {
            indexes.apply(&Change { life, seq, text: None });
        } else {
            let text = state.version_text(name, documents.id(collection, document), version)?;
            indexes.apply(&Change { life, seq, text: Some(&text) });
        }
    }
    Ok(())
}

/// A tombstone ends the life of the version before it.
fn life_of(versions: &[crate::views::Version], at: usize) -> LifeId {
    let version = versions.get(at).filter(|version| !version.is_tombstone());
    let before = at.checked_sub(1).and_then(|before| versions.get(before));
    version.or(before).map_or(0, |version| version.life())
}
