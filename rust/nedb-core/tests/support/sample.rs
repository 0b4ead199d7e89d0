//! Small databases that hold every kind of op, every option and text of every kind.
//!
//! The clock is told, so the same code writes the same bytes on every machine: the fixtures of our own
//! format are made by it, and a test makes them again to see that no byte of the format moved.

use nedb_core::{Database, IndexKind, ManualClock, Options, WriteOptions};
use std::path::Path;
use std::sync::Arc;

/// When the first op is written, in seconds since 1970.
pub const START: f64 = 1_800_000_000.25;

/// Writes a database and returns when it was closed, in seconds since 1970.
pub fn write(directory: &Path, fill: fn(&Writer)) -> f64 {
    write_with(directory, Options::default(), fill)
}

/// Writes a database that is opened with such options, but for the clock.
pub fn write_with(directory: &Path, options: Options, fill: fn(&Writer)) -> f64 {
    let clock = Arc::new(ManualClock::new(START));
    let options = Options { clock: Arc::clone(&clock) as _, ..options };
    let writer = Writer { db: Database::open(directory, options).unwrap(), clock };
    fill(&writer);
    writer.db.close().unwrap();
    writer.now()
}

/// A database with the clock that it asks.
pub struct Writer {
    pub db: Database,
    clock: Arc<ManualClock>,
}

impl Writer {
    fn now(&self) -> f64 {
        nedb_core::Clock::now_seconds(&*self.clock)
    }

    fn tick(&self, seconds: f64) {
        self.clock.set(self.now() + seconds);
    }

    fn put(&self, collection: &str, id: &str, document: &str) {
        self.put_with(collection, id, document, &WriteOptions::default());
    }

    fn put_with(&self, collection: &str, id: &str, document: &str, options: &WriteOptions) {
        self.tick(1.0);
        self.db.put(collection, id, document, options).unwrap();
    }

    fn delete(&self, collection: &str, id: &str) {
        self.tick(1.0);
        self.db.delete(collection, id, &WriteOptions::default()).unwrap();
    }

    fn link(&self, from: &str, relation: &str, to: &str) {
        self.tick(1.0);
        self.db.link(from, relation, to, &WriteOptions::default()).unwrap();
    }

    fn unlink(&self, from: &str, relation: &str, to: &str) {
        self.tick(1.0);
        self.db.unlink(from, relation, to, &WriteOptions::default()).unwrap();
    }
}

/// Options with every member that a put takes.
pub fn all_options() -> WriteOptions {
    WriteOptions {
        client: Some("клиент".to_owned()),
        nonce: Some(40),
        idem: Some("ключ-🔑".to_owned()),
        ttl_seconds: Some(1e9),
        caused_by: vec![1, 0],
        evidence: Some("tool: \"x\"\n\u{7f}é".to_owned()),
        confidence: Some(0.95),
        valid_from: Some("2024-01-01".to_owned()),
        valid_to: Some("2024-06-30T12:00:00+02:00".to_owned()),
        if_seq: Some(-1),
    }
}

/// Every op kind that we write, every option, a life that ended and one that began anew.
pub fn all_kinds(writer: &Writer) {
    let db = &writer.db;
    db.create_index("users", "name", IndexKind::Eq).unwrap();
    db.create_index("users", "age", IndexKind::Ordered).unwrap();
    writer.put("users", "alice", r#"{"name":"Alice","age":31,"bio":"likes trains and tea"}"#);
    writer.put("users", "bob", r#"{"name":"Bob","age":27.5,"tags":["a",["b"]],"boss":null}"#);
    writer.put_with("facts", "a:b", r#"{"v":true}"#, &all_options());
    writer.link("users:alice", "knows", "users:bob");
    writer.link("users:alice", "knows", "facts:a:b");
    writer.tick(1.0);
    db.batch(BATCH, &WriteOptions { idem: Some("tx-1".to_owned()), ..Default::default() }).unwrap();
    writer.unlink("users:alice", "knows", "users:bob");
    writer.delete("users", "bob");
    writer.delete("users", "nobody");
    writer.put("users", "bob", r#"{"life":2}"#);
    writer.tick(1.0);
    db.expire("users", "bob", 5.0, &WriteOptions::default()).unwrap();
    writer.tick(10.0);
    assert_eq!(db.sweep().unwrap(), 1);
    db.checkpoint(Some("a mark: é")).unwrap();
    writer.tick(1.0);
    let many = [("m1", r#"{"n":1}"#), ("m2", r#"{"n":2}"#)];
    let many: Vec<_> = many.map(|(id, text)| (id.to_owned(), text.to_owned())).into();
    db.put_many("many", &many, &WriteOptions::default()).unwrap();
}

const BATCH: &str = r#"[
    {"op": "put", "coll": "users", "id": "alice", "doc": {"name": "Alice", "age": 32}, "if_seq": 0,
     "caused_by": [2], "evidence": "e", "confidence": 1, "valid_from": "2024-07-01"},
    {"op": "put", "coll": "orders", "id": "1", "doc": {"user": "users:alice", "total": 12.5}},
    {"op": "delete", "coll": "users", "id": "nobody", "caused_by": [0]},
    {"op": "link", "frm": "users:alice", "rel": "placed", "to": "orders:1", "confidence": 0.5},
    {"op": "unlink", "frm": "users:alice", "rel": "knows", "to": "facts:a:b"}
]"#;

/// Text and numbers of every kind.
pub fn texts_and_numbers(writer: &Writer) {
    let texts = [
        ("latin", "Ál çü ß"),
        ("bmp", "日本語 عربي עברית"),
        ("astral", "😀 𝄞 \u{10ffff}"),
        ("del_c1", "\u{7f}\u{80}\u{9f}"),
        ("separators", "\u{2028}\u{2029}\u{feff}\u{a0}"),
        ("private", "\u{e000}\u{ff5e}\u{fffd}\u{ffff}"),
        ("combining", "e\u{301} \u{e9}"),
        ("backslash", r"\\ \n \u0041 / </script>"),
    ];
    for (id, text) in texts {
        let quoted = nedb_core::Value::String(text.to_owned()).to_text();
        writer.put("texts", id, &format!("{{\"v\":{quoted}}}"));
    }
    let controls: String = (0_u8..32).map(char::from).collect();
    let controls = nedb_core::Value::String(controls).to_text();
    writer.put("texts", "controls", &format!("{{\"v\":{controls}}}"));
    writer.put("keys", "order", "{\"😀\":1,\"\u{ff5e}\":2,\"\u{e000}\":3,\"é\":4,\"z\":5,\"Z\":6,\
        \"_\":7,\"\":8,\" \":9,\"\\u007f\":10,\"\\n\":11,\"\\\"\":12,\"\\\\\":13,\"/\":14,\"aa\":15,\"a\":16}");
    writer.put("ключ", "ид:😀", r#"{"名":"前"}"#);
    writer.put("keys", "\u{7f}\t\"\\/", r#"{"id":"odd"}"#);
    writer.link("ключ:ид:😀", "связь", "keys:\u{7f}\t\"\\/");
    writer.put(
        "numbers",
        "ints",
        r#"{"v":[0,-0,1,-1,9007199254740993,9223372036854775807,
        -9223372036854775808,9223372036854775808,18446744073709551615]}"#,
    );
    writer.put(
        "numbers",
        "doubles",
        r#"{"v":[1.0,-0.0,0.1,1e-7,0.0001,1e15,1e16,1E22,5e-324,
        1.7976931348623157e308,123456789012345680.0,0.30000000000000004,2.5E+3]}"#,
    );
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    writer.put("deep", "100", &format!("{{\"v\":{deep}}}"));
}

/// What each fixture of our format is, and what fills it.
pub const FIXTURES: [(&str, &str, fn(&Writer)); 2] = [
    (
        "all_kinds",
        "Every op kind, every option, indexes, an expiry swept, a transaction.",
        all_kinds,
    ),
    ("texts_and_numbers", "Text, member names and numbers of every kind.", texts_and_numbers),
];
