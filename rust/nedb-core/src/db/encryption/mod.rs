//! Which key opens a directory, and a plain one encrypted.
//!
//! | file | what it owns |
//! |---|---|
//! | `keys` | which key opens a directory; what changes the key |
//! | `in_place` | a plain database, encrypted in place |
//! | `note` | what is said of one that was |

mod in_place;
mod keys;
mod note;

pub use keys::rewrap_key;
pub(super) use keys::{check, key_required, seal_plain_meta, unlock};
