//! Any bytes as the definitions of indexes, `meta.json`.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("there is room for a database");
    entries::open_settings_bytes(folder.path(), bytes);
});
