//! The truth: one line of text for each op, each chained to the one before.
//!
//! | file | what it owns |
//! |---|---|
//! | `line` | one line: op → text and hash |
//! | `fault` | why a line is not an op of the chain |
//! | `decode` | one line: text → op, ours and NEDB 1.x's |
//! | `reader` | where each line stands, and its text |
//! | `cache` | hot document texts of a log on disk, within a byte budget |
//! | `payload` | what an op does, by its kind, as text and back; the shape that it must have |
//! | `pieces` | a log in pieces of whole lines |
//! | `recovery` | a log from some line on, decoded on all cores: every op in order, and where and why it ends |
//! | `renumber` | lines that are chained and whose seqs do not count up, with other seqs |
//! | `sealed` | lines of an encrypted log, opened |
//! | `verify` | every hash, every link and every payload, on all cores |

mod cache;
mod decode;
mod fault;
mod line;
mod payload;
mod pieces;
mod reader;
mod recovery;
mod renumber;
mod sealed;
mod verify;

pub(crate) use decode::Fields;
#[cfg(test)]
pub(crate) use decode::normalize;
pub(crate) use fault::Fault;
pub(crate) use line::{Header, encode_line};
pub(crate) use reader::{LogReader, TextRef, WantedText, read_log_bytes};
pub(crate) use recovery::{ReplayEnd, ReplayStart, replay};
pub(crate) use renumber::{ChainedLine, NewSeq, walk_chain};
pub use verify::Damage;
pub(crate) use verify::{Verification, verify};
