//! Values compared as raw canonical text.
//!
//! Equal values other than numbers (and what holds numbers) have equal canonical texts, so most
//! comparisons are one of bytes. Numbers compare by exact value: as integers or doubles where both
//! fit without loss, by their keys otherwise. Nothing compares across types.

use std::cmp::Ordering;

use crate::json::{Key, TypeClass, Value, encode_text, string_text, type_class};

/// Integers up to this size are doubles without loss.
const EXACT_INTEGER_MAX: i64 = 1 << 53;
/// Longest spelling of a double by `write_double`; a longer token holds more than a double does.
const DOUBLE_BYTES_MAX: usize = 24;

/// A value of the query, prepared for being compared with many raw texts.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    text: String,
    class: TypeClass,
    key: Key,
    content: Content,
}

/// What makes the usual comparison cheap.
#[derive(Clone, Debug)]
enum Content {
    Number(Number),
    String(String),
    Other,
}

/// A number of a text, as exactly as machine types hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Integer(i64),
    Double(f64),
    /// Above i64, or a 1.x number longer than a double: compared by its key.
    Large,
}

impl Number {
    fn of(token: &str) -> Number {
        if let Ok(integer) = token.parse::<i64>() {
            return Number::Integer(integer);
        }
        let is_double = token.len() <= DOUBLE_BYTES_MAX
            && token.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        match token.parse::<f64>() {
            Ok(double) if is_double && double.is_finite() => Number::Double(double),
            _ => Number::Large,
        }
    }

    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
            _ => self.exact_double()?.partial_cmp(&other.exact_double()?),
        }
    }

    fn exact_double(self) -> Option<f64> {
        match self {
            Number::Integer(integer)
                if integer.unsigned_abs() <= EXACT_INTEGER_MAX.unsigned_abs() =>
            {
                Some(integer as f64)
            }
            Number::Double(double) => Some(double),
            _ => None,
        }
    }
}

impl Constant {
    /// Prepares a value.
    pub(super) fn new(value: &Value) -> Constant {
        Constant::from_text(value.to_text())
    }

    /// Prepares the value that a canonical text spells.
    pub(super) fn from_text(text: String) -> Constant {
        let class = type_class(&text);
        let content = match class {
            TypeClass::Number => Content::Number(Number::of(&text)),
            TypeClass::String => {
                Content::String(string_text(&text).unwrap_or_default().into_owned())
            }
            _ => Content::Other,
        };
        Constant { key: key_of(&text), class, content, text }
    }

    /// Returns the key under which an index holds the value.
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the type of the value.
    pub(super) fn class(&self) -> TypeClass {
        self.class
    }

    /// Returns the value's canonical text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the string, if the value is one.
    pub(super) fn string(&self) -> Option<&str> {
        match &self.content {
            Content::String(string) => Some(string),
            _ => None,
        }
    }

    /// Returns whether the value that `raw` spells equals this one.
    pub(super) fn equals(&self, raw: &str) -> bool {
        if raw == self.text {
            return true;
        }
        match &self.content {
            Content::Number(_) => self.compare(raw) == Some(Ordering::Equal),
            Content::String(_) => false,
            Content::Other => {
                matches!(self.class, TypeClass::Array | TypeClass::Object)
                    && type_class(raw) == self.class
                    && key_of(raw) == self.key
            }
        }
    }

    /// Compares the value that `raw` spells with this one; None across types, and for null, which has
    /// no order.
    pub(super) fn compare(&self, raw: &str) -> Option<Ordering> {
        if type_class(raw) != self.class || self.class == TypeClass::Null {
            return None;
        }
        match &self.content {
            Content::Number(number) => {
                Number::of(raw).compare(*number).or_else(|| self.by_key(raw))
            }
            Content::String(string) => compare_string(raw, string),
            Content::Other => self.by_key(raw),
        }
    }

    fn by_key(&self, raw: &str) -> Option<Ordering> {
        Some(key_of(raw).cmp(&self.key))
    }
}

fn compare_string(raw: &str, string: &str) -> Option<Ordering> {
    let inner = raw.get(1..raw.len().saturating_sub(1))?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(inner.cmp(string));
    }
    string_text(raw).map(|text| text.as_ref().cmp(string))
}

/// Compares the values of two raw texts; None across types.
pub(super) fn compare_raw(left: &str, right: &str) -> Option<Ordering> {
    if type_class(left) != type_class(right) {
        return None;
    }
    Some(if left == right { Ordering::Equal } else { key_of(left).cmp(&key_of(right)) })
}

/// Returns the key of the value that `raw` spells.
pub(super) fn key_of(raw: &str) -> Key {
    let mut key = Vec::with_capacity(raw.len() + 8);
    encode_text(raw, &mut key);
    key.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(text: &str) -> Constant {
        Constant::from_text(text.to_owned())
    }

    #[test]
    fn numbers_are_equal_by_value_and_not_by_spelling() {
        assert!(constant("1").equals("1.0"));
        assert!(constant("1.0").equals("1"));
        assert!(constant("0.0").equals("-0.0"));
        assert!(constant("[1,{\"a\":2}]").equals("[1.0,{\"a\":2.0}]"));
        assert!(!constant("1").equals("\"1\""));
        assert!(!constant("1").equals("2"));
    }

    #[test]
    fn large_integers_compare_exactly_with_doubles() {
        assert_eq!(
            constant("9007199254740992.0").compare("9007199254740993"),
            Some(Ordering::Greater)
        );
        assert_eq!(
            constant("9007199254740993").compare("9007199254740992.0"),
            Some(Ordering::Less)
        );
        assert_eq!(
            constant("18446744073709551615").compare("18446744073709551614"),
            Some(Ordering::Less)
        );
        assert_eq!(constant("1e+300").compare("18446744073709551615"), Some(Ordering::Less));
    }

    #[test]
    fn strings_compare_by_code_point_also_when_escaped() {
        assert_eq!(constant(r#""a""#).compare(r#""b""#), Some(Ordering::Greater));
        assert_eq!(constant(r#""A""#).compare(r#""\n""#), Some(Ordering::Less));
        assert_eq!(constant(r#""\u007f""#).compare(r#""z""#), Some(Ordering::Less));
        assert_eq!(constant(r#""a""#).compare(r#""a\n""#), Some(Ordering::Greater));
    }

    #[test]
    fn nothing_compares_across_types() {
        assert_eq!(constant("1").compare(r#""x""#), None);
        assert_eq!(constant("null").compare("false"), None);
        assert_eq!(compare_raw("1", "true"), None);
        assert_eq!(compare_raw("1", "1.0"), Some(Ordering::Equal));
        assert_eq!(constant("null").compare("null"), None);
        assert_eq!(constant("true").compare("false"), Some(Ordering::Less));
    }
}
