//! What an op does, as the text of its payload, and back: the one codec of every kind.
//!
//! | file | what it owns |
//! |---|---|
//! | `read` | payload → kind, and which member is wrong |
//! | `write` | kinds → payload |
//!
//! What `write` writes of an op, `read` reads as the same op. Nobody else writes or reads a payload member by member:
//! that replaying a log and writing it cannot differ rests on that.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::{Payload, PutParts, op_kind};
pub(super) use write::write_payload;
