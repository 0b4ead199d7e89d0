//! How bytes that leave memory are protected.
//!
//! In: bytes, and the context that they belong to. Out: bytes as they are stored, and back.
//!
//! Invariants:
//! * What was sealed in one context opens in no other.
//! * `address` tells nothing of the bytes to who does not hold the key, where there is one.

use crate::error::Result;
use crate::hash::Hash;

/// How a database protects what it stores.
#[derive(Debug)]
pub(crate) enum Protection {
    /// Not at all: bytes are stored as they are.
    Plain,
}

impl Protection {
    /// Names a chunk, given what it hashes to as a leaf: in a plain database that is its name.
    pub fn address(&self, leaf: &Hash) -> Hash {
        match self {
            Protection::Plain => *leaf,
        }
    }

    /// Makes of bytes what is stored of them.
    ///
    /// Errors: `IntegrityError`.
    pub fn seal(&self, _context: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Protection::Plain => Ok(bytes),
        }
    }

    /// Makes of what is stored the bytes that were sealed in the same context.
    ///
    /// Errors: `IntegrityError`.
    pub fn open(&self, _context: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Protection::Plain => Ok(bytes),
        }
    }
}
