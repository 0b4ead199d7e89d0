//! Encryption at rest: keys, and bytes that only who holds them can read or write.
//!
//! In: the user's key, bytes. Out: sealed bytes, and bytes again; a typed error for any others.
//!
//! | file | what it owns |
//! |---|---|
//! | `random` | the only source of randomness |
//! | `keys` | the user's key, the data key, and `key.enc`, in which the one wraps the other |
//! | `cipher` | AES-256-GCM under one key, and what keys are derived from keys |
//! | `session` | under which key and nonce something is sealed: none is ever used twice |
//! | `seal` | sealed bytes: files and parts of files, bound to what they are |
//! | `envelope` | sealed lines of a log, bound to their seq, and sealed texts; those of NEDB 1.x too |

mod cipher;
mod envelope;
mod keys;
mod random;
mod seal;
mod session;

pub(crate) use envelope::{EnvelopeFault, LineOpener, is_envelope, is_legacy_envelope};
pub use keys::Tmk;
pub(crate) use keys::{DataKey, unwrap_key, wrap_key};
#[cfg(test)]
pub(crate) use random::replayed::ReplayedRandomness;
pub use random::{Randomness, SystemRandomness};
pub(crate) use seal::{Protection, Sealed};
