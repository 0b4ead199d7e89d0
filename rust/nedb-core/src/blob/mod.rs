//! The bytes of files: cut into chunks, stored once each, compressed, in packs.
//!
//! In: a file's bytes as a stream. Out: the leaf of the manifest that lists its chunks; and the bytes again,
//! chunk by chunk, each checked.
//!
//! Invariants:
//! * What is stored is found by its content, and by nothing else.
//! * A chunk's leaf (`merkle`) is the one hash that is made of its bytes, writing and reading.
//! * Packs hold no truth: what is referred to stands in the log.
//!
//! | file | what it owns |
//! |---|---|
//! | `chunk` | a stream as chunks, cut by content |
//! | `manifest` | the list of a file's chunks |
//! | `tier` | zstd, quickly or as much as possible |
//! | `frame` | chunks that are compressed together: one record of a pack |
//! | `pack` | pack files: list, append |
//! | `synced` | from where on packs may not be on the disk |
//! | `shelf` | which chunk stands where, and who relies on it |
//! | `check` | every frame, read and hashed; what nothing refers to, counted |
//! | `chunks` | the store: find, append, sync, read |
//! | `copy` | chunks copied into new packs |
//! | `compact` | what nothing refers to, given back |
//! | `encrypt` | packs of a plain database, encrypted |
//! | `legacy` | the files of NEDB 1.x, in `snapshot.json` |

mod check;
mod chunk;
mod chunks;
mod compact;
mod copy;
mod encrypt;
mod frame;
mod legacy;
mod manifest;
mod pack;
mod shelf;
mod synced;
#[cfg(test)]
mod tests;
mod tier;
mod writer;

pub(crate) use chunks::{ChunkStore, FrameCache};
pub(crate) use compact::Live;
pub(crate) use copy::Uncopied;
pub(crate) use encrypt::{encrypt_packs, packs_bytes};
pub(crate) use legacy::LegacyFiles;
pub(crate) use manifest::Manifest;
pub(crate) use pack::foreign_names;
pub(crate) use writer::{BytesWriter, Written};
