//! Writes: what a call says, checked and made a draft that the engine admits.
//!
//! | file | what it owns |
//! |---|---|
//! | `put` | put, delete, link and their kin: one op each |
//! | `put_many` | many documents, one op each |
//! | `transaction` | several things as one op |
//! | `asynchronous` | the same for tasks |
//! | `sweep` | documents whose end has come, deleted |

mod asynchronous;
mod put;
mod put_many;
mod sweep;
mod transaction;

pub use put::Update;
