//! NEDB: an embedded document database whose single source of truth is an append-only, hash-chained
//! op log.

mod blob;
mod clock;
mod crypto;
mod db;
mod document;
mod engine;
mod error;
mod fold;
mod hash;
mod instant;
mod json;
mod limits;
mod log;
mod merkle;
mod op;
mod query;
mod read_budget;
mod snapshot;
mod store;
mod views;

pub use clock::{Clock, ManualClock, SystemClock};
pub use crypto::{Randomness, SystemRandomness, Tmk};
pub use db::{
    BackupOptions, BackupReport, CompactReport, CompressionStats, Database, DerivedDamage,
    DirectoryHold, Distribution, Durability, FileAt, FileDamage, FileDamages, FileInfo, FileProof,
    FileReader, FileWriter, OpenReport, Options, Progress, QueryOptions, ReadOptions, Receipt,
    RepairReport, Statistics, Subscription, Update, VerifyFilesReport, VerifyReport, WriteOptions,
    hold_directory, rewrap_key,
};
pub use error::{Error, ErrorCode, QueryPosition, Result};
pub use hash::ZERO_HASH;
pub use json::{Path, Value};
pub use limits::INDEXES_COUNT_MAX;
pub use log::Damage;
pub use merkle::Side;
pub use op::{Seq, Tier};
pub use query::{Params, Rows, algebra};
pub use read_budget::Cancellation;
pub use snapshot::IndexKind;
