//! Values in a query: strings, numbers, TRUE, FALSE, NULL and parameters.
//!
//! In: tokens. Out: [`Value`]s, and the texts and whole numbers that some clauses want.
//!
//! Invariants:
//! * A parameter may stand wherever a value may, and becomes its value, never text.
//! * An integer is exact or an error: what does not fit 64 bits is not rounded.

use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::json::Value;
use crate::query::keyword::Keyword;
use crate::query::lexer::{Token, TokenKind, shorten};

impl Cursor<'_> {
    /// Takes a value, if one is at hand.
    pub(super) fn take_value(&mut self) -> Result<Option<Value>> {
        let token = self.token();
        let value = match token.kind {
            TokenKind::String(escaped) => Value::String(self.string_text(token, escaped)?),
            TokenKind::Integer => self.integer(token)?,
            TokenKind::Decimal => self.decimal(token)?,
            TokenKind::Parameter => {
                let name = self.text(token).strip_prefix('$').unwrap_or_default();
                let found = self.params().find(name);
                found.cloned().map_err(|reason| self.fault(token, reason))?
            }
            TokenKind::Word(Some(Keyword::True)) => Value::Bool(true),
            TokenKind::Word(Some(Keyword::False)) => Value::Bool(false),
            TokenKind::Word(Some(Keyword::Null)) => Value::Null,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some(value))
    }

    /// Takes a value that must be at hand; a field may not stand here.
    pub(super) fn value(&mut self) -> Result<Value> {
        if let Some(value) = self.take_value()? {
            return Ok(value);
        }
        let expected = match self.token().kind {
            TokenKind::Word(_) | TokenKind::QuotedName(_) => "a value (a string is in quotes)",
            _ => "a value",
        };
        Err(self.unexpected(expected))
    }

    /// Takes a string, or a parameter that is one.
    pub(super) fn string(&mut self, expected: &str) -> Result<String> {
        let token = self.token();
        match self.take_value()? {
            Some(Value::String(text)) => Ok(text),
            Some(value) => Err(self.wrong_value(token, &value, expected)),
            None => Err(self.unexpected(expected)),
        }
    }

    /// Takes a seq: a whole number; one beyond all seqs is the largest.
    pub(super) fn seq(&mut self) -> Result<i64> {
        let expected = "a seq (a whole number)";
        let token = self.token();
        match self.take_value()? {
            Some(Value::Int(seq)) => Ok(seq),
            Some(Value::UInt(_)) => Ok(i64::MAX),
            Some(value) => Err(self.wrong_value(token, &value, expected)),
            None => Err(self.unexpected(expected)),
        }
    }

    /// Takes a number of rows: a whole number that is not negative.
    pub(super) fn row_count(&mut self) -> Result<u64> {
        let expected = "a whole number of 0 or more";
        let token = self.token();
        match self.take_value()? {
            Some(Value::UInt(count)) => Ok(count),
            Some(value) => match value {
                Value::Int(count) if count >= 0 => Ok(count.unsigned_abs()),
                _ => Err(self.wrong_value(token, &value, expected)),
            },
            None => Err(self.unexpected(expected)),
        }
    }

    /// Makes the error for a value of another kind than must stand here.
    pub(super) fn wrong_value(&self, token: Token, value: &Value, expected: &str) -> Error {
        let found = self.describe(token);
        let kind = match value {
            _ if token.kind != TokenKind::Parameter => "",
            Value::Null => ", which is null",
            Value::Bool(_) => ", which is true or false",
            Value::Int(number) if *number < 0 => ", which is negative",
            Value::Int(_) | Value::UInt(_) => ", which is a whole number",
            Value::Float(_) | Value::BigNumber(_) => ", which is no whole number",
            Value::String(_) => ", which is a string",
            Value::Array(_) => ", which is an array",
            Value::Object(_) => ", which is an object",
        };
        self.fault(token, format_args!("expected {expected}, found {found}{kind}"))
    }

    /// Decodes an integer exactly.
    fn integer(&self, token: Token) -> Result<Value> {
        let written = self.text(token);
        if let Ok(number) = written.parse::<i64>() {
            return Ok(Value::Int(number));
        }
        let unsigned = written.parse::<u64>().map(Value::UInt);
        let bounds = format!("{} to {}", i64::MIN, u64::MAX);
        unsigned.map_err(|_| {
            let written = shorten(written);
            self.fault(token, format_args!("{written} is beyond the integers ({bounds})"))
        })
    }

    /// Decodes a number with a fraction or an exponent to the nearest double.
    fn decimal(&self, token: Token) -> Result<Value> {
        let written = self.text(token);
        match written.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => {
                let written = shorten(written);
                Err(self.fault(token, format_args!("{written} is beyond the range of numbers")))
            }
        }
    }

    /// Decodes a string without its quotes.
    fn string_text(&self, token: Token, escaped: bool) -> Result<String> {
        let written = self.text(token);
        let inside = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
        if !escaped {
            return Ok(inside.to_owned());
        }
        unescape(inside).map_err(|(offset, reason)| {
            let start = token.start + 1 + offset;
            self.fault(Token { start, ..token }, reason)
        })
    }
}

/// An escape that NQL does not know: its byte offset, and what is wrong with it.
type BadEscape = (usize, String);

/// Replaces the escapes of a string by what they stand for.
fn unescape(written: &str) -> std::result::Result<String, BadEscape> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(length) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (plain, escape) = rest.split_at(length);
        text.push_str(plain);
        let offset = written.len() - escape.len();
        let (character, length) = decode_escape(escape).map_err(|reason| (offset, reason))?;
        text.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    Ok(text)
}

/// Decodes the escape that a text begins with, and returns its length in bytes too.
fn decode_escape(escape: &str) -> std::result::Result<(char, usize), String> {
    let character = match escape.chars().nth(1) {
        Some(itself @ ('"' | '\'' | '\\' | '/')) => itself,
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('u') => return decode_unicode(escape),
        Some(unknown) => {
            let advice = "a backslash itself is written \\\\";
            return Err(format!("unknown escape \\{unknown} in a string; {advice}"));
        }
        None => return Err("a string ends in a backslash".to_owned()),
    };
    Ok((character, 2))
}

/// Decodes `\uXXXX`, or two of them that are a surrogate pair.
fn decode_unicode(escape: &str) -> std::result::Result<(char, usize), String> {
    let first = code_unit(escape, 0).ok_or("expected four hexadecimal digits after \\u")?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = code_unit(escape, 6).unwrap_or_default();
    let units = [first, second].map(|unit| u16::try_from(unit).unwrap_or_default());
    match char::decode_utf16(units).next() {
        Some(Ok(character)) => Ok((character, 12)),
        _ => {
            Err(format!("\\u{first:04x} is half of a character; its other half must be beside it"))
        }
    }
}

/// Reads the four hexadecimal digits of the `\uXXXX` at a byte offset.
fn code_unit(text: &str, offset: usize) -> Option<u32> {
    let digits = text.get(offset..offset + 6)?.strip_prefix("\\u")?;
    // `from_str_radix` alone would accept a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_escape_stands_for_its_character() {
        assert_eq!(unescape(r#"\"\'\\\/\n\r\t\b\f"#).unwrap(), "\"'\\/\n\r\t\u{8}\u{c}");
        assert_eq!(unescape(r"a\u00e9b\u4E2Dc").unwrap(), "aéb中c");
        assert_eq!(unescape(r"\ud83d\ude00!").unwrap(), "😀!");
        assert_eq!(unescape("plain ünd raw\n").unwrap(), "plain ünd raw\n");
    }

    #[test]
    fn a_wrong_escape_is_named_with_its_place() {
        for (wrong, offset) in [
            (r"\x", 0),
            (r"ab\é", 2),
            (r"\u12", 0),
            (r"\u12g4", 0),
            (r"\u+123", 0),
            (r"x\ud83d", 1),
            (r"\ud83dx", 0),
            (r"\ud83d\u0041", 0),
            (r"\ude00\ud83d", 0),
            (r"\ud83d\ud83d", 0),
            ("\\", 0),
            ("\\u00é", 0),
        ] {
            assert_eq!(unescape(wrong).unwrap_err().0, offset, "{wrong}");
        }
    }
}
