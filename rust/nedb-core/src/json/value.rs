//! A parsed value.
//!
//! In: JSON text. Out: a tree, and text again. Documents are not handled as trees: this is for
//! literals, group rows and the few places that must hold a value apart from its text.
//!
//! Invariants:
//! * The members of an object are sorted by key, and no key occurs twice.
//! * `Value::parse(value.to_text()) == value` for every value that strict text can spell.

use super::lex::Dialect;
use super::number::{Number, evaluate, respell, write_double};
use super::parse::{Sink, walk};
use super::string::{unescape, write_string};
use crate::error::{Error, Result};
use crate::limits::{LEGACY_NESTING_DEPTH_MAX, NESTING_DEPTH_MAX};

/// A JSON value. `==` compares spelling: `Int(1)` is not `Float(1.0)`; key bytes compare by value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits in i64.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A finite double.
    Float(f64),
    /// A number of NEDB 1.x that fits in none of them, as it was spelt.
    BigNumber(String),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, its members sorted by key.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Parses strict JSON text.
    ///
    /// Errors: `InvalidArgument`, as `put` refuses a document.
    pub fn parse(text: &str) -> Result<Value> {
        Tree::grow(text, Dialect::Strict)
    }

    #[cfg(test)]
    /// Parses text that is known to be canonical, a 1.x document's too; a broken one is null.
    pub(crate) fn from_canonical(text: &str) -> Value {
        Tree::grow(text, Dialect::Legacy).unwrap_or(Value::Null)
    }

    /// Appends the value as canonical text.
    pub fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Int(value) => push_display(value, out),
            Value::UInt(value) => push_display(value, out),
            Value::Float(value) => write_double(*value, out),
            // 1.x may have spelt a number that fits in its own way; what does not fit stays.
            Value::BigNumber(token) => respell(token, out).unwrap_or_else(|_| out.push_str(token)),
            Value::String(text) => write_string(text, out),
            Value::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    element.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    write_string(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Returns the value as canonical text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// Returns the nearest double of a number, or None of anything else.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::UInt(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            Value::BigNumber(token) => token.parse().ok(),
            _ => None,
        }
    }

    /// Returns the text of a string, or None of anything else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the member of an object, or None when there is none or the value is no object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Value::Object(members) = self else { return None };
        let place = members.binary_search_by(|(candidate, _)| candidate.as_str().cmp(key)).ok()?;
        members.get(place).map(|(_, value)| value)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(value) => Value::Int(value),
            Number::UInt(value) => Value::UInt(value),
            Number::Float(value) => Value::Float(value),
        }
    }
}

/// Appends an integer.
fn push_display(value: impl std::fmt::Display, out: &mut String) {
    out.push_str(&value.to_string());
}

/// A value that is being built.
struct Tree {
    dialect: Dialect,
    /// The objects and arrays that are not closed yet, outermost first.
    open: Vec<Value>,
    /// The keys of the members whose values are not finished yet, outermost first.
    keys: Vec<String>,
    /// The whole value, once it is finished.
    root: Value,
}

impl Tree {
    /// Parses a text.
    fn grow(text: &str, dialect: Dialect) -> Result<Value> {
        let mut tree = Tree { dialect, open: Vec::new(), keys: Vec::new(), root: Value::Null };
        let depth_max = match dialect {
            Dialect::Strict => NESTING_DEPTH_MAX,
            Dialect::Legacy => LEGACY_NESTING_DEPTH_MAX,
        };
        walk(text, dialect, depth_max, &mut tree)?;
        Ok(tree.root)
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(Value::Array(elements)) => elements.push(value),
            Some(Value::Object(members)) => {
                members.push((self.keys.pop().unwrap_or_default(), value));
            }
            _ => self.root = value,
        }
    }
}

impl Sink for Tree {
    fn begin_object(&mut self) {
        self.open.push(Value::Object(Vec::new()));
    }

    fn key(&mut self, raw: &str, _plain: bool) {
        self.keys.push(unescape(raw).into_owned());
    }

    fn comma(&mut self) {}

    fn end_object(&mut self) -> Result<()> {
        let Some(Value::Object(mut members)) = self.open.pop() else { return Ok(()) };
        members.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut duplicate = None;
        // As Python: the last of several wins, and the sort kept their order.
        members.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
                duplicate = Some(earlier.0.clone());
            }
            same
        });
        if let (Some(key), Dialect::Strict) = (duplicate, self.dialect) {
            return Err(duplicate_key(&key));
        }
        self.place(Value::Object(members));
        Ok(())
    }

    fn begin_array(&mut self) {
        self.open.push(Value::Array(Vec::new()));
    }

    fn end_array(&mut self) {
        if let Some(array) = self.open.pop() {
            self.place(array);
        }
    }

    fn string(&mut self, raw: &str, _plain: bool) {
        self.place(Value::String(unescape(raw).into_owned()));
    }

    fn number(&mut self, token: &str) -> Result<()> {
        let value = match (evaluate(token), self.dialect) {
            (Some(number), _) => number.into(),
            (None, Dialect::Legacy) => Value::BigNumber(token.to_string()),
            // Says which of its bounds the number is beyond.
            (None, Dialect::Strict) => return respell(token, &mut String::new()),
        };
        self.place(value);
        Ok(())
    }

    fn literal(&mut self, token: &'static str) {
        self.place(match token {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            // The rest is null, and what JSON has no spelling for.
            _ => Value::Null,
        });
    }
}

/// Makes the error for a key that occurs twice in one object.
pub(super) fn duplicate_key(key: &str) -> Error {
    Error::invalid(format!("the key {key:?} occurs twice in one object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_parsed_sorted_and_found_by_key() {
        let value =
            Value::parse(r#" {"b": [1, 1.0, 18446744073709551615], "a": "\u00e9"} "#).unwrap();
        assert_eq!(value.get("a").and_then(Value::as_str), Some("é"));
        let numbers = [Value::Int(1), Value::Float(1.0), Value::UInt(u64::MAX)];
        assert_eq!(value.get("b"), Some(&Value::Array(numbers.to_vec())));
        assert_eq!(value.get("c"), None);
        assert_eq!(value.to_text(), r#"{"a":"é","b":[1,1.0,18446744073709551615]}"#);
        assert_eq!((Value::Int(2).as_f64(), Value::Null.as_f64()), (Some(2.0), None));
    }

    #[test]
    fn the_last_of_several_members_wins_in_1x_only() {
        let text = r#"{"a":1,"b":0,"a":2,"a":3}"#;
        assert_eq!(Value::from_canonical(text).to_text(), r#"{"a":3,"b":0}"#);
        assert!(Value::parse(text).unwrap_err().message().contains("\"a\" occurs twice"));
    }

    #[test]
    fn numbers_that_only_1x_holds_keep_their_spelling() {
        let big = "123456789012345678901234567890";
        assert_eq!(Value::from_canonical(big), Value::BigNumber(big.to_string()));
        assert_eq!(Value::from_canonical(big).to_text(), big);
        assert_eq!(Value::from_canonical(big).as_f64(), Some(1.2345678901234568e29));
        assert!(Value::parse(big).is_err());
    }
}
