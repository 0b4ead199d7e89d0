//! Any bytes as a pack of files. Seed it with the packs of tests/fixtures/format.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a database");
    entries::write_files(folder.path());
    folder
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::open_pack_bytes(FOLDER.path(), bytes));
