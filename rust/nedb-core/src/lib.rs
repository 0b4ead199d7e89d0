//! NEDB: an embedded document database whose single source of truth is an append-only, hash-chained
//! op log.

mod clock;
mod error;
mod limits;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{Error, ErrorCode, QueryPosition, Result};
