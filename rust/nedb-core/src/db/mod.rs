//! The database: the only way to write, and what a host calls.
//!
//! In: names, JSON texts, options. Out: JSON texts, seqs, typed errors.
//!
//! Invariants:
//! * Every write goes through the engine's admission; every read through a snapshot.
//! * A call that returns an error other than `CommitUnknown` has appended nothing and changed nothing.
//! * Nothing is visible before it is as durable as it will be acknowledged.
//!
//! | file or room | what it owns |
//! |---|---|
//! | `database` | what the handles of an open database share |
//! | `options` | what a database, a write and a read are told |
//! | `check` | every check of an argument |
//! | `open` | a directory or memory as a database; a reader, moved on |
//! | `restore` | a directory's log as a state |
//! | `write` | put, delete, link and their kin, many at once, as one op, as tasks |
//! | `read` | get, query, neighbours, ops; who is told of commits |
//! | `indexes` | indexes: made, and listed |
//! | `files` | files: written, read, checked, compacted |
//! | `checkpoint` | the views, saved |
//! | `verify` | whether the log holds, and what is derived from it |
//! | `repair` | a damaged log, made writable again |
//! | `backup` | a whole copy of a good log |
//! | `encryption` | which key opens a directory; a plain one encrypted |
//! | `close` | syncing, closing, what a handle says of itself |
//! | `open_report` | what opening found, and what was found since to be damaged |
//! | `statistics` | what was done since opening, counted |
//! | `tests` | disks that fail and crash, steps in every order |

mod backup;
mod check;
mod checkpoint;
mod close;
mod database;
mod encryption;
mod files;
mod indexes;
mod open;
mod open_report;
mod options;
mod read;
mod repair;
mod restore;
mod statistics;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use crate::engine::{Distribution, Durability, Receipt, Subscription};
pub use backup::{BackupOptions, BackupReport};
pub use database::Database;
pub use encryption::rewrap_key;
pub use files::{
    CompactReport, CompressionStats, FileAt, FileDamage, FileDamages, FileInfo, FileProof,
    FileReader, FileWriter, VerifyFilesReport,
};
pub use open::{DirectoryHold, hold_directory};
pub use open_report::{DerivedDamage, OpenReport};
pub use options::{Options, Progress, QueryOptions, ReadOptions, WriteOptions};
pub use repair::RepairReport;
pub use statistics::Statistics;
pub use verify::VerifyReport;
pub use write::Update;
