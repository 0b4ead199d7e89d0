//! What was admitted and is not in the views yet.
//!
//! In: ops, as they are admitted. Out: what the views will say once these are folded.
//!
//! Invariants:
//! * A layer is noted whole or not at all: an op that is refused leaves no trace in it.
//! * Layers are asked newest first: the group that is being admitted, the batch that is being
//!   gathered, the batch that is being synced.

use crate::op::{Nonce, Op, OpKind, Seq};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The state of a document that an op that is not folded yet leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct PendingVersion {
    /// The op's seq; -1 when it deleted the document.
    pub seq: Seq,
    /// The stored text; None when it was deleted.
    pub text: Option<Arc<str>>,
    pub expires_at: Option<f64>,
}

impl PendingVersion {
    /// Returns the seq as a read at this time would; -1 where the document is deleted or expired.
    pub fn seq_at(&self, now_seconds: f64) -> Seq {
        if self.expires_at.is_some_and(|expires_at| expires_at <= now_seconds) {
            return -1;
        }
        self.seq
    }
}

/// One layer: what some ops leave behind.
#[derive(Debug, Default)]
pub(super) struct Pending {
    nonces: FxHashMap<String, Nonce>,
    /// By `collection:id`, which is unambiguous since a collection's name holds no colon.
    versions: FxHashMap<String, PendingVersion>,
    idem: FxHashMap<String, Seq>,
    /// The last version of each file.
    files: FxHashMap<String, u64>,
}

impl Pending {
    /// Notes an op that was admitted.
    pub fn note(&mut self, op: &Op<'_>) {
        match self.nonces.get_mut(&*op.client) {
            Some(last) => *last = op.nonce,
            None => {
                self.nonces.insert(op.client.to_string(), op.nonce);
            }
        }
        if let Some(idem) = &op.idem {
            self.idem.insert(idem.to_string(), op.seq);
        }
        for item in op.items.as_slice() {
            let (name, version) = match &item.kind {
                OpKind::Put(put) => (
                    name(&put.collection, &put.id),
                    PendingVersion {
                        seq: op.seq,
                        text: Some(Arc::from(&*put.text)),
                        expires_at: put.expires_at,
                    },
                ),
                OpKind::Delete { collection, id } => {
                    (name(collection, id), PendingVersion { seq: -1, text: None, expires_at: None })
                }
                OpKind::PutFile(put) => {
                    self.files.insert(put.name.to_string(), put.version);
                    continue;
                }
                _ => continue,
            };
            self.versions.insert(name, version);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.nonces.clear();
        self.versions.clear();
        self.idem.clear();
        self.files.clear();
    }
}

/// All layers, newest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlay<'o> {
    /// Ops of the group that is being admitted: they stand or fall with what is asked for.
    pub own: &'o Pending,
    /// Ops of others, which may yet fail.
    pub others: [&'o Pending; 2],
}

impl Overlay<'_> {
    /// Returns the last nonce of a client, if it is not in the views yet.
    pub fn last_nonce(&self, client: &str) -> Option<Nonce> {
        self.layers().find_map(|layer| layer.nonces.get(client).copied())
    }

    /// Returns the last nonce of a client that an op of the group itself used.
    pub fn own_last_nonce(&self, client: &str) -> Option<Nonce> {
        self.own.nonces.get(client).copied()
    }

    /// Tells whether an op of the group itself carries an idempotency key.
    pub fn has_own_idem(&self, idem: &str) -> bool {
        self.own.idem.contains_key(idem)
    }

    /// Tells whether an op of others carries an idempotency key.
    pub fn has_others_idem(&self, idem: &str) -> bool {
        self.others.iter().any(|layer| layer.idem.contains_key(idem))
    }

    /// Returns a document's state, if it is not in the views yet.
    pub fn version(&self, collection: &str, id: &str) -> Option<PendingVersion> {
        // A name is joined only where there is something to look for.
        if self.layers().all(|layer| layer.versions.is_empty()) {
            return None;
        }
        let name = name(collection, id);
        self.layers().find_map(|layer| layer.versions.get(&name).cloned())
    }

    /// Returns the number of a file's last version, if it is not in the views yet.
    pub fn file_version(&self, name: &str) -> Option<u64> {
        self.layers().find_map(|layer| layer.files.get(name).copied())
    }

    fn layers(&self) -> impl Iterator<Item = &Pending> {
        std::iter::once(self.own).chain(self.others)
    }
}

fn name(collection: &str, id: &str) -> String {
    format!("{collection}:{id}")
}
