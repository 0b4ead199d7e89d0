//! NEDB: an embedded document database whose single source of truth is an append-only, hash-chained
//! op log.

// Until the modules above them are there.
#![allow(dead_code, unused_imports)]

mod clock;
mod error;
mod hash;
mod instant;
mod json;
mod limits;
mod document;
mod fold;
mod log;
mod op;
mod query;
mod snapshot;
mod store;
mod views;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorCode, QueryPosition, Result};
pub use hash::ZERO_HASH;
pub use json::{Path, Value};
pub use query::{Params, Rows};
