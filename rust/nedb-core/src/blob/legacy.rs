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

use crate::error::{Error, ErrorCode, Result};
use crate::hash::{Hash, hash_from_hex};
use crate::json::{canonicalize_legacy, elements, members, string_text};
use crate::limits::{LEGACY_CHUNK_BYTES_MAX, LEGACY_XZ_MEMORY_KIB};
use crate::merkle::{Tree, leaf_hash_in};
use crate::op::Tier;
use hashbrown::HashMap;
use std::io::Read;
use std::ops::Range;

/// The files of a snapshot.
#[derive(Debug)]
pub(crate) struct LegacyFiles {
    text: String,
    /// Where the base64 of each chunk stands in the text.
    chunks: HashMap<(Tier, Hash), Range<usize>>,
    /// The leaves of each version.
    files: HashMap<(Tier, String), Vec<Vec<Hash>>>,
}

impl LegacyFiles {
    /// Reads a snapshot.
    ///
    /// Errors: `KeyRequired` for one that is encrypted, `IntegrityError` for one that is none.
    pub fn parse(bytes: &[u8]) -> Result<LegacyFiles> {
        let given = std::str::from_utf8(bytes).map_err(|_| damaged("it is not UTF-8"))?;
        if given.starts_with("{\"enc\"") {
            return Err(Error::new(
                ErrorCode::KeyRequired,
                "snapshot.json, which holds the bytes of files of NEDB 1.x, is encrypted",
            ));
        }
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
        Ok(LegacyFiles { text, chunks, files })
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
        let stored = from_base64(base64).ok_or_else(unreadable)?;
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

/// Decodes base64 with the alphabet and the padding of RFC 4648, section 4.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits: u32 = 0;
        for digit in group {
            bits = bits << 6 | u32::from(base64_value(*digit)?);
        }
        bits <<= 6 * (4 - group.len());
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(1..group.len())?);
    }
    Some(out)
}

fn base64_value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
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
    fn base64_is_read_as_rfc_4648_says() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, text) in vectors {
            assert_eq!(from_base64(text).as_deref(), Some(plain.as_bytes()));
        }
        for text in ["Z", "Zg", "Zg=", "Z===", "Zm9-", "Zm 9"] {
            assert_eq!(from_base64(text), None, "{text:?}");
        }
        assert_eq!(from_base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }

    #[test]
    fn a_snapshot_that_is_none_is_a_typed_error() {
        for text in ["", "[", "nonsense", "{\"blobs\":"] {
            let error = LegacyFiles::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::IntegrityError, "{text}");
        }
        assert_eq!(
            LegacyFiles::parse(b"{\"enc\":1,\"ct\":\"\"}").unwrap_err().code(),
            ErrorCode::KeyRequired
        );
        for text in
            ["{}", "{\"blobs\":7}", "{\"blobs\":{\"warm\":{\"chunks\":[1],\"files\":{\"a\":2}}}}"]
        {
            let files = LegacyFiles::parse(text.as_bytes()).unwrap();
            assert_eq!(files.leaves(Tier::Warm, "a", 0), None, "{text}");
        }
    }
}
