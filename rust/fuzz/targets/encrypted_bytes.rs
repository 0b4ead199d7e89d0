//! A key file and a log of an encrypted database, of any bytes: the first part of the input is `key.enc`, or,
//! when it is empty, that of a real database is taken.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../nedb-core/tests/support/entries.rs"]
#[allow(dead_code)]
mod entries;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (key_file, log) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&[][..], bytes),
    };
    entries::open_encrypted_bytes(folder.path(), key_file, log);
});
