//! Any bytes as a log. Seed it with the logs of tests/fixtures/format.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("there is room for a log"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::open_log_bytes(FOLDER.path(), bytes));
