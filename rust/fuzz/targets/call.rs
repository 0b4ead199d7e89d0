//! Any texts as those of a call. Seeds are made by `scripts/make_fuzz_seeds.py`.
#![no_main]

#[allow(dead_code, reason = "each target uses a part of this")]
#[path = "../../nedb-core/tests/support/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::call(bytes));
