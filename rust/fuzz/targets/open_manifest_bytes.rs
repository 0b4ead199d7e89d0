//! Any bytes as the list of a file's chunks. Seed it with `NEDBman1`.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;
#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/mutate.rs"]
mod mutate;

/// Cuts a log into lines with their newlines, as `mutate` asks for.
fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split_inclusive(|byte| *byte == b'\n').collect()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("there is room for a database");
    entries::open_manifest_bytes(folder.path(), bytes, mutate::rehashed);
});
