//! Any bytes as saved views, under a checksum that fits. Seed it with checkpoint files less their first 20
//! bytes.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a database");
    entries::write_checkpointed(folder.path());
    folder
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::open_checkpoint_bytes(FOLDER.path(), bytes));
