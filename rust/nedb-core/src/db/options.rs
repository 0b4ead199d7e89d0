//! What a database, a write and a read are told.

use crate::clock::{Clock, SystemClock};
use crate::crypto::{Randomness, SystemRandomness, Tmk};
use crate::engine::Durability;
use crate::error::Result;
use crate::limits::QUERY_MEMORY_BYTES_MAX;
use crate::op::Seq;
use crate::read_budget::{Cancellation, ReadBudget};
use std::fmt;
use std::sync::Arc;

/// What a query may take.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Most rows that are answered; more are `LimitExceeded`. None: any number.
    ///
    /// The bound is a part of the plan, as a LIMIT would be: what is beyond it is not looked for, unless a sort or a
    /// group must see it. A LIMIT below it changes nothing; of one above it, as of none, more rows than the bound are
    /// an error.
    pub rows_count_max: Option<usize>,
    /// Longest answer, in bytes; a longer one is `LimitExceeded`. None: any length.
    pub answer_bytes_max: Option<usize>,
    /// Most memory that is held to sort, to group and to search, in bytes; what would need more is `LimitExceeded`.
    pub memory_bytes_max: usize,
    /// What ends the query before it is done.
    pub cancellation: Option<Cancellation>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        QueryOptions {
            rows_count_max: None,
            answer_bytes_max: None,
            memory_bytes_max: QUERY_MEMORY_BYTES_MAX,
            cancellation: None,
        }
    }
}

impl QueryOptions {
    pub(in crate::db) fn budget(&self) -> ReadBudget {
        ReadBudget::new(self.cancellation.clone(), self.memory_bytes_max)
            .with_answer_bytes_max(self.answer_bytes_max.unwrap_or(usize::MAX))
    }
}

/// How a database is opened.
#[derive(Clone)]
pub struct Options {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Reads only, beside a writer if there is one; writes get `ReadOnly`.
    pub read_only: bool,
    /// Memory for document texts of a database on disk, in bytes; the texts of one transaction are held
    /// together while they are read, however long.
    pub cache_bytes: usize,
    /// When a write to a disk is acknowledged.
    pub durability: Durability,
    /// After how many ops the views are saved again, beside the writes, so that opening reads only what
    /// came after; None: only by `checkpoint()`, and by closing after many ops.
    pub checkpoint_every_ops: Option<u64>,
    /// The key that encrypts what is on a disk; None for a plain database. In memory it has no effect.
    pub tmk: Option<Tmk>,
    /// Whether a plain database that is opened for writing with a key is encrypted in place; false refuses
    /// it with `PlainDatabase`.
    pub encrypt_existing: bool,
    /// Is told how far encrypting in place has come, in bytes of the log and of the packs of files done and in all;
    /// an error that it returns ends the opening, and the database is the plain one still.
    pub progress: Option<Progress>,
    /// Where data keys, session ids and nonces of `key.enc` come from.
    pub randomness: Arc<dyn Randomness>,
}

/// Is told how far a long task has come: bytes done, bytes in all. An error that it returns ends the task.
pub type Progress = Arc<dyn Fn(u64, u64) -> Result<()> + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Arc::new(SystemClock),
            read_only: false,
            cache_bytes: 64 << 20,
            durability: Durability::Always,
            checkpoint_every_ops: None,
            tmk: None,
            encrypt_existing: true,
            progress: None,
            randomness: Arc::new(SystemRandomness),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("read_only", &self.read_only)
            .field("cache_bytes", &self.cache_bytes)
            .field("durability", &self.durability)
            .field("checkpoint_every_ops", &self.checkpoint_every_ops)
            .field("tmk", &self.tmk)
            .field("encrypt_existing", &self.encrypt_existing)
            .finish_non_exhaustive()
    }
}

/// What a write says about itself. All of it may be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteOptions {
    /// Who writes; None is `"local"`.
    pub client: Option<String>,
    /// A number above the client's last, from 1 to 2^63 - 1; None takes the next.
    pub nonce: Option<i64>,
    /// A key that makes a retry of this write return its result.
    pub idem: Option<String>,
    /// Seconds from now after which HEAD no longer shows the document.
    pub ttl_seconds: Option<f64>,
    /// The seqs of the ops that caused this one; each below its own.
    pub caused_by: Vec<Seq>,
    /// What the write rests on.
    pub evidence: Option<String>,
    /// How sure the writer is, from 0 to 1.
    pub confidence: Option<f64>,
    /// From when on it is true: an ISO 8601 date or instant.
    pub valid_from: Option<String>,
    /// Until when it is true, that day or instant included.
    pub valid_to: Option<String>,
    /// The seq of the version that this write replaces; -1: there must be none.
    pub if_seq: Option<Seq>,
}

/// Where in time a read looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadOptions {
    /// The last seq that counts; None is the head. -1 is before the first op.
    pub as_of: Option<Seq>,
    /// The valid time: an ISO 8601 date or instant; None is any.
    pub valid_as_of: Option<String>,
}
