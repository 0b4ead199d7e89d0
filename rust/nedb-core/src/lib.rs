//! NEDB: an embedded document database whose single source of truth is an append-only, hash-chained
//! op log.

mod clock;
mod db;
mod document;
mod error;
mod fold;
mod hash;
mod instant;
mod json;
mod limits;
mod log;
mod op;
mod query;
mod snapshot;
mod store;
mod views;

pub use clock::{Clock, ManualClock, SystemClock};
pub use db::{
    BackupReport, CommitCounts, Database, Durability, OpenReport, Options, ReadOptions,
    RepairReport, Subscription, Update, VerifyReport, WriteOptions,
};
pub use error::{Error, ErrorCode, QueryPosition, Result};
pub use hash::ZERO_HASH;
pub use json::{Path, Value};
pub use log::Damage;
pub use op::Seq;
pub use query::{Params, Rows, algebra};
pub use snapshot::IndexKind;
