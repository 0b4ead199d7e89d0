//! Whether the log holds, and what is derived from it.
//!
//! | file | what it owns |
//! |---|---|
//! | `verify_log` | every hash, every link and every payload |
//! | `derived` | views and checkpoint files that are not what the log says |
//! | `known_log` | what is known of a log while no lock is held |

mod derived;
mod known_log;
mod verify_log;

pub use verify_log::VerifyReport;
