//! Sealed bytes: files and parts of files, each bound to what it is.
//!
//! In: bytes, and a context that says what they are. Out: the same when plain; when sealed a byte 2, the
//! session's id, the counter (8 bytes, highest first), the ciphertext and its tag.
//!
//! Invariants:
//! * What was sealed opens in the same database and the same context alone: the associated data are
//!   `NEDB-blob-v2`, the database's id and the context.
//! * The database's id is derived from its data key, so that nothing on the disk can say another.

use super::cipher::{Cipher, NONCE_BYTES, TAG_BYTES, derive};
use super::keys::DataKey;
use super::random::Randomness;
use super::session::{SESSION_ID_BYTES, SessionId, Sessions, nonce_of};
use crate::error::{Error, Result};
use crate::hash::{Hash, keyed_digest};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of the id and the counter that stand before a ciphertext.
pub(super) const PREFIX_BYTES: usize = SESSION_ID_BYTES + 8;

const VERSION: u8 = 2;
const BLOB_AAD: &[u8] = b"NEDB-blob-v2";
const LEGACY_AAD: &[u8] = b"NEDB-data-v1";
const DATABASE_INFO: &[u8] = b"nedb-database";
const NAME_INFO: &[u8] = b"nedb-chunk-name";
const DATABASE_ID_BYTES: usize = 16;

/// How the bytes of a database are kept from who has no key.
#[derive(Debug)]
pub(crate) enum Protection {
    /// They are not.
    Plain,
    /// Encrypted, and bound to what they are.
    Sealed(Box<Sealed>),
}

/// What an encrypted database seals and opens with.
pub(crate) struct Sealed {
    pub(super) sessions: Sessions,
    /// The data key itself, with which NEDB 1.x sealed.
    legacy: Cipher,
    database_id: [u8; DATABASE_ID_BYTES],
    name_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealed(…)")
    }
}

impl Protection {
    /// Makes the protection of an encrypted database from its data key.
    ///
    /// `process_id` says which process this is: a fork of one that seals must not go on with its nonces.
    pub fn sealed(
        key: DataKey,
        random: Arc<dyn Randomness>,
        process_id: fn() -> u32,
    ) -> Protection {
        Protection::Sealed(Box::new(Sealed {
            legacy: Cipher::new(&key.0),
            database_id: *derive(&*key.0, &[], DATABASE_INFO),
            name_key: derive(&*key.0, &[], NAME_INFO),
            sessions: Sessions::new(key, random, process_id),
        }))
    }

    /// Returns what seals, or None in a plain database.
    pub fn as_sealed(&self) -> Option<&Sealed> {
        match self {
            Protection::Plain => None,
            Protection::Sealed(sealed) => Some(sealed),
        }
    }

    /// Names a chunk, given what it hashes to as a leaf: in a plain database that is its name; in an
    /// encrypted one it is keyed, so that it says nothing to who has no key, not even that the chunk is one
    /// that he knows.
    pub fn address(&self, leaf: &Hash) -> Hash {
        match self {
            Protection::Plain => *leaf,
            Protection::Sealed(sealed) => keyed_digest(&sealed.name_key, leaf),
        }
    }

    /// Seals bytes as what the context says; a plain database leaves them as they are.
    ///
    /// Cost: one pass and one copy; 41 bytes more. Errors: `StorageError` when there is no randomness.
    pub fn seal(&self, context: &[u8], bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Protection::Sealed(sealed) = self else { return Ok(bytes) };
        let mut out = Vec::with_capacity(1 + PREFIX_BYTES + bytes.len() + TAG_BYTES);
        out.push(VERSION);
        sealed.seal_into(&sealed.associated(BLOB_AAD, context), &bytes, &mut out)?;
        Ok(out)
    }

    /// Opens what was sealed as what the context says.
    ///
    /// Cost: one pass, in place. Errors: `IntegrityError` when it was changed, or sealed elsewhere or as
    /// something else.
    pub fn open(&self, context: &[u8], mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Protection::Sealed(sealed) = self else { return Ok(bytes) };
        let opened = match split_prefix(bytes.get(1..).unwrap_or_default()) {
            Some((id, counter)) if bytes.first() == Some(&VERSION) => {
                let associated = sealed.associated(BLOB_AAD, context);
                let start = 1 + PREFIX_BYTES;
                let cipher = sealed.sessions.cipher(&id);
                cipher.open(nonce_of(counter), &associated, &mut bytes, start).is_ok()
            }
            _ => false,
        };
        if !opened {
            return Err(Error::integrity(format!(
                "{} does not authenticate: it was changed, or sealed as something else or by another \
                 database",
                String::from_utf8_lossy(context)
            )));
        }
        bytes.drain(..1 + PREFIX_BYTES);
        Ok(bytes)
    }

    /// Opens bytes that NEDB 1.x sealed: a nonce of 12 bytes, the ciphertext, its tag.
    ///
    /// Errors: `IntegrityError`.
    pub fn open_legacy(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Protection::Sealed(sealed) = self else { return Ok(bytes) };
        let nonce = bytes.first_chunk().copied().unwrap_or_default();
        if !sealed.open_legacy_in_place(nonce, &mut bytes, NONCE_BYTES) {
            return Err(Error::integrity("what NEDB 1.x sealed was changed, or has another key"));
        }
        bytes.drain(..NONCE_BYTES);
        Ok(bytes)
    }
}

impl Sealed {
    /// Appends the session's id, the counter, the ciphertext of `plain` and its tag.
    pub(super) fn seal_into(
        &self,
        associated: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let seal = self.sessions.next_seal()?;
        out.extend_from_slice(&seal.id);
        out.extend_from_slice(&seal.counter.to_be_bytes());
        let start = out.len();
        out.extend_from_slice(plain);
        seal.cipher
            .seal(nonce_of(seal.counter), associated, out, start)
            .map_err(|_| Error::limit("it is too long to be sealed in one piece"))
    }

    /// Returns associated data: what kind of thing, of which database, which of them.
    pub(super) fn associated(&self, kind: &[u8], which: &[u8]) -> Vec<u8> {
        [kind, &self.database_id, which].concat()
    }

    /// Opens ciphertext and tag of NEDB 1.x, which stand in `bytes` from `start` on; tells whether they
    /// authenticate.
    pub(super) fn open_legacy_in_place(
        &self,
        nonce: [u8; NONCE_BYTES],
        bytes: &mut Vec<u8>,
        start: usize,
    ) -> bool {
        self.legacy.open(nonce, LEGACY_AAD, bytes, start).is_ok()
    }
}

/// Reads the session's id and the counter from the front of sealed bytes.
pub(super) fn split_prefix(bytes: &[u8]) -> Option<(SessionId, u64)> {
    let (id, rest) = bytes.split_first_chunk()?;
    Some((*id, u64::from_be_bytes(*rest.first_chunk()?)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::random::replayed::ReplayedRandomness;
    use super::*;
    use crate::error::ErrorCode;

    pub(crate) fn protection(key: u8, seed: u8) -> Protection {
        let random = Arc::new(ReplayedRandomness::new(seed));
        Protection::sealed(DataKey([key; 32].into()), random, || 1)
    }

    fn is_refused(opened: Result<Vec<u8>>) -> bool {
        opened.is_err_and(|error| error.code() == ErrorCode::IntegrityError)
    }

    #[test]
    fn what_was_sealed_opens_in_its_database_and_its_context_alone() {
        let (mine, same, other) = (protection(1, 1), protection(1, 2), protection(2, 1));
        for plain in [&b""[..], b"x", &[7; 100_000]] {
            let sealed = mine.seal(b"chunk", plain.to_vec()).unwrap();
            assert_eq!(sealed.len(), plain.len() + 41);
            assert_eq!(mine.open(b"chunk", sealed.clone()).unwrap(), plain);
            assert_eq!(same.open(b"chunk", sealed.clone()).unwrap(), plain);
            assert!(is_refused(mine.open(b"chunk2", sealed.clone())));
            assert!(is_refused(other.open(b"chunk", sealed)));
        }
    }

    #[test]
    fn no_byte_can_be_changed_dropped_or_added_unnoticed() {
        let protection = protection(1, 1);
        let sealed = protection.seal(b"c", b"some bytes".to_vec()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(is_refused(protection.open(b"c", changed)), "byte {at}");
            assert!(is_refused(protection.open(b"c", sealed[..at].to_vec())), "cut at {at}");
        }
        assert!(is_refused(protection.open(b"c", [&sealed[..], b"\0"].concat())));
    }

    #[test]
    fn equal_bytes_are_never_sealed_alike() {
        let protection = protection(1, 1);
        let seal = || protection.seal(b"c", b"same".to_vec()).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn an_address_is_that_of_the_leaf_and_of_the_key() {
        let (plain, one, two) = (Protection::Plain, protection(1, 1), protection(2, 1));
        let leaf = [7; 32];
        assert_eq!(plain.address(&leaf), leaf);
        assert_eq!(one.address(&leaf), protection(1, 9).address(&leaf));
        assert_ne!(one.address(&leaf), one.address(&[8; 32]));
        assert_ne!(one.address(&leaf), two.address(&leaf));
        assert_ne!(one.address(&leaf), leaf);
    }

    #[test]
    fn a_plain_database_leaves_bytes_as_they_are() {
        let sealed = Protection::Plain.seal(b"c", b"abc".to_vec()).unwrap();
        assert_eq!(Protection::Plain.open(b"d", sealed).unwrap(), b"abc");
    }

    #[test]
    fn no_debug_output_holds_key_bytes() {
        assert_eq!(format!("{:?}", protection(0xab, 1)), "Sealed(Sealed(…))");
    }
}
