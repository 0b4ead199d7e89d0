//! Calls that are refused, and that nothing is left of them.

use nedb_core::{Database, ErrorCode, WriteOptions};
use std::collections::BTreeMap;
use tempfile::TempDir;

/// A database in memory and one on a disk, with something in them.
pub struct Databases {
    pub all: Vec<Database>,
    folder: TempDir,
}

impl Databases {
    /// Makes both, with two versions of one document in each.
    pub fn new() -> Databases {
        let folder = tempfile::tempdir().unwrap();
        let memory = Database::in_memory(super::options(super::NOW)).unwrap();
        let all = vec![memory, super::open(folder.path())];
        for db in &all {
            db.put("c", "there", r#"{"n":1}"#, &none()).unwrap();
            db.put("c", "there", r#"{"n":2}"#, &none()).unwrap();
        }
        Databases { all, folder }
    }

    /// Sees that a call is refused, each time, and that nothing is left of it.
    pub fn refuse<T: std::fmt::Debug>(
        &self,
        name: &str,
        expected: ErrorCode,
        call: impl Fn(&Database) -> nedb_core::Result<T>,
    ) {
        for db in &self.all {
            let before = self.trace(db);
            assert_eq!(super::code(call(db)), expected, "{name}");
            assert_eq!(self.trace(db), before, "{name}: the refusal left a trace");
            let seq = db.seq();
            db.put("next", "write", "{}", &none())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(db.seq(), seq + 1, "{name}");
        }
    }

    /// Sees that a put with these options is refused.
    pub fn refuse_options(&self, name: &str, expected: ErrorCode, options: WriteOptions) {
        self.refuse(name, expected, |db| db.put("c", "x", "{}", &options));
    }

    /// Sees that a transaction is refused.
    pub fn refuse_batch(&self, expected: ErrorCode, items: &str) {
        self.refuse(items, expected, |db| db.batch(items, &none()));
    }

    fn trace(&self, db: &Database) -> (i64, String, Vec<String>, BTreeMap<String, Vec<u8>>) {
        (db.seq(), db.head(), super::contents(db).unwrap(), super::files(self.folder.path()))
    }

    /// Verifies both, and opens the one on the disk again.
    pub fn check_at_the_end(self) {
        for db in &self.all {
            assert!(db.verify().unwrap() && db.verify_determinism().unwrap());
        }
        let [_, disk] = self.all.as_slice() else { unreachable!("there are two") };
        let (seq, head) = (disk.seq(), disk.head());
        disk.close().unwrap();
        let db = super::open(self.folder.path());
        assert_eq!((db.seq(), db.head()), (seq, head));
    }
}

/// Returns options that say nothing.
pub fn none() -> WriteOptions {
    WriteOptions::default()
}
