//! Any bytes as a query.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

use nedb_core::Database;
use std::sync::LazyLock;

static DATABASE: LazyLock<Database> = LazyLock::new(entries::database_to_query);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::nql(&DATABASE, bytes));
