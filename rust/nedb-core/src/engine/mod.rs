//! The engine room: who may write next, what is written together, when it is seen.
//!
//! It owns the state and the writer, and nobody else changes either. In: drafts of ops; a state that takes the place
//! of another. Out: acknowledgements; the state to read.
//!
//! | call | what it does |
//! |---|---|
//! | `admit`, `admit_later` | stages drafts while the writer is held, and returns once they are durable |
//! | `sync` | returns once all that was acknowledged is on the disk |
//! | `barrier`, `synced_barrier` | holds the writer while nothing is pending |
//! | `Barrier::install` | puts another state and another log in the place of those that are there |
//! | `Barrier::amend`, `amend` | changes what no op changes |
//! | `read` | the state, to read |
//! | `subscribe` | tells of each commit |
//! | `close` | takes nothing more |
//!
//! | file | what it owns |
//! |---|---|
//! | `engine` | the state and the writer, and what all share who work on them |
//! | `admission` | nonces, idempotency, preconditions |
//! | `overlay` | what was admitted and is not folded yet |
//! | `group` | the ops that one call admits: all or none |
//! | `writer` | the batch that is gathered, the log, the place of the next op |
//! | `group_commit` | batches of groups: append, sync, fold |
//! | `barrier` | the writer, held while nothing is pending; syncs on demand; another state in place |
//! | `signal` | what became of a batch, for threads and tasks that wait for it |
//! | `committer` | the threads that wait where tasks may not |
//! | `worker` | a thread that does what it is called for |
//! | `trouble` | why the last write did not come into the log |
//! | `write_checks` | whether writes are taken, and whether they would be again |
//! | `listeners` | who is told of commits |
//! | `counters` | batches and syncs, counted |
//! | `durability` | when a write is acknowledged |

mod admission;
mod barrier;
mod committer;
mod counters;
mod durability;
#[expect(
    clippy::module_inception,
    reason = "the folder's door lists, and this file holds the engine itself"
)]
mod engine;
mod group;
mod group_commit;
mod listeners;
mod overlay;
mod signal;
mod trouble;
mod worker;
mod write_checks;
mod writer;

pub(crate) use admission::last_seq;
pub(crate) use barrier::{Barrier, Next, sync_periodically};
pub use counters::Distribution;
pub use durability::Durability;
pub(crate) use engine::{Engine, Setup};
pub use group::Receipt;
pub(crate) use group::{Admitted, Draft, Group, Origin};
pub use listeners::Subscription;
pub(crate) use writer::Log;
#[cfg(test)]
pub(crate) use writer::Places;
