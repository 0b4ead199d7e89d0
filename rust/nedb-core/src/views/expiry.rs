//! Which documents go when.
//!
//! In: the end of each current version. Out: those whose end has come, soonest first.

use super::ids::{CollectionId, DocumentId};
use super::pieces::{Comparison, cost, keyed};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

type Name = (CollectionId, DocumentId);

/// The ends of the current versions that have one.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Expiry {
    ends: FxHashMap<Name, u64>,
    queue: BTreeSet<(u64, Name)>,
}

impl Expiry {
    /// Sets when the current version of a document goes; None: never.
    pub fn set(&mut self, collection: CollectionId, document: DocumentId, expires_at: Option<f64>) {
        if self.ends.is_empty() && expires_at.is_none() {
            return;
        }
        let name = (collection, document);
        if let Some(old) = self.ends.remove(&name) {
            self.queue.remove(&(old, name));
        }
        if let Some(expires_at) = expires_at {
            let end = in_order(expires_at);
            self.ends.insert(name, end);
            self.queue.insert((end, name));
        }
    }

    /// Returns what compares with another fold of the same ops.
    pub fn comparisons(&self) -> Vec<Comparison<Expiry>> {
        let is_queued = |it: &Expiry, name: &Name| {
            it.ends.get(name).is_none_or(|end| it.queue.contains(&(*end, *name)))
        };
        vec![keyed(
            self.ends.keys().copied().collect(),
            |it: &Expiry| it.ends.len() + it.queue.len(),
            move |mine, theirs, name| {
                let is_same = mine.ends.get(name) == theirs.ends.get(name);
                cost(is_same && is_queued(theirs, name), 0)
            },
        )]
    }

    /// Tells whether nothing ever goes.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the documents whose end is not after `now_seconds`, soonest first.
    pub fn due(&self, now_seconds: f64) -> impl Iterator<Item = Name> {
        let now = in_order(now_seconds);
        self.queue.iter().take_while(move |(end, _)| *end <= now).map(|(_, name)| *name)
    }
}

/// Maps seconds to integers of the same order, so that they can be sorted and compared for equality.
fn in_order(seconds: f64) -> u64 {
    let bits = seconds.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}
