//! A directory, or memory, as a database.
//!
//! | file | what it owns |
//! |---|---|
//! | `open_directory` | what opening does, from the lock to the handle |
//! | `environment` | what the environment says of keys |
//! | `refresh` | a reader, moved on to what a writer has done since |
//! | `directory_hold` | a directory, held against everyone who would write to it |

mod directory_hold;
mod environment;
mod open_directory;
mod refresh;

pub use directory_hold::{DirectoryHold, hold_directory};
