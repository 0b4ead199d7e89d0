//! What the fuzz targets of rust/fuzz do, for as long as a test may take, on inputs that are near to
//! what is right: lines of real logs cut and joined, JSON with a slip, queries of real words.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

mod support;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::entries;

/// Cuts the lines of real logs anywhere and joins the pieces.
fn log_bytes() -> impl Strategy<Value = Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for (version, fixture) in [("2.0", "all_kinds"), ("1.2.2", "provenance"), ("1.2.2", "refused")]
    {
        let log = support::log_of(support::copy_of(version, fixture).path());
        lines.extend(support::lines(&log).into_iter().map(<[u8]>::to_vec));
    }
    let count = lines.len();
    let slip = (any::<Index>(), any::<u8>());
    (0..count, 0..8_usize, any::<Index>(), proptest::option::of(slip)).prop_map(
        move |(first, taken, cut, slip)| {
            // A run of lines from the first line of a log on, so that links fit for a while.
            let start = [0, 15, 36][first % 3];
            let mut bytes = lines[start..(start + 4 + taken).min(count)].concat();
            bytes.truncate(bytes.len() - cut.index(200));
            if let Some((at, byte)) = slip {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

/// Lines that are near to envelopes.
fn envelopes() -> impl Strategy<Value = String> {
    let pieces = [
        "{\"ct\":\"",
        "\",\"enc\":2}\n",
        "{\"enc\":1,\"ct\":\"",
        "\"}\n",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "Zg==",
        "=",
        "\n",
        "{\"seq\": 0}\n",
        "é",
        "\u{0}",
    ];
    proptest::collection::vec(select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

/// Texts that are near to a key file; none stands for a real one.
fn key_files() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "\"v\":1,",
        "\"v\":2,",
        "\"alg\":\"AES-256-GCM\",",
        "\"n\":\"000000000000000000000000\",",
        "\"n\":\"00\",",
        "\"ct\":\"",
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "\"}",
        "\u{0}",
    ];
    let near = proptest::collection::vec(select(pieces.to_vec()), 0..9);
    prop_oneof![
        Just(String::new()),
        Just(pieces[..4].concat() + pieces[4] + &pieces[6..9].concat()),
        near.prop_map(|pieces| pieces.concat())
    ]
}

/// What may happen to bytes.
#[derive(Clone, Debug)]
enum Slip {
    Set(Index, u8),
    Remove(Index, usize),
    Insert(Index, u8),
    Move(Index, Index, usize),
}

fn slip() -> impl Strategy<Value = Slip> {
    let byte = prop_oneof![any::<u8>(), 0..16_u8, Just(0x80), Just(0xff)];
    prop_oneof![
        6 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Slip::Set(at, byte)),
        1 => (any::<Index>(), 1..6_usize).prop_map(|(at, count)| Slip::Remove(at, count)),
        1 => (any::<Index>(), byte).prop_map(|(at, byte)| Slip::Insert(at, byte)),
        1 => (any::<Index>(), any::<Index>(), 1..6_usize)
            .prop_map(|(from, to, count)| Slip::Move(from, to, count)),
    ]
}

fn slipped(bytes: &[u8], slips: &[Slip]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for slip in slips {
        match slip {
            Slip::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Slip::Remove(at, count) => {
                let at = at.index(bytes.len() - count);
                bytes.drain(at..at + count);
            }
            Slip::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Slip::Move(from, to, count) => {
                let (from, to) = (from.index(bytes.len() - count), to.index(bytes.len() - count));
                bytes.copy_within(from..from + count, to);
            }
        }
    }
    bytes
}

fn json_text() -> impl Strategy<Value = String> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "{\"a\":",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.5",
        "1e5",
        "-1E-400",
        "18446744073709551615",
        "99999999999999999999",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud800",
        "\"_id\":\"x\"",
        "\"_seq\":9",
        "é",
        "😀",
        "\u{7f}",
        " ",
        "\n",
        "\\",
        "NaN",
    ];
    proptest::collection::vec(select(tokens.to_vec()), 0..24).prop_map(|tokens| tokens.concat())
}

/// Well-formed objects in odd spellings.
fn json_object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(|it| format!("{it:e}")),
        ".{0,12}".prop_map(|it| nedb_core::Value::String(it).to_text()),
    ];
    let value = leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|it| format!("[ {} ]", it.join(" , "))),
            proptest::collection::btree_map("[a-zA-Z_é😀\"\\\\]{0,4}", inner, 0..5)
                .prop_map(object),
        ]
    });
    proptest::collection::btree_map("[a-zA-Zé😀]{0,4}", value, 0..6).prop_map(object)
}

fn object(members: std::collections::BTreeMap<String, String>) -> String {
    let spelt = members
        .into_iter()
        .rev()
        .map(|(key, value)| format!("{}\t:{value}", nedb_core::Value::String(key).to_text()));
    format!("{{{}}}", spelt.collect::<Vec<_>>().join(",\r\n"))
}

fn query_text() -> impl Strategy<Value = String> {
    let words = [
        "FROM",
        "c",
        "WHERE",
        "n",
        "=",
        "!=",
        "<",
        ">=",
        "1",
        "2.5",
        "-1e9",
        "\"x\"",
        "'y'",
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        ",",
        "IN",
        "LIKE",
        "BETWEEN",
        "IS",
        "NULL",
        "CONTAINS",
        "ORDER BY",
        "DESC",
        "LIMIT",
        "OFFSET",
        "GROUP BY",
        "COUNT",
        "SUM",
        "SUM(n)",
        "HAVING",
        "AS OF",
        "VALID AS OF",
        "SEARCH",
        "TRAVERSE",
        "r",
        "TRACE",
        "caused_by",
        "REVERSE",
        "EXPLAIN",
        "`t`",
        "l.1.m",
        "*",
        "$1",
        "--",
        "_score",
        "é",
        "AVG",
        "MIN(n)",
        "AS",
    ];
    let tail = proptest::collection::vec(select(words.to_vec()), 0..14);
    (any::<bool>(), tail).prop_map(|(begins_right, words)| {
        let begin = if begins_right { "FROM c " } else { "" };
        format!("{begin}{}", words.join(" "))
    })
}

/// Texts that calls take, right and wrong.
fn call_text() -> impl Strategy<Value = String> {
    let known = [
        "c",
        "a",
        "c:a",
        "c:b",
        "r",
        "eq",
        "ordered",
        "search",
        "n",
        "l.1.m",
        "",
        "2024-01-01",
        "2024-02-30T25:00:00Z",
        "[1,null]",
        r#"{"$1":2}"#,
        "FROM c WHERE n = $1",
        r#"{"a":{"n":1},"b":{}}"#,
        r#"[{"_id":"x","n":1}]"#,
        r#"[{"op":"put","coll":"c","id":"a","doc":{}},{"op":"delete","coll":"c","id":"b"}]"#,
        r#"[{"op":"link","frm":"c:a","rel":"r","to":"c:b","if_seq":1}]"#,
    ];
    prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => json_text(), 1 => ".{0,20}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_of_joined_pieces_never_panics(bytes in log_bytes()) {
        let folder = tempfile::tempdir().unwrap();
        entries::open_log_bytes(folder.path(), &bytes);
    }

    #[test]
    fn an_encrypted_log_of_any_pieces_never_panics(log in envelopes(), key_file in key_files()) {
        let folder = tempfile::tempdir().unwrap();
        entries::open_encrypted_bytes(folder.path(), key_file.as_bytes(), log.as_bytes());
    }

    #[test]
    fn a_log_of_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        entries::open_log_bytes(folder.path(), &bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_of_any_tokens_is_taken_as_it_is_or_refused(text in json_text()) {
        entries::canonicalize(text.as_bytes());
    }

    #[test]
    fn a_document_in_any_spelling_is_taken(text in json_object()) {
        entries::canonicalize(text.as_bytes());
    }

    #[test]
    fn a_document_of_any_text_is_taken_as_it_is_or_refused(text in ".{0,40}") {
        entries::canonicalize(text.as_bytes());
    }

    #[test]
    fn a_query_of_any_words_is_answered_or_refused(text in query_text()) {
        entries::nql(&entries::database_to_query(), text.as_bytes());
    }

    #[test]
    fn a_call_of_any_texts_is_answered_or_leaves_no_trace(
        number in 0..entries::CALL_COUNT,
        texts in proptest::collection::vec(call_text(), 0..7),
    ) {
        let texts = texts.join(&entries::BETWEEN_TEXTS.to_string());
        entries::call(&[&[number], texts.as_bytes()].concat());
    }

    #[test]
    fn a_query_of_any_text_is_answered_or_refused(text in ".{0,60}") {
        entries::nql(&entries::database_to_query(), text.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_with_slips_never_panics(
        slips in proptest::collection::vec(proptest::collection::vec(slip(), 1..4), 20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let body = entries::write_checkpointed(folder.path());
        for slips in slips {
            entries::open_checkpoint_bytes(folder.path(), &slipped(&body, &slips));
        }
    }
}

/// A `meta.json` with slips, or anything.
fn settings() -> impl Strategy<Value = Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let db = support::open(folder.path());
    db.create_index("c", "n", nedb_core::IndexKind::Ordered).unwrap();
    db.close().unwrap();
    let file = std::fs::read(folder.path().join("meta.json")).unwrap();
    let slips = proptest::collection::vec(slip(), 1..3);
    prop_oneof![
        2 => slips.prop_map(move |slips| slipped(&file, &slips)),
        1 => json_text().prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settings_of_any_bytes_are_read_or_named(bytes in settings()) {
        let folder = tempfile::tempdir().unwrap();
        entries::open_settings_bytes(folder.path(), &bytes);
    }
}

#[test]
fn a_checkpoint_as_it_was_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let body = entries::write_checkpointed(folder.path());
    entries::open_checkpoint_bytes(folder.path(), &body);
    assert_eq!(support::open(folder.path()).open_report().checkpoint_seq, Some(12));
    entries::open_checkpoint_bytes(folder.path(), &[]);
    assert_eq!(support::open(folder.path()).open_report().checkpoint_seq, None);
}

/// Bytes that are near to the list of a file's chunks.
fn manifest() -> impl Strategy<Value = Vec<u8>> {
    let entry = (proptest::array::uniform32(any::<u8>()), prop_oneof![0..70_000_u32, any::<u32>()])
        .prop_map(|(leaf, length)| [&leaf[..], &length.to_le_bytes()].concat());
    let tail = proptest::collection::vec(any::<u8>(), 0..40);
    let front =
        prop_oneof![4 => Just(&b"NEDBman1"[..]), 1 => Just(&b"NEDBman2"[..]), 1 => Just(&b""[..])];
    (front, proptest::collection::vec(entry, 0..6), tail)
        .prop_map(|(front, entries, tail)| [front, &entries.concat(), &tail].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pack_with_slips_gives_what_was_put_or_says_that_it_is_damaged(
        slips in proptest::collection::vec(proptest::collection::vec(slip(), 1..4), 10),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let pack = entries::write_files(folder.path());
        for slips in slips {
            entries::open_pack_bytes(folder.path(), &slipped(&pack, &slips));
        }
    }

    #[test]
    fn a_list_of_chunks_of_any_bytes_is_refused(list in manifest()) {
        let folder = tempfile::tempdir().unwrap();
        entries::open_manifest_bytes(folder.path(), &list, support::mutate::rehashed);
    }
}

#[test]
fn a_pack_as_it_was_written_is_read_and_one_without_anything_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let pack = entries::write_files(folder.path());
    entries::open_pack_bytes(folder.path(), &pack);
    entries::open_pack_bytes(folder.path(), &[]);
    entries::open_pack_bytes(folder.path(), &pack[..pack.len() / 2]);
    // Every frame's head, where frames begin: the first of them at 0.
    for at in 0..40 {
        let mut flipped = pack.clone();
        flipped[at] ^= 4;
        entries::open_pack_bytes(folder.path(), &flipped);
    }
}
