//! A disk that fails and crashes on purpose: the file system of tests that ask what is left.
//!
//! In: what an engine asks of a file system. Out: every state in which a crash may leave the disk.
//!
//! The model is the weakest that POSIX and the manuals of Linux allow, not what a certain file system does:
//!
//! * What was written is in the cache, where everybody reads it, and on the disk once its file was synced.
//!   Before that a crash keeps any part of it: nothing, all, the first bytes, or single sectors of
//!   512 bytes, late ones without early ones. What is missing below the end of a file is zeros.
//! * Names are part of their directory alone. A file's sync says nothing about them; until the directory
//!   was synced each creation, renaming and removal is kept or lost by itself. A renaming is never half done.
//! * After a failed sync of a file its bytes are in the cache and called clean, and may not be on the
//!   disk. A later sync that succeeds proves nothing of them; only writing them once more does.
//! * After a failed sync of a directory, or of a cut, the next one that succeeds proves what it says.
//! * A process that ends leaves the cache as it is, and its locks are free.
//!
//! Not simulated: bytes that nobody wrote in place of zeros, a disk that loses what was synced, a
//! removal of a directory that is not empty, links.
//!
//! Invariants:
//! * Everything is decided by the calls made and a seed: a run that fails can be repeated.
//!
//! | file | what it owns |
//! |---|---|
//! | `disk` | the file system: counts the calls that change something, and lets some of them fail, or one be the last |
//! | `tree` | directories, files, and what of them is synced |
//! | `content` | the bytes of one file, synced and not, and what a crash may leave of them |
//! | `images` | the disks that a crash may leave |
//! | `random` | numbers from a seed |

mod content;
mod disk;
mod images;
mod random;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use disk::{Call, Failure, FaultDisk, Lie};
pub(crate) use images::Image;
pub(crate) use random::Random;
