//! A directory's log as a state: what opening, verifying, repairing and encrypting have in common.
//!
//! | file | what it owns |
//! |---|---|
//! | `replay` | a log as a state, from the newest checkpoint file that fits |
//! | `checkpoint_files` | the files that views are saved in |
//! | `index_definitions` | `meta.json` |
//! | `crash_tail` | the end of a log: what a crash has left, or damage |
//! | `unfinished_repair` | the op of a repair that was not acknowledged |
//! | `copied_log` | a log that was written aside, checked |

mod checkpoint_files;
mod copied_log;
mod crash_tail;
mod index_definitions;
mod replay;
mod unfinished_repair;

pub(super) use checkpoint_files::{
    ignored, read_saved, remove_saved, remove_saved_from, save, saved_names, saved_seqs, seal_in,
};
pub(super) use copied_log::check_copy;
pub(super) use crash_tail::Opening;
pub(super) use index_definitions::{
    Changed, Definition, META_CONTEXT, definitions_text, has_indexes, read_definitions, read_meta,
};
pub(super) use replay::{Folded, LogSource, fold_from_start, fold_log, is_usable, replay_into};
pub(super) use unfinished_repair::{Cut, REPAIR_CLIENT, UnfinishedRepair};
