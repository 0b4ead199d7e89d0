//! How a number is spelt.
//!
//! In: a JSON number token, or a double. Out: its one canonical spelling (log-format.md,
//! "Numbers").
//!
//! Invariants:
//! * A token without a point and an exponent is an integer from -2^63 to 2^64-1, any other a finite
//!   double, spelt as Python's `repr` spells it.
//! * `respell` of what `respell` wrote writes it again.

use std::fmt::Write;

use super::lex::{NumberToken, number_token};
use crate::error::{Error, Result};

/// What a number token is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// An integer that fits.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A finite double, written with a point or an exponent.
    Float(f64),
}

/// Returns what a well-formed number token is worth, or None beyond i64, u64 and the doubles.
pub(super) fn evaluate(token: &str) -> Option<Number> {
    if token.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return token.parse().ok().filter(|value: &f64| value.is_finite()).map(Number::Float);
    }
    match token.parse() {
        Ok(value) => Some(Number::Int(value)),
        Err(_) => token.parse().ok().map(Number::UInt),
    }
}

/// Writes the canonical spelling of a JSON number token.
///
/// Errors: `InvalidArgument` when the token is no JSON number, or an integer beyond i64 and u64, or
/// beyond the largest double.
pub(crate) fn respell(token: &str, out: &mut String) -> Result<()> {
    let shape = number_token(token.as_bytes())
        .ok()
        .filter(|shape| shape.length_bytes == token.len())
        .ok_or_else(|| Error::invalid(format!("{token:?} is no number")))?;
    if spelt_canonically(token, &shape) {
        out.push_str(token);
        return Ok(());
    }
    match evaluate(token) {
        Some(Number::Int(value)) => write_display(value, out),
        Some(Number::UInt(value)) => write_display(value, out),
        Some(Number::Float(value)) => write_double(value, out),
        None if shape.is_integer() => {
            return Err(Error::invalid(
                "an integer must be from -9223372036854775808 to 18446744073709551615",
            ));
        }
        None => return Err(Error::invalid("the number is beyond the largest double")),
    }
    Ok(())
}

/// Tells whether a well-formed number token is in its canonical spelling.
#[inline]
pub(super) fn is_canonical_number(token: &str, shape: &NumberToken) -> bool {
    if spelt_canonically(token, shape) {
        return true;
    }
    match evaluate(token) {
        Some(Number::Float(value)) => Spelling::of(value).is(token),
        Some(Number::Int(value)) => value != 0,
        Some(Number::UInt(_)) => true,
        None => false,
    }
}

/// Tells, without evaluating it, that a token is canonical; false is no answer.
///
/// Up to 15 significant digits name a double each, so a spelling without superfluous zeros is the
/// shortest one. Python goes over to exponents below 1e-4.
#[inline]
fn spelt_canonically(token: &str, shape: &NumberToken) -> bool {
    let bytes = token.as_bytes();
    if shape.exponent || shape.integer_digits + shape.fraction_digits > 15 {
        return false;
    }
    if shape.fraction_digits == 0 {
        return bytes != b"-0";
    }
    let fraction = bytes.get(bytes.len() - shape.fraction_digits..).unwrap_or_default();
    match fraction {
        [b'0'] => true,
        [.., b'0'] => false,
        [b'0', b'0', b'0', b'0', ..] => !matches!(bytes, [b'0', ..] | [b'-', b'0', ..]),
        _ => true,
    }
}

/// Writes an integer.
fn write_display(value: impl std::fmt::Display, out: &mut String) {
    // Writing to a String does not fail.
    let _ = write!(out, "{value}");
}

/// Writes a finite double as Python's `repr` spells it: `1.0`, `1e-07`, `1e+16`, `-0.0`; one that
/// is not finite, which no document holds, as `null`.
pub(crate) fn write_double(value: f64, out: &mut String) {
    if value.is_finite() {
        Spelling::of(value).write(out);
    } else {
        out.push_str("null");
    }
}

/// Bytes of the longest spelling of a double, and then some.
const SPELLING_BYTES_MAX: usize = 32;

/// How a double is spelt: the shortest digits that name it, of two equally near ones the even.
struct Spelling {
    bytes: [u8; SPELLING_BYTES_MAX],
    length: usize,
}

impl Spelling {
    /// Spells a finite double.
    fn of(value: f64) -> Self {
        let mut spelling = Spelling { bytes: [0; SPELLING_BYTES_MAX], length: 0 };
        let mut buffer = zmij::Buffer::new();
        // Rust's own formatting gives the upper of two equally near spellings, Python the even one.
        let spelt = buffer.format_finite(value);
        let size = value.abs();
        if size == 0.0 || (1e-4..1e16).contains(&size) {
            spelling.push(spelt);
        } else if let Some((digits, exponent)) = spelt.split_once('e') {
            spelling.push(digits);
            spelling.push_exponent(exponent);
        } else {
            // 0.0000123, which Python writes as 1.23e-05.
            let (sign, positive) = spelt.split_at(usize::from(value < 0.0));
            let digits = positive.trim_start_matches(['0', '.']);
            let (first, others) = digits.split_at_checked(1).unwrap_or((digits, ""));
            let point = if others.is_empty() { "" } else { "." };
            [sign, first, point, others].into_iter().for_each(|piece| spelling.push(piece));
            spelling.push_exponent("-5");
        }
        spelling
    }

    /// Adds an exponent, which Python gives its sign and at least two digits.
    fn push_exponent(&mut self, exponent: &str) {
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ("e-", digits),
            None => ("e+", exponent.trim_start_matches('+')),
        };
        self.push(sign);
        self.push(if digits.len() < 2 { "0" } else { "" });
        self.push(digits);
    }

    /// Adds a piece; the buffer is long enough for every double.
    fn push(&mut self, piece: &str) {
        let end = self.length + piece.len();
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            free.copy_from_slice(piece.as_bytes());
            self.length = end;
        }
    }

    /// Returns the text.
    fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(written).unwrap_or_default()
    }

    /// Writes the spelling.
    fn write(&self, out: &mut String) {
        out.push_str(self.as_str());
    }

    /// Tells whether `token` is the spelling.
    fn is(&self, token: &str) -> bool {
        self.as_str() == token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_spelt_as_python_spells_them() {
        for (value, spelling) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (100.0, "100.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e16, "1.25e+16"),
            (9007199254740993.0, "9007199254740992.0"),
            (1795224990.0474474, "1795224990.0474474"),
            // Halfway between two spellings of the same length: the even one.
            (568323668778759.0 + 0.25, "568323668778759.2"),
            (562949953421312.0 + 0.75, "562949953421312.8"),
            (-0.000012, "-1.2e-05"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            let mut spelt = String::new();
            write_double(value, &mut spelt);
            assert_eq!(spelt, spelling);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for token in ["", "-", "+1", "1 ", "01", ".5", "1.", "1e", "NaN", "0x1", "1e400", "-1e999"]
        {
            assert!(respell(token, &mut String::new()).is_err(), "{token}");
        }
    }
}
