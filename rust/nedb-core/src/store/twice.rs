//! A short text that is written over itself and may be torn: `LOCK`, and `SYNCED` beside the packs.
//!
//! In: a text. Out: a file that holds it twice; and each of the two, read back. Where a crash tore the file they
//! differ, and whoever reads both takes the one that claims less.

/// The length of a text, with its newline.
const TEXT_BYTES: usize = 64;
/// The length of the file: within a sector, which disks write whole; more is never read.
pub(crate) const FILE_BYTES: usize = 2 * TEXT_BYTES;

/// Returns what the file holds; a new text replaces an old one whole.
pub(crate) fn twice(text: &str) -> String {
    format!("{text:<width$}\n", width = TEXT_BYTES - 1).repeat(FILE_BYTES / TEXT_BYTES)
}

/// Returns the texts of a file, with what pads them; those that are none are left out.
pub(crate) fn texts(file: &[u8]) -> impl Iterator<Item = &str> {
    let texts = file.chunks(TEXT_BYTES).take(FILE_BYTES / TEXT_BYTES);
    texts.filter_map(|text| std::str::from_utf8(text).ok())
}
