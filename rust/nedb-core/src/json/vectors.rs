//! The vectors of tests/fixtures/vectors, which were made without this code.

use std::borrow::Cow;
use std::path::PathBuf;

use super::{
    Value, canonicalize, canonicalize_legacy, is_canonical, legacy_document, respell, write_ascii,
};
use crate::error::ErrorCode;
use crate::hash::ChainHasher;

/// Reads a file of vectors: an array of objects.
fn vectors(name: &str) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/vectors");
    let text = std::fs::read_to_string(PathBuf::from(folder).join(name)).expect(name);
    // Not `Value::parse`: the file is not ours to be judged by the code under test alone.
    let serde_json::Value::Array(vectors) = serde_json::from_str(&text).expect(name) else {
        panic!("{name} is no array")
    };
    assert!(!vectors.is_empty());
    vectors.iter().map(|vector| Value::from_canonical(&vector.to_string())).collect()
}

fn field<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("{key} of {vector:?}"))
}

#[test]
fn numbers_are_respelt_as_the_vectors_say() {
    for vector in vectors("numbers.json") {
        let token = field(&vector, "token");
        let mut spelt = String::new();
        if vector.get("canonical") == Some(&Value::Null) {
            assert!(respell(token, &mut spelt).is_err() && !is_canonical(token), "{token}");
            assert_eq!(spelt, "");
            continue;
        }
        let expected = field(&vector, "canonical");
        respell(token, &mut spelt).expect(token);
        assert_eq!(spelt, expected, "{token}");
        spelt.clear();
        respell(expected, &mut spelt).expect(expected);
        assert_eq!(spelt, expected);
        assert_eq!(is_canonical(token), token == expected, "{token}");
        assert!(is_canonical(expected), "{expected}");
    }
}

#[test]
fn texts_are_stored_and_hashed_as_the_vectors_say() {
    for vector in vectors("canonical.json") {
        let [text, stored, hashed] = ["text", "stored", "hashed"].map(|key| field(&vector, key));
        let canonical = canonicalize(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(canonical, stored);
        assert_eq!(matches!(canonical, Cow::Borrowed(_)), text == stored, "{text}");
        assert_eq!(is_canonical(text), text == stored, "{text}");
        assert!(is_canonical(stored), "{stored}");
        assert_eq!(Value::parse(text).expect(text).to_text(), stored);
        assert_eq!(legacy_document(text).expect(text), stored);

        let mut ascii = Vec::new();
        write_ascii(stored, &mut |piece| ascii.extend_from_slice(piece));
        assert_eq!(String::from_utf8(ascii).expect("ASCII"), hashed);
        let mut legacy = String::new();
        canonicalize_legacy(stored, &mut legacy).expect(stored);
        assert_eq!(legacy, hashed);
    }
}

#[test]
fn texts_are_refused_as_the_vectors_say() {
    for vector in vectors("refused.json") {
        let (text, why) = (field(&vector, "text"), field(&vector, "why"));
        if why.starts_with("not an object") {
            // That is for `put` to refuse: a parameter may be any value.
            assert!(!canonicalize(text).expect(text).starts_with('{'), "{text}");
            continue;
        }
        let error = canonicalize(text).expect_err(why);
        let code = match why {
            "too deep" => ErrorCode::LimitExceeded,
            _ => ErrorCode::InvalidArgument,
        };
        assert_eq!(error.code(), code, "{why}");
        assert!(Value::parse(text).is_err(), "{why}: {text}");
        assert!(!is_canonical(text) || why == "too deep", "{why}: {text}");
    }
}

#[test]
fn ops_are_chained_as_the_vectors_say() {
    for vector in vectors("chain.json") {
        let ascii = field(&vector, "body_ascii");
        // Some are ASCII of some length and no JSON; the others are hashed as they are stored.
        let body = canonicalize(ascii).unwrap_or(Cow::Borrowed(ascii));
        let mut hasher = ChainHasher::new(field(&vector, "prev_hash"));
        hasher.update_canonical(&body);
        assert_eq!(hasher.finish(), field(&vector, "hash"), "{body}");
    }
}
