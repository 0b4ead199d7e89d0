//! The views, saved: when asked for, when closing, and every so many ops.
//!
//! | file | what it owns |
//! |---|---|
//! | `save` | `checkpoint()` and `save_checkpoint()` |
//! | `auto_checkpoint` | the thread that saves them every so many ops, and what is known of what is saved |

mod auto_checkpoint;
mod save;

pub(super) use auto_checkpoint::{AutoCheckpoint, auto_checkpoint_of};
