//! Properties of the whole folder, over values and texts that nobody would think of.

use std::borrow::Cow;
use std::cmp::Ordering;

use proptest::prelude::*;

use super::string::compare_raw;
use super::*;

/// Strings of the characters that have something special about them.
fn strings() -> impl Strategy<Value = String> {
    let special =
        "a b.`\"\\/\n\r\t\u{8}\u{c}\0\u{1}\u{1f}\u{7f}\u{80}éЯ\u{ffff}\u{fffd}\u{10000}😀";
    let characters: Vec<char> = special.chars().collect();
    prop_oneof![
        prop::collection::vec(prop::sample::select(characters), 0..6).prop_map(String::from_iter),
        any::<String>(),
        "[a-c]{0,20}".prop_map(String::from),
    ]
}

fn numbers() -> impl Strategy<Value = Value> {
    let near = |value: i64| (value - 2..=value + 2).prop_map(Value::Int);
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (1_u64 << 63..).prop_map(Value::UInt),
        (-3_i64..4).prop_map(Value::Int),
        (-3_i64..4).prop_map(|value| Value::Float(value as f64 / 2.0)),
        near(1 << 53),
        near(-(1 << 53)),
        (i64::MAX - 1025..=i64::MAX).prop_map(Value::Int),
        (i64::MIN..i64::MIN + 1025).prop_map(Value::Int),
        (u64::MAX - 2050..=u64::MAX).prop_map(Value::UInt),
        (-2_i64..=2).prop_map(|ulps| Value::Float(f64::from_bits(
            ((1_u64 << 53) as f64).to_bits().wrapping_add_signed(ulps)
        ))),
        Just(Value::Float(9_223_372_036_854_775_808.0)),
        Just(Value::Float(18_446_744_073_709_551_616.0)),
        Just(Value::Float(-0.0)),
        any::<u64>().prop_map(f64::from_bits).prop_filter_map("finite", |value| {
            value.is_finite().then_some(Value::Float(value))
        }),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers(),
        strings().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(strings(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts that are nearly JSON.
fn texts() -> impl Strategy<Value = String> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d800",
        "\\udc00",
        "\\ud83d\\ude00",
        "\"a\"",
        "\"\\u0061\"",
        "\"b\":",
        "1",
        "-",
        "0",
        ".5",
        "e9",
        "1e400",
        "-0",
        "NaN",
        "-Infinity",
        "null",
        "true",
        " ",
        "\n",
        "\u{7f}",
        "\u{1}",
        "é",
        "😀",
    ];
    let soup = prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..24)
        .prop_map(|tokens| tokens.concat());
    let mutated = (values(), any::<prop::sample::Index>(), prop::sample::select(tokens.to_vec()))
        .prop_map(|(value, index, token)| {
            let text: Vec<char> = value.to_text().chars().collect();
            let at = index.index(text.len());
            let (before, behind) = text.split_at(at);
            before
                .iter()
                .copied()
                .chain(token.chars())
                .chain(behind.iter().skip(1).copied())
                .collect()
        });
    prop_oneof![soup, mutated, any::<String>()]
}

/// Spells a value in a way of its own: blanks, escapes, members backwards.
fn spell_oddly(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push('"');
            for unit in text.encode_utf16() {
                out.push_str(&format!("\\u{unit:04X}"));
            }
            out.push('"');
        }
        Value::Array(elements) => {
            out.push_str("[ ");
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " ,\t" });
                spell_oddly(element, out);
            }
            out.push_str("\n]");
        }
        Value::Object(members) => {
            out.push_str(" {\r");
            for (index, (key, value)) in members.iter().rev().enumerate() {
                out.push_str(if index == 0 { "" } else { " ," });
                spell_oddly(&Value::String(key.clone()), out);
                out.push_str(" : ");
                spell_oddly(value, out);
            }
            out.push_str("} ");
        }
        other => other.write(out),
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    encode_value(value, &mut key);
    key
}

/// Compares two numbers exactly.
fn compare_numbers(left: &Value, right: &Value) -> Ordering {
    fn integer(value: &Value) -> Option<i128> {
        match value {
            Value::Int(value) => Some((*value).into()),
            Value::UInt(value) => Some((*value).into()),
            _ => None,
        }
    }
    fn with_double(integer: i128, double: f64) -> Ordering {
        if double.abs() > 1e30 {
            return if double > 0.0 { Ordering::Less } else { Ordering::Greater };
        }
        let floor = double.floor();
        integer.cmp(&(floor as i128)).then(if double > floor {
            Ordering::Less
        } else {
            Ordering::Equal
        })
    }
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => with_double(left, right.as_f64().unwrap()),
        (None, Some(right)) => with_double(right, left.as_f64().unwrap()).reverse(),
        (None, None) => left.as_f64().unwrap().partial_cmp(&right.as_f64().unwrap()).unwrap(),
    }
}

/// Compares two values as the design says, without a key.
fn compare(left: &Value, right: &Value) -> Ordering {
    let class = |value: &Value| type_class(&value.to_text());
    class(left).cmp(&class(right)).then_with(|| match (left, right) {
        (Value::Null, _) => Ordering::Equal,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::String(left), Value::String(right)) => left.chars().cmp(right.chars()),
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right).map(|(left, right)| compare(left, right));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let pairs = left
                .iter()
                .zip(right)
                .map(|(left, right)| left.0.cmp(&right.0).then_with(|| compare(&left.1, &right.1)));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or(left.len().cmp(&right.len()))
        }
        _ => compare_numbers(left, right),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_anything_panic(text in texts(), other in texts()) {
        let strict = canonicalize(&text);
        prop_assert_eq!(matches!(strict, Ok(Cow::Borrowed(_))), is_canonical(&text));
        prop_assert_eq!(strict.is_ok(), Value::parse(&text).is_ok());
        if let Ok(canonical) = strict {
            prop_assert!(is_canonical(&canonical));
            prop_assert_eq!(Value::parse(&text).unwrap().to_text(), canonical.as_ref());
            prop_assert_eq!(legacy_document(&text).unwrap(), canonical);
        }
        if let Ok(served) = legacy_document(&text) {
            prop_assert_eq!(legacy_document(&served).unwrap(), served.as_str());
            prop_assert_eq!(Value::from_canonical(&served).to_text(), served);
            let mut hashed = "kept ".to_string();
            canonicalize_legacy(&text, &mut hashed).unwrap();
            prop_assert!(hashed.starts_with("kept ") && hashed.is_ascii());
        }
        let path = Path::parse(&other);
        let _ = (path.pick(&text), path.pick_value(&Value::from_canonical(&text)));
        let _ = (members(&text).count(), elements(&text).count(), type_class(&text));
        let _ = (string_text(&text), compare_raw(&text, &other));
        encode_text(&text, &mut Vec::new());
        let _ = respell(&text, &mut String::new());
    }

    #[test]
    fn a_value_survives_its_text_however_it_is_spelt(value in values()) {
        let text = value.to_text();
        prop_assert!(is_canonical(&text), "{}", text);
        let parsed = Value::parse(&text).unwrap();
        prop_assert_eq!(&parsed, &value);
        prop_assert_eq!(&Value::from_canonical(&text), &value);
        let mut odd = String::new();
        spell_oddly(&value, &mut odd);
        prop_assert_eq!(canonicalize(&odd).unwrap(), text.as_str());
        // serde_json sorts as we do, and parses the same tree.
        let serde: serde_json::Value = serde_json::from_str(&odd).unwrap();
        let ours: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde, ours);
    }

    #[test]
    fn what_is_hashed_does_not_depend_on_who_spelt_it(value in values()) {
        let text = value.to_text();
        let mut hashed = String::new();
        canonicalize_legacy(&text, &mut hashed).unwrap();
        let mut ascii = Vec::new();
        write_ascii(&text, &mut |piece| ascii.extend_from_slice(piece));
        prop_assert_eq!(hashed.as_bytes(), ascii);
        prop_assert_eq!(canonicalize(&hashed).unwrap(), text);
    }

    #[test]
    fn members_and_elements_are_those_of_the_tree(value in values()) {
        let text = value.to_text();
        let scanned: Vec<_> = members(&text)
            .map(|(key, value)| {
                (string_text(&format!("\"{key}\"")).unwrap().into_owned(), Value::from_canonical(value))
            })
            .collect();
        let elements: Vec<_> = elements(&text).map(Value::from_canonical).collect();
        match value {
            Value::Object(expected) => prop_assert_eq!(scanned, expected),
            Value::Array(expected) => prop_assert_eq!(elements, expected),
            _ => prop_assert!(scanned.is_empty() && elements.is_empty()),
        }
    }

    #[test]
    fn picking_from_text_is_picking_from_the_tree(
        value in values(),
        segments in prop::collection::vec(prop_oneof![strings(), "[0-3]".prop_map(String::from)], 0..3),
    ) {
        let text = value.to_text();
        let mut paths = vec![Path::from_segments(segments)];
        if let Value::Object(members) = &value {
            paths.extend(members.iter().map(|(key, _)| Path::from_segments(vec![key.clone()])));
        }
        for path in paths {
            let expected = path.pick_value(&value).map(Value::to_text);
            prop_assert_eq!(path.pick(&text), expected.as_deref());
        }
    }

    #[test]
    fn a_path_survives_its_dotted_form(segments in prop::collection::vec(strings(), 1..4)) {
        let path = Path::from_segments(segments);
        prop_assert_eq!(Path::parse(&path.to_string()), path);
    }

    #[test]
    fn keys_of_text_are_keys_of_the_value(value in values()) {
        let mut key = Vec::new();
        encode_text(&value.to_text(), &mut key);
        prop_assert_eq!(&key, &encoded(&value));
        let (low, high) = class_range(type_class(&value.to_text()));
        prop_assert!(low <= key && key < high);
    }

    #[test]
    fn keys_of_numbers_order_as_the_numbers_do(left in numbers(), right in numbers()) {
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), compare(&left, &right));
    }

    #[test]
    fn keys_order_as_the_values_do(left in values(), right in values()) {
        prop_assert_eq!(encoded(&left).cmp(&encoded(&right)), compare(&left, &right));
    }

    #[test]
    fn keys_of_strings_order_as_the_strings_do(left in strings(), right in strings()) {
        let key = |text: &String| encoded(&Value::String(text.clone()));
        prop_assert_eq!(key(&left).cmp(&key(&right)), left.chars().cmp(right.chars()));
    }

    #[test]
    fn doubles_are_spelt_so_that_they_come_back(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let mut spelt = String::new();
        write_double(value, &mut spelt);
        prop_assert_eq!(spelt.parse::<f64>().unwrap().to_bits(), bits);
        prop_assert!(is_canonical(&spelt));
    }

    #[test]
    fn short_decimals_are_spelt_as_the_double_is(token in "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,9}") {
        let mut spelt = String::new();
        write_double(token.parse().unwrap(), &mut spelt);
        let mut respelt = String::new();
        respell(&token, &mut respelt).unwrap();
        prop_assert_eq!(&respelt, &spelt);
        prop_assert_eq!(is_canonical(&token), token == spelt);
    }
}

/// Runs a test on the smallest stack that a host is expected to give.
fn on_a_small_stack(test: fn()) {
    std::thread::Builder::new().stack_size(512 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn deep_texts_of_1x_do_not_overflow_the_stack() {
    on_a_small_stack(|| {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
            let text = nested(1_000);
            assert!(is_canonical(&text));
            assert_eq!(legacy_document(&text).unwrap(), text);
            let mut hashed = String::new();
            canonicalize_legacy(&text, &mut hashed).unwrap();
            assert_eq!(hashed, text);
            let value = Value::from_canonical(&text);
            assert_eq!(value.clone().to_text(), text);
            assert_eq!(value.clone(), value);
            let mut key = Vec::new();
            encode_text(&text, &mut key);
            assert_eq!(key, encoded(&value));
            assert!(canonicalize(&nested(129)).is_err());
            assert!(matches!(canonicalize(&nested(128)), Ok(Cow::Borrowed(_))));
            assert!(legacy_document(&nested(1_001)).is_err());
            assert!(!is_canonical(&nested(1_001)));
            for broken in [open.repeat(1_000_000), nested(100_000)] {
                assert!(canonicalize(&broken).is_err());
                assert!(legacy_document(&broken).is_err());
                assert!(!is_canonical(&broken));
                encode_text(&broken, &mut Vec::new());
                assert_eq!(members(&broken).count() + elements(&broken).count(), 1);
            }
        }
    });
}
