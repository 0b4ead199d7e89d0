//! A byte key whose order is the total order of values.
//!
//! In: canonical text, or a value. Out: bytes that compare as the values do: null, false, true,
//! numbers by exact value (1 and 1.0 are one), strings by code point, arrays element by element,
//! objects member by member; what is a prefix of another comes first.
//!
//! | bytes | value |
//! |---|---|
//! | `10` | null |
//! | `20`, `21` | false, true |
//! | `30`, 8 bytes, 2 bytes | a number: its nearest double, what it differs from that |
//! | `40`, text, `00` | a string; a NUL within is `00 ff` |
//! | `50`, elements, `00` | an array |
//! | `60`, (`01`, text, `00`, value)…, `00` | an object |
//!
//! Invariants:
//! * No key is a prefix of another one.
//! * `encode_text(value.to_text())` equals `encode_value(value)`.

use super::number::{Number, evaluate};
use super::scan::{string_body_length, value_length};
use super::string::unescape;
#[cfg(test)]
use super::value::Value;

/// The bytes of a key.
pub(crate) type Key = Box<[u8]>;

const NULL: u8 = 0x10;
const FALSE: u8 = 0x20;
const TRUE: u8 = 0x21;
const NUMBER: u8 = 0x30;
const STRING: u8 = 0x40;
const ARRAY: u8 = 0x50;
const OBJECT: u8 = 0x60;
/// Ends a string, an array and an object: below everything that may go on there.
const END: u8 = 0x00;
/// Follows a NUL within a string: above everything that may follow an end.
const ESCAPED_NUL: u8 = 0xff;
/// Stands before each member of an object.
const MEMBER: u8 = 0x01;

/// The types in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TypeClass {
    /// Null, and missing.
    Null,
    /// False and true.
    Bool,
    /// Numbers of every spelling.
    Number,
    /// Strings.
    String,
    /// Arrays.
    Array,
    /// Objects.
    Object,
}

/// Returns the type of a value in canonical text.
#[inline]
pub(crate) fn type_class(canonical_value: &str) -> TypeClass {
    match canonical_value.as_bytes().first() {
        Some(b't' | b'f') => TypeClass::Bool,
        Some(b'-' | b'0'..=b'9') => TypeClass::Number,
        Some(b'"') => TypeClass::String,
        Some(b'[') => TypeClass::Array,
        Some(b'{') => TypeClass::Object,
        _ => TypeClass::Null,
    }
}

/// Returns the band of the keys of one type: the lowest, included, and the upper end, excluded.
pub(crate) fn class_range(class: TypeClass) -> (Vec<u8>, Vec<u8>) {
    let lowest = match class {
        TypeClass::Null => NULL,
        TypeClass::Bool => FALSE,
        TypeClass::Number => NUMBER,
        TypeClass::String => STRING,
        TypeClass::Array => ARRAY,
        TypeClass::Object => OBJECT,
    };
    // The high half of the first byte is the type.
    (vec![lowest], vec![lowest + 0x10])
}

/// Appends the key of a value in canonical text.
pub(crate) fn encode_text(canonical_value: &str, out: &mut Vec<u8>) {
    // One pass over the tokens, without a stack: what closes is written as it is met, and a string
    // before a colon is a key.
    let mut rest = canonical_value;
    while let Some(first) = rest.as_bytes().first() {
        let length = match first {
            b'{' | b'[' | b'}' | b']' | b',' | b':' => 1,
            b'"' => (string_body_length(rest.as_bytes().get(1..).unwrap_or_default()) + 2)
                .min(rest.len()),
            _ => value_length(rest.as_bytes()).max(1),
        };
        let Some((token, behind)) = rest.split_at_checked(length) else { return };
        match first {
            b'{' => out.push(OBJECT),
            b'[' => out.push(ARRAY),
            b'}' | b']' => out.push(END),
            b',' | b':' => {}
            b'"' => {
                let raw = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
                out.push(if behind.starts_with(':') { MEMBER } else { STRING });
                encode_string(&unescape(raw), out);
            }
            b't' => out.push(TRUE),
            b'f' => out.push(FALSE),
            b'-' | b'0'..=b'9' => encode_number(token, out),
            _ => out.push(NULL),
        }
        rest = behind;
    }
}

#[cfg(test)]
/// Appends the key of a value.
pub(crate) fn encode_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(value) => encode_integer((*value).into(), *value as f64, out),
        Value::UInt(value) => encode_integer((*value).into(), *value as f64, out),
        Value::Float(value) => encode_double(*value, 0, out),
        Value::BigNumber(token) => encode_number(token, out),
        Value::String(text) => {
            out.push(STRING);
            encode_string(text, out);
        }
        Value::Array(elements) => {
            out.push(ARRAY);
            elements.iter().for_each(|element| encode_value(element, out));
            out.push(END);
        }
        Value::Object(members) => {
            out.push(OBJECT);
            for (key, value) in members {
                out.push(MEMBER);
                encode_string(key, out);
                encode_value(value, out);
            }
            out.push(END);
        }
    }
}

/// Appends the key of a number token; a number of 1.x beyond our types goes by its nearest double.
fn encode_number(token: &str, out: &mut Vec<u8>) {
    match evaluate(token) {
        Some(Number::Int(value)) => encode_integer(value.into(), value as f64, out),
        Some(Number::UInt(value)) => encode_integer(value.into(), value as f64, out),
        Some(Number::Float(value)) => encode_double(value, 0, out),
        None => encode_double(token.parse().unwrap_or(0.0), 0, out),
    }
}

/// Appends the key of an integer whose nearest double is `nearest`.
///
/// Rounding keeps the order, so integers whose doubles differ are ordered by these, and the others
/// by their distance from it, which is 1,024 at the most below 2^64.
fn encode_integer(value: i128, nearest: f64, out: &mut Vec<u8>) {
    encode_double(nearest, (value - nearest as i128) as i16, out);
}

/// Appends the key of a number that is `remainder` above a double.
fn encode_double(value: f64, remainder: i16, out: &mut Vec<u8>) {
    // Adding zero turns -0.0 into 0.0, which it equals.
    let bits = (value + 0.0).to_bits();
    let sign = 1 << 63;
    // Positive doubles compare as their bits do, negative ones the other way round and below.
    let ordered = if bits & sign == 0 { bits | sign } else { !bits };
    out.push(NUMBER);
    out.extend_from_slice(&ordered.to_be_bytes());
    out.extend_from_slice(&(remainder as u16 ^ 0x8000).to_be_bytes());
}

/// Appends the text of a string, and its end.
fn encode_string(text: &str, out: &mut Vec<u8>) {
    for (index, piece) in text.as_bytes().split(|&byte| byte == END).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[END, ESCAPED_NUL]);
        }
        out.extend_from_slice(piece);
    }
    out.push(END);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        encode_text(text, &mut key);
        key
    }

    #[test]
    fn values_are_ordered_by_type_and_then_by_value() {
        let ascending = [
            "null",
            "false",
            "true",
            "-1e999",
            "-1.5",
            "-1",
            "0",
            "0.5",
            "1",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775806",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616.0",
            "1e300",
            r#""""#,
            r#""\u0000""#,
            r#""\u0000a""#,
            r#""\u0001""#,
            r#""a""#,
            r#""a\u0000""#,
            r#""a\u0000b""#,
            r#""aa""#,
            r#""b""#,
            "\"\u{ffff}\"",
            "\"\u{10000}\"",
            "[]",
            "[null]",
            "[1]",
            "[1,1]",
            "[2]",
            r#"["a"]"#,
            r#"["a","b"]"#,
            r#"["aa"]"#,
            "[[]]",
            "[[],1]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":1,"b":1}"#,
            r#"{"a":2}"#,
            r#"{"aa":1}"#,
            r#"{"b":0}"#,
        ];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{} < {}", pair[0], pair[1]);
        }
        for text in ascending {
            let (low, high) = class_range(type_class(text));
            assert!(low <= key(text) && key(text) < high, "{text}");
        }
    }

    #[test]
    fn equal_numbers_have_one_key_whatever_their_spelling() {
        assert_eq!(key("1"), key("1.0"));
        assert_eq!(key("0"), key("-0.0"));
        assert_eq!(key("9007199254740992"), key("9007199254740992.0"));
        assert_ne!(key("9007199254740993"), key("9007199254740992.0"));
        assert_eq!(key("-9223372036854775808"), key("-9.223372036854775808e18"));
    }

    #[test]
    fn numbers_of_1x_that_fit_nowhere_are_ordered_by_their_nearest_double() {
        assert!(key("18446744073709551615") < key("18446744073709551616"));
        assert!(key("1e300") < key("1e400"));
        assert_eq!(key("1e400"), key("1e500"));
        assert!(key("-1e400") < key("-1e300"));
    }
}
