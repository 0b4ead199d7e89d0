//! Where bytes from outside come in: what the fuzz targets and the property tests call.
//!
//! Each takes any bytes. Whatever they are, nothing panics, an error has a code that its call may give,
//! and what was taken is read back as it was taken.

use nedb_core::{
    BackupOptions, Database, ErrorCode, FileAt, IndexKind, Options, Params, ReadOptions, Tier, Tmk,
    Value, WriteOptions,
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
    let is_right = db.verify_determinism().expect("the log can be read");
    assert!(is_right || report.checkpoint_seq.is_some());
    let verified = db.verify_report().expect("the log can be read");
    assert_eq!((verified.damage, verified.ok), (None, is_right));
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

/// The files of `write_files`.
const FILES: [(&str, Tier, usize); 3] =
    [("short", Tier::Warm, 100), ("long", Tier::Warm, 40_000), ("cold", Tier::Cold, 9_000)];

fn file_bytes(count: usize) -> Vec<u8> {
    (0..count as u32).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect()
}

/// Makes a database with files, and returns its pack: what `open_pack_bytes` takes.
pub fn write_files(folder: &Path) -> Vec<u8> {
    let db = Database::open(folder, Options::default()).expect("a new database opens");
    for (name, tier, count) in FILES {
        let put = db.put_file(name, &file_bytes(count), tier, &WriteOptions::default());
        put.expect("it can be put");
    }
    db.close().expect("it can be closed");
    std::fs::read(folder.join(PACK)).expect("it is there")
}

const PACK: &str = "blobs/000001.pack";

/// Opens the database of `write_files` with other bytes as its pack: what is read is what was put, or an error
/// says that it is damaged; and what is sound is copied and kept.
pub fn open_pack_bytes(folder: &Path, pack: &[u8]) {
    for file in std::fs::read_dir(folder.join("blobs")).expect("the folder is there") {
        std::fs::remove_file(file.expect("it has files").path()).expect("they can be removed");
    }
    std::fs::write(folder.join(PACK), pack).expect("the pack can be written");
    let db = Database::open(folder, Options::default()).expect("the log is good");
    let sound = read_files(&db);
    let report = db.verify_files(&mut |_, _| Ok(())).expect("the packs can be read");
    assert_eq!(report.ok, sound.len() == FILES.len(), "{report:?}");
    let copy = tempfile::tempdir().expect("there is room for a copy");
    let options = BackupOptions { skip_damaged_files: true };
    db.backup_with(copy.path().join("it"), &options).expect("what is sound can be copied");
    let copied = Database::open(copy.path().join("it"), Options::default()).expect("it opens");
    assert_eq!(read_files(&copied), sound);
    db.compact_blobs().expect("what is damaged stays");
    assert_eq!(read_files(&db), sound);
    drop(db);
    let db = Database::open(folder, Options::default()).expect("the log is good");
    assert_eq!(read_files(&db), sound);
}

/// Reads the files of `write_files`, and returns the names of those that are there.
fn read_files(db: &Database) -> Vec<&'static str> {
    let is_sound =
        |(name, _, count): &(&str, Tier, usize)| match db.get_file(name, &FileAt::default()) {
            Ok(found) => {
                assert!(found == file_bytes(*count), "{name} has other bytes");
                true
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::IntegrityError, "{error}");
                false
            }
        };
    FILES.iter().filter(|file| is_sound(file)).map(|(name, ..)| *name).collect()
}

/// Gives a line of a log, by its number, the hash that its text has.
pub type Rehash = fn(&[u8], usize) -> Vec<u8>;

/// Opens a database in an empty folder whose second file has any bytes as the list of its chunks: they are the
/// first file, and so stand in a pack under their own name.
pub fn open_manifest_bytes(folder: &Path, bytes: &[u8], rehashed: Rehash) {
    // What is short is one chunk, and then the root of a file is the name of that chunk.
    let bytes = bytes.get(..4_000).unwrap_or(bytes);
    let db = Database::open(folder, Options::default()).expect("a new database opens");
    let none = WriteOptions::default();
    db.put_file("list", bytes, Tier::Warm, &none).expect("it can be put");
    db.put_file("listed", b"some", Tier::Warm, &none).expect("it can be put");
    let root = db.file_root("list", &FileAt::default()).expect("it was put");
    db.close().expect("it can be closed");
    let log = std::fs::read_to_string(folder.join("log.aof")).expect("it is there");
    let (front, rest) = log.rsplit_once("\"manifest\":\"").expect("the op of a file names a list");
    let log = format!("{front}\"manifest\":\"{root}{}", &rest[64..]);
    std::fs::write(folder.join("log.aof"), rehashed(log.as_bytes(), 1)).expect("it can be written");
    let db = Database::open(folder, Options::default()).expect("the log fits");
    assert_eq!((db.seq(), db.verify().expect("the log can be read")), (1, true));
    assert!(db.get_file("list", &FileAt::default()).expect("it was put") == bytes);
    match db.get_file("listed", &FileAt::default()) {
        // The list of a file of the same chunk would be its own.
        Ok(found) => assert_eq!(found, b"some"),
        Err(error) => assert_eq!(error.code(), ErrorCode::IntegrityError, "{error}"),
    }
    let report = db.verify_files(&mut |_, _| Ok(())).expect("the packs can be read");
    assert!(report.ok || report.damages.list[0].name == "listed", "{report:?}");
    db.compact_blobs().expect("what cannot be judged stays");
    assert!(db.get_file("list", &FileAt::default()).expect("it was put") == bytes);
}

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
            let Value::Object(mut members) = value else { unreachable!("a document") };
            // Not the first like it in the text, which may be a member's member.
            members.iter_mut().filter(|(key, _)| key.as_str() == "_seq").for_each(|(_, seq)| {
                assert_eq!(std::mem::replace(seq, Value::Int(1)), Value::Int(0));
            });
            assert_eq!(again, Value::Object(members).to_text());
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

/// What stands between the texts of a call in the bytes that `call` takes.
pub const BETWEEN_TEXTS: char = '\u{1f}';

/// The count of calls that `call` knows.
pub const CALL_COUNT: u8 = 10;

/// Makes a call whose number is the first byte and whose texts are the rest: what is refused leaves no trace, and
/// what is taken follows from the log.
pub fn call(bytes: &[u8]) {
    let Some((number, texts)) = bytes.split_first() else { return };
    let Ok(texts) = std::str::from_utf8(texts) else { return };
    let texts: Vec<&str> = texts.split(BETWEEN_TEXTS).collect();
    let db = database_to_query();
    db.create_index("c", "n", IndexKind::Ordered).expect("an index can be made");
    let before = (db.seq(), db.head(), db.indexes().expect("it is open"));
    let answer = call_with(&db, number % CALL_COUNT, |index| texts.get(index).copied());
    if let Err(error) = answer {
        let known = [
            ErrorCode::InvalidArgument,
            ErrorCode::LimitExceeded,
            ErrorCode::NqlError,
            ErrorCode::ReplayError,
            ErrorCode::IdempotencyConflict,
            ErrorCode::PreconditionFailed,
        ];
        assert!(known.contains(&error.code()), "{error}");
        assert_eq!((db.seq(), db.head(), db.indexes().expect("it is open")), before);
    }
    assert!(db.verify().expect("memory can be read"));
    assert!(db.verify_determinism().expect("memory can be read"));
}

/// Makes one of the calls that take texts.
fn call_with<'t>(
    db: &Database,
    number: u8,
    text: impl Fn(usize) -> Option<&'t str>,
) -> Result<(), nedb_core::Error> {
    let (first, second, third) =
        (text(0).unwrap_or_default(), text(1).unwrap_or_default(), text(2).unwrap_or_default());
    let owned = |index: usize| text(index).map(str::to_owned);
    let options = WriteOptions {
        client: owned(1),
        idem: owned(2),
        valid_from: owned(3),
        valid_to: owned(4),
        evidence: owned(5),
        ..WriteOptions::default()
    };
    match number {
        0 => db.put_many_json(first, second, &WriteOptions::default()).map(drop),
        1 => {
            db.batch(first, &WriteOptions { client: owned(1), idem: owned(2), ..none() }).map(drop)
        }
        2 => db.put("c", "a", first, &options).map(drop),
        3 => Params::from_json(second).and_then(|params| db.query(first, &params)).map(drop),
        4 => db.link(first, second, third, &none()).map(drop),
        5 => {
            let options = ReadOptions { as_of: None, valid_as_of: owned(2) };
            db.get(first, second, &options).map(drop)
        }
        6 => IndexKind::parse(third).and_then(|kind| db.create_index(first, second, kind)),
        7 => db.put_file(first, second.as_bytes(), Tier::Warm, &none()).map(drop),
        8 => db.put(first, second, third, &none()).map(drop),
        _ => db.neighbors(first, second, None).map(drop),
    }
}

fn none() -> WriteOptions {
    WriteOptions::default()
}

/// Opens a database whose `meta.json` holds any bytes: its documents are there, or an error names the file.
pub fn open_settings_bytes(folder: &Path, bytes: &[u8]) {
    let db = Database::open(folder, Options::default()).expect("a database opens");
    if db.seq() < 0 {
        db.put("c", "a", r#"{"n":1}"#, &none()).expect("it can be put");
    }
    db.close().expect("it can be closed");
    std::fs::write(folder.join("meta.json"), bytes).expect("the file can be written");
    match Database::open(folder, Options::default()) {
        Ok(db) => {
            let listed = db.indexes().expect("it is open");
            assert!(db.get("c", "a", &ReadOptions::default()).expect("it is open").is_some());
            db.create_index("c", "z", IndexKind::Eq).expect("an index can be made");
            db.close().expect("it can be closed");
            let db = Database::open(folder, Options::default()).expect("what opened opens again");
            let again = db.indexes().expect("it is open");
            assert!(listed.iter().all(|index| again.contains(index)), "{listed:?} {again:?}");
        }
        Err(error) => {
            assert!(error.to_string().contains("meta.json"), "{error}");
            std::fs::remove_file(folder.join("meta.json")).expect("it is there");
        }
    }
}
