//! The files of NEDB 1.x, whose bytes stand in `snapshot.json` and nowhere else.
//!
//! In: the text of that file. Out: the leaves of a version of a file, and the chunks.
//!
//! 1.x kept files of one name apart by tier, each with versions of its own. A chunk is zlib in the warm tier
//! and xz in the cold one, in base64, under its leaf.
//!
//! Invariants:
//! * A chunk is handed out only if it hashes to its leaf.
//! * The file is read, never written.

use crate::crypto::{Protection, is_envelope, is_legacy_envelope};
use crate::error::{Error, ErrorCode, Result};
use crate::hash::{Hash, hash_from_hex};
use crate::json::{canonicalize_legacy, elements, members, string_text};
use crate::limits::{LEGACY_CHUNK_BYTES_MAX, LEGACY_XZ_MEMORY_KIB};
use crate::merkle::{Tree, leaf_hash_in};
use crate::op::Tier;
use crate::store::LEGACY_STATE_FILE_NAME;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hashbrown::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// The files of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct LegacyFiles {
    text: String,
    /// Where the base64 of each chunk stands in the text.
    chunks: HashMap<(Tier, Hash), Range<usize>>,
    /// The leaves of each version.
    files: HashMap<(Tier, String), Vec<Vec<Hash>>>,
    /// What each chunk is sealed with once more: 1.x did that when it encrypted the snapshot.
    chunk_protection: Option<Arc<Protection>>,
}

impl LegacyFiles {
    /// Reads a snapshot.
    ///
    /// Errors: `KeyRequired` for one that is encrypted in a plain database, `IntegrityError` for one that
    /// is none, or plain in an encrypted database.
    pub fn parse(bytes: &[u8], protection: Arc<Protection>) -> Result<LegacyFiles> {
        let opened = protection.open_text(LEGACY_STATE_FILE_NAME.as_bytes(), bytes)?;
        if opened.is_none() && is_envelope(bytes) {
            return Err(Error::new(
                ErrorCode::KeyRequired,
                "snapshot.json, which holds the bytes of files of NEDB 1.x, is encrypted",
            ));
        }
        if opened.is_none() && protection.as_sealed().is_some() {
            return Err(damaged("it is not encrypted, and the database is"));
        }
        let given = match &opened {
            Some(opened) => opened,
            None => std::str::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8"))?,
        };
        let mut text = String::new();
        canonicalize_legacy(given, &mut text).map_err(|error| damaged(error.message()))?;
        let (mut chunks, mut files) = (HashMap::new(), HashMap::new());
        let blobs = members(&text).find(|(key, _)| *key == "blobs").map_or("{}", |(_, it)| it);
        for (tier, store) in members(blobs) {
            let Ok(tier) = Tier::parse(tier) else { continue };
            for (key, value) in members(store) {
                match key {
                    "chunks" => read_chunks(&text, tier, value, &mut chunks),
                    "files" => read_files(tier, value, &mut files),
                    _ => {}
                }
            }
        }
        let chunk_protection = is_legacy_envelope(bytes).then_some(protection);
        Ok(LegacyFiles { text, chunks, files, chunk_protection })
    }

    /// Returns the leaves of a version's chunks; None where the snapshot does not hold it.
    pub fn leaves(&self, tier: Tier, name: &str, version: u64) -> Option<&[Hash]> {
        let versions = self.files.get(&(tier, name.to_owned()))?;
        versions.get(usize::try_from(version).ok()?).map(Vec::as_slice)
    }

    /// Appends a chunk to `out`.
    ///
    /// Errors: `IntegrityError`.
    pub fn read_chunk(&self, tier: Tier, leaf: &Hash, out: &mut Vec<u8>) -> Result<()> {
        let place = self.chunks.get(&(tier, *leaf)).and_then(|place| self.text.get(place.clone()));
        let base64 = place.ok_or_else(|| Error::integrity("it is not in snapshot.json"))?;
        let unreadable = || Error::integrity("its text in snapshot.json is damaged");
        let mut stored = STANDARD.decode(base64).map_err(|_| unreadable())?;
        if let Some(protection) = &self.chunk_protection {
            stored = protection.open_legacy(stored)?;
        }
        let chunk = match tier {
            Tier::Warm => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(
                &stored,
                LEGACY_CHUNK_BYTES_MAX,
            )
            .map_err(|_| unreadable())?,
            Tier::Cold => from_xz(&stored).ok_or_else(unreadable)?,
        };
        if leaf_hash_in(Tree::Nedb1, &chunk) != *leaf {
            return Err(Error::integrity("its content is not what it was"));
        }
        out.extend_from_slice(&chunk);
        Ok(())
    }
}

fn damaged(reason: &str) -> Error {
    Error::integrity(format!("snapshot.json is damaged: {reason}"))
}

fn read_chunks(
    text: &str,
    tier: Tier,
    object: &str,
    chunks: &mut HashMap<(Tier, Hash), Range<usize>>,
) {
    for (key, value) in members(object) {
        let start = value.as_ptr() as usize - text.as_ptr() as usize;
        let is_text = value.len() >= 2 && value.starts_with('"');
        if let Some(leaf) = hash_from_hex(key).filter(|_| is_text) {
            chunks.insert((tier, leaf), start + 1..start + value.len() - 1);
        }
    }
}

fn read_files(tier: Tier, object: &str, files: &mut HashMap<(Tier, String), Vec<Vec<Hash>>>) {
    for (name, file) in members(object) {
        let Some(name) = string_text(&format!("\"{name}\"")).map(|name| name.into_owned()) else {
            continue;
        };
        let list = members(file).find(|(key, _)| *key == "versions").map_or("[]", |(_, it)| it);
        let leaf = |text: &str| hash_from_hex(&string_text(text)?);
        let leaves = |version| elements(version).filter_map(leaf).collect();
        files.insert((tier, name), elements(list).map(leaves).collect());
    }
}

fn from_xz(stored: &[u8]) -> Option<Vec<u8>> {
    let mut chunk = Vec::new();
    let reader = lzma_rust2::XzReader::new_mem_limit(stored, false, LEGACY_XZ_MEMORY_KIB);
    reader.take(LEGACY_CHUNK_BYTES_MAX as u64).read_to_end(&mut chunk).ok()?;
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_is_none_is_a_typed_error() {
        for text in ["", "[", "nonsense", "{\"blobs\":"] {
            let error =
                LegacyFiles::parse(text.as_bytes(), Arc::new(Protection::Plain)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::IntegrityError, "{text}");
        }
        assert_eq!(
            LegacyFiles::parse(b"{\"enc\":1,\"ct\":\"\"}", Arc::new(Protection::Plain))
                .unwrap_err()
                .code(),
            ErrorCode::KeyRequired
        );
        for text in
            ["{}", "{\"blobs\":7}", "{\"blobs\":{\"warm\":{\"chunks\":[1],\"files\":{\"a\":2}}}}"]
        {
            let files = LegacyFiles::parse(text.as_bytes(), Arc::new(Protection::Plain)).unwrap();
            assert_eq!(files.leaves(Tier::Warm, "a", 0), None, "{text}");
        }
    }
}
