//! Where bytes from outside come in: what the fuzz targets and the property tests call.
//!
//! Each takes any bytes. Whatever they are, nothing panics, an error has a code that its call may give,
//! and what was taken is read back as it was taken.

use nedb_core::{
    Database, ErrorCode, IndexKind, Options, Params, ReadOptions, Tmk, Value, WriteOptions,
};
use std::path::Path;

/// Opens bytes as a log: for reading, then for writing, then once more.
pub fn open_log_bytes(folder: &Path, bytes: &[u8]) {
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        std::fs::remove_file(file.expect("it has files").path()).expect("they can be removed");
    }
    std::fs::write(folder.join("log.aof"), bytes).expect("the log can be written");
    let reader = Options { read_only: true, cache_bytes: 0, ..Options::default() };
    if let Some(db) = opened(folder, reader) {
        read_everything(&db);
    }
    let Some(db) = opened(folder, Options::default()) else { return };
    read_everything(&db);
    let is_damaged = db.open_report().damage.is_some();
    match db.put("after", "that", "{}", &WriteOptions::default()) {
        Ok(_) => assert!(!is_damaged),
        // The bytes may hold the last nonce that there is.
        Err(error) if error.code() == ErrorCode::ReplayError => assert!(!is_damaged),
        Err(error) => assert!(is_damaged && error.code() == ErrorCode::ReadOnly, "{error}"),
    }
    let (head, seq) = (db.head(), db.seq());
    db.close().expect("it can be closed");
    let db = opened(folder, Options::default()).expect("what opened once opens again");
    assert_eq!((db.head(), db.seq()), (head, seq));
}

/// Opens bytes as the key file and the log of an encrypted database; an empty key file stands for a real one.
pub fn open_encrypted_bytes(folder: &Path, key_file: &[u8], log: &[u8]) {
    let options = || Options {
        tmk: Some(Tmk::new([7; 32])),
        encrypt_existing: false,
        cache_bytes: 0,
        ..Options::default()
    };
    drop(Database::open(folder, options()).expect("a new database opens"));
    if !key_file.is_empty() {
        std::fs::write(folder.join("key.enc"), key_file).expect("the key file can be written");
    }
    std::fs::write(folder.join("log.aof"), log).expect("the log can be written");
    std::fs::remove_file(folder.join("LOCK")).expect("it was there");
    for read_only in [true, false] {
        match Database::open(folder, Options { read_only, ..options() }) {
            Ok(db) => {
                read_everything(&db);
                // Whoever has no key cannot make a line that is taken.
                assert!(db.is_encrypted() && db.seq() == -1);
            }
            Err(error) => assert!(
                [ErrorCode::WrongKey, ErrorCode::IntegrityError].contains(&error.code()),
                "{error}"
            ),
        }
    }
}

fn opened(folder: &Path, options: Options) -> Option<Database> {
    match Database::open(folder, options) {
        Ok(db) => Some(db),
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::KeyRequired, "{error}");
            None
        }
    }
}

fn read_everything(db: &Database) {
    let report = db.verify_report().expect("the log can be read");
    assert_eq!(report.ok, db.open_report().damage.is_none(), "{report:?}");
    assert!(!report.ok || db.verify_determinism().expect("the log can be read"));
    for seq in 0..=db.seq() {
        assert!(db.op(seq).expect("an op that was folded can be read").is_some());
    }
    for collection in db.collections().expect("it is open") {
        let nql = format!("FROM `{}`", collection.replace('`', "``"));
        match db.query(&nql, &Params::none()) {
            Ok(rows) => drop(rows),
            // A name of NEDB 1.x may be one that cannot be asked for.
            Err(error) => assert_eq!(error.code(), ErrorCode::NqlError, "{nql:?} {error}"),
        }
    }
}

/// Makes a database with a checkpoint that no op seals, and returns what stands after the prefix of the
/// file: what `open_checkpoint_bytes` takes.
pub fn write_checkpointed(folder: &Path) -> Vec<u8> {
    let options = Options { checkpoint_every_ops: Some(1_000_000), ..Options::default() };
    let db = Database::open(folder, options).expect("a new database opens");
    for (field, kind) in [("n", IndexKind::Ordered), ("t", IndexKind::Search), ("n", IndexKind::Eq)]
    {
        db.create_index("c", field, kind).expect("an index can be made");
    }
    let with_all = WriteOptions {
        client: Some("app".to_owned()),
        idem: Some("key".to_owned()),
        ttl_seconds: Some(1e9),
        valid_from: Some("2024-01-01".to_owned()),
        ..WriteOptions::default()
    };
    db.put("c", "first", r#"{"n":1,"t":"x y"}"#, &with_all).expect("it can be put");
    for n in 0..8 {
        let options = WriteOptions { caused_by: vec![n], ..WriteOptions::default() };
        let document = format!("{{\"n\":{n},\"t\":\"x {n}\"}}");
        db.put("c", &(n % 3).to_string(), &document, &options).expect("it can be put");
    }
    db.delete("c", "2", &WriteOptions::default()).expect("it can be deleted");
    db.link("c:0", "r", "c:1", &WriteOptions::default()).expect("it can be linked");
    db.unlink("c:0", "r", "c:1", &WriteOptions::default()).expect("it can be unlinked");
    db.link("c:0", "r", "c:1", &WriteOptions::default()).expect("it can be linked");
    db.close().expect("it can be closed");
    let file = std::fs::read(folder.join(CHECKPOINTED)).expect("closing has saved the views");
    file[CHECKPOINT_PREFIX_BYTES..].to_vec()
}

const CHECKPOINTED: &str = "checkpoint.12";
const CHECKPOINT_PREFIX_BYTES: usize = 20;

/// Opens the database of `write_checkpointed` with other views, under a checksum that fits, and asks it
/// this and that: it may know better than its log, but does not fall over.
pub fn open_checkpoint_bytes(folder: &Path, body: &[u8]) {
    let mut file = b"NEDBVIEW\x01\0\0\0".to_vec();
    file.extend_from_slice(&xxhash_rust::xxh3::xxh3_64(body).to_le_bytes());
    file.extend_from_slice(body);
    std::fs::write(folder.join(CHECKPOINTED), file).expect("the file can be written");
    let reader = Options { read_only: true, cache_bytes: 0, ..Options::default() };
    let db = Database::open(folder, reader).expect("the log is good, whatever the views are");
    let report = db.open_report();
    assert_eq!((report.damage, db.seq()), (None, 12));
    assert_eq!(
        report.checkpoint_seq.is_none(),
        report.warnings.len() == 1,
        "{:?}",
        report.warnings
    );
    for nql in CHECKPOINT_QUERIES {
        match db.query(nql, &Params::none()) {
            Ok(rows) => drop(rows),
            Err(error) => assert_eq!(error.code(), ErrorCode::IntegrityError, "{nql:?} {error}"),
        }
    }
    db.neighbors("c:0", "r", Some(10)).expect("a good node");
    db.inbound("c:1", "r", None).expect("a good node");
    assert!(db.verify().expect("the log can be read"));
    let is_right = db.verify_determinism().expect("the log can be read");
    assert!(is_right || report.checkpoint_seq.is_some());
}

const CHECKPOINT_QUERIES: [&str; 9] = [
    "FROM c",
    "FROM c AS OF 5",
    "FROM c WHERE n > 1 ORDER BY n DESC",
    "FROM c AS OF 7 WHERE n = 2",
    "FROM c SEARCH \"x\"",
    "FROM c AS OF 6 SEARCH \"x 4\"",
    "FROM c VALID AS OF \"2024-01-02\"",
    "FROM c TRACE caused_by REVERSE",
    "FROM c TRAVERSE r",
];

/// Puts bytes as a document; what is taken is canonical and stays as it is.
pub fn canonicalize(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let db = Database::in_memory(Options::default()).expect("memory opens");
    let none = WriteOptions::default();
    match db.put("c", "x", text, &none) {
        Ok(stored) => {
            let value = Value::parse(&stored).expect("what is handed out is JSON");
            assert_eq!(value.to_text(), stored, "what is handed out is canonical");
            assert!(matches!(Value::parse(text), Ok(Value::Object(_))));
            let again = db.put("c", "x", &stored, &none).expect("what is handed out can be put");
            assert_eq!(again, stored.replacen("\"_seq\":0", "\"_seq\":1", 1));
            assert_eq!(db.get("c", "x", &ReadOptions::default()).expect("it opens"), Some(again));
            assert!(db.verify().expect("memory can be read"));
        }
        Err(error) => {
            let known = [ErrorCode::InvalidArgument, ErrorCode::LimitExceeded];
            assert!(known.contains(&error.code()), "{error}");
            assert_eq!(db.seq(), -1);
        }
    }
}

/// Runs bytes as a query.
pub fn nql(db: &Database, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match db.query(text, &Params::none()) {
        Ok(rows) => rows.iter().for_each(|row| {
            Value::parse(row).unwrap_or_else(|error| unreachable!("{text}: {row}: {error}"));
        }),
        Err(error) => {
            let known = [ErrorCode::NqlError, ErrorCode::LimitExceeded, ErrorCode::InvalidArgument];
            assert!(known.contains(&error.code()), "{text}: {error}");
        }
    }
}

/// Makes a database for queries to run on.
pub fn database_to_query() -> Database {
    let db = Database::in_memory(Options::default()).expect("memory opens");
    for (id, document) in [("a", r#"{"n":1,"t":"x y","l":[1,{"m":2}]}"#), ("b", r#"{"n":2.5}"#)] {
        db.put("c", id, document, &WriteOptions::default()).expect("it can be put");
    }
    db.link("c:a", "r", "c:b", &WriteOptions::default()).expect("it can be linked");
    db
}
