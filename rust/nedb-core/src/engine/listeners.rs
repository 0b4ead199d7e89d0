//! Who is told of commits.
//!
//! Invariants:
//! * A listener is told of a seq only when its op is visible, and after the locks that readers share are
//!   let go of; seqs come in order, each commit's last one once.
//! * A subscription that was dropped is told of nothing that is committed afterwards.

use crate::op::Seq;
use parking_lot::RwLock;
use std::fmt;
use std::sync::{Arc, Weak};

/// What a listener is told: how far the log has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committed {
    /// The last op of the batch.
    pub seq: Seq,
    /// Where its line ends.
    pub log_bytes: u64,
}

type Listener = dyn Fn(Committed) + Send + Sync;

/// Who listens.
#[derive(Default)]
pub(super) struct Listeners {
    all: RwLock<Vec<Arc<Listener>>>,
}

impl Listeners {
    /// Adds a listener, until the subscription is dropped.
    pub fn add(
        self: &Arc<Self>,
        listener: impl Fn(Committed) + Send + Sync + 'static,
    ) -> Subscription {
        let listener: Arc<Listener> = Arc::new(listener);
        self.all.write().push(Arc::clone(&listener));
        Subscription { listener, listeners: Arc::downgrade(self) }
    }

    /// Tells everyone of the last op of a batch that is visible now.
    ///
    /// Only whoever publishes calls this, one at a time, so that seqs come in order.
    pub fn committed(&self, last: Committed) {
        for listener in self.all.read().iter() {
            listener(last);
        }
    }
}

/// A listener's place; it is told nothing more once this is dropped.
#[must_use = "a subscription that is dropped ends"]
pub struct Subscription {
    listener: Arc<Listener>,
    listeners: Weak<Listeners>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(listeners) = self.listeners.upgrade() {
            listeners.all.write().retain(|it| !Arc::ptr_eq(it, &self.listener));
        }
    }
}
