//! When a write is acknowledged.

use crate::error::{Error, Result};

/// When a write to a disk is acknowledged, and so what a crash of the machine may take.
///
/// Whatever is chosen, a crash of the process alone takes nothing that was acknowledged, and what is
/// found after a crash is a prefix of what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After it is on the disk: a crash takes nothing.
    #[default]
    Always,
    /// After it is with the operating system, which is told to put it on the disk every so many
    /// milliseconds: a crash takes what was written since, and during the sync.
    Interval {
        /// The time between two syncs, at least 1.
        milliseconds: u64,
    },
    /// After it is with the operating system, which decides when: a crash takes what it had not got
    /// round to, usually half a minute of writes.
    Never,
}

impl Durability {
    /// Reads `"always"`, `"never"`, or a number of milliseconds between two syncs.
    ///
    /// Errors: `InvalidArgument`.
    pub fn parse(text: &str) -> Result<Durability> {
        match (text, text.parse()) {
            ("always", _) => Ok(Durability::Always),
            ("never", _) => Ok(Durability::Never),
            (_, Ok(milliseconds)) if milliseconds > 0 => Ok(Durability::Interval { milliseconds }),
            _ => Err(Error::invalid(format!(
                "durability is \"always\", \"never\" or a number of milliseconds, not {text:?}"
            ))),
        }
    }
}
