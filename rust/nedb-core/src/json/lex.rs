//! The bytes of JSON: runs, strings, escapes and numbers, where they end and whether they may be.
//!
//! In: bytes that begin with a token. Out: its length, or what is wrong with it. Nothing here
//! allocates, and nothing assumes that the bytes are well-formed.

/// Whether a text must be JSON, or may hold what NEDB 1.x wrote and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 8259; escapes of surrogates only in pairs.
    Strict,
    /// Also `NaN`, `Infinity`, `-Infinity` and lone surrogates, as Python's `json` reads them.
    Legacy,
}

/// What is wrong, and how many bytes behind the start of the token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Bytes from the start of what was looked at.
    pub(super) offset_bytes: usize,
    /// What is wrong there, as the end of a sentence.
    pub(super) what: &'static str,
}

impl Fault {
    /// Makes the fault `what` at `offset_bytes`.
    fn at(offset_bytes: usize, what: &'static str) -> Self {
        Fault { offset_bytes, what }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Marks the high bit of each byte of `word` that equals `byte`; above the lowest mark there may be
/// false ones, so only the lowest counts.
#[inline(always)]
const fn equal_bytes(word: u64, byte: u8) -> u64 {
    let difference = word ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGH_BITS
}

/// Marks the high bit of each byte below 0x20, with the proviso of [`equal_bytes`].
#[inline(always)]
const fn control_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGH_BITS
}

/// Returns the length of the prefix in which no byte is marked by `marks` or found by `stops`.
#[inline(always)]
fn run(bytes: &[u8], marks: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        let found = marks(u64::from_le_bytes(*chunk));
        if found != 0 {
            return bytes.len() - rest.len() + (found.trailing_zeros() / 8) as usize;
        }
        rest = tail;
    }
    let tail_bytes = rest.iter().position(|&byte| stops(byte)).unwrap_or(rest.len());
    bytes.len() - rest.len() + tail_bytes
}

/// Returns how many bytes canonical text holds as they are: up to `"`, `\`, a control or DEL.
#[inline(always)]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    run(
        bytes,
        |word| {
            equal_bytes(word, b'"')
                | equal_bytes(word, b'\\')
                | equal_bytes(word, 0x7f)
                | control_bytes(word)
        },
        |byte| byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f),
    )
}

/// Returns how many bytes stand before the next `"` or `\`.
#[inline(always)]
pub(super) fn quote_run(bytes: &[u8]) -> usize {
    run(
        bytes,
        |word| equal_bytes(word, b'"') | equal_bytes(word, b'\\'),
        |byte| matches!(byte, b'"' | b'\\'),
    )
}

/// Returns how many bytes stand before the next quote, brace or bracket.
#[inline(always)]
pub(super) fn unstructured_run(bytes: &[u8]) -> usize {
    run(
        bytes,
        // Setting bit 5 folds `[` and `]` onto `{` and `}`.
        |word| {
            let folded = word | (ONES * 0x20);
            equal_bytes(word, b'"') | equal_bytes(folded, b'{') | equal_bytes(folded, b'}')
        },
        |byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'),
    )
}

/// Returns how many bytes stand before the first that is no ASCII.
#[inline(always)]
pub(super) fn ascii_run(bytes: &[u8]) -> usize {
    run(bytes, |word| word & HIGH_BITS, |byte| !byte.is_ascii())
}

/// Returns the value of the four hexadecimal digits that `bytes` begins with.
pub(super) fn hex4(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

/// A string token that was found well-formed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StringToken {
    /// Bytes of the token, both quotes included.
    pub(super) length_bytes: usize,
    /// True when it stands in canonical text just so: no escapes and no DEL.
    pub(super) plain: bool,
}

/// Measures the string token that `bytes` begins with, and checks its escapes.
pub(super) fn string_token(bytes: &[u8], dialect: Dialect) -> Result<StringToken, Fault> {
    let mut at = 1;
    let mut plain = true;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let run_bytes = plain_run(rest);
        at += run_bytes;
        match rest.get(run_bytes..).unwrap_or_default() {
            [b'"', ..] => return Ok(StringToken { length_bytes: at + 1, plain }),
            [0x7f, ..] => at += 1,
            [b'\\', escape @ ..] => at += escape_length(escape, at, dialect)?,
            [_, ..] => return Err(Fault::at(at, "a control character must be escaped")),
            [] => return Err(Fault::at(at, "the string has no end")),
        }
        plain = false;
    }
}

/// Measures an escape, its `\` included, from what follows the `\` at `at`.
fn escape_length(escape: &[u8], at: usize, dialect: Dialect) -> Result<usize, Fault> {
    match escape {
        [b'"' | b'\\' | b'/' | b'n' | b'r' | b't' | b'b' | b'f', ..] => Ok(2),
        [b'u', digits @ ..] => {
            let unit = hex4(digits)
                .ok_or_else(|| Fault::at(at, "\\u must be followed by four hexadecimal digits"))?;
            match unit {
                0xd800..=0xdbff if low_surrogate(digits.get(4..).unwrap_or_default()).is_some() => {
                    Ok(12)
                }
                0xd800..=0xdfff if dialect == Dialect::Strict => {
                    Err(Fault::at(at, "the surrogate stands alone, which is no character"))
                }
                _ => Ok(6),
            }
        }
        _ => Err(Fault::at(at, "there is no such escape")),
    }
}

/// Returns the low surrogate that `bytes` begins with an escape of.
pub(super) fn low_surrogate(bytes: &[u8]) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = bytes else { return None };
    hex4(digits).filter(|unit| (0xdc00..=0xdfff).contains(unit))
}

/// A number token that was found well-formed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NumberToken {
    /// Bytes of the token.
    pub(super) length_bytes: usize,
    /// Digits before the point, 1 or more.
    pub(super) integer_digits: usize,
    /// Digits behind the point, 0 when there is no point.
    pub(super) fraction_digits: usize,
    /// True when it has an exponent.
    pub(super) exponent: bool,
}

impl NumberToken {
    /// Tells whether the token has neither a point nor an exponent.
    pub(super) fn is_integer(&self) -> bool {
        self.fraction_digits == 0 && !self.exponent
    }
}

/// Measures the number token that `bytes` begins with; what follows it is not looked at.
pub(super) fn number_token(bytes: &[u8]) -> Result<NumberToken, Fault> {
    let (sign_bytes, digits) = match bytes {
        [b'-', digits @ ..] => (1, digits),
        digits => (0, digits),
    };
    let integer_digits = digit_run(digits);
    match digits {
        _ if integer_digits == 0 => return Err(Fault::at(sign_bytes, "a digit is missing")),
        [b'0', ..] if integer_digits > 1 => {
            return Err(Fault::at(sign_bytes, "a number has no leading zeros"));
        }
        _ => {}
    }
    let mut length_bytes = sign_bytes + integer_digits;
    let mut rest = digits.get(integer_digits..).unwrap_or_default();
    let mut fraction_digits = 0;
    if let [b'.', fraction @ ..] = rest {
        fraction_digits = digit_run(fraction);
        length_bytes += 1 + fraction_digits;
        if fraction_digits == 0 {
            return Err(Fault::at(length_bytes, "a digit is missing behind the point"));
        }
        rest = fraction.get(fraction_digits..).unwrap_or_default();
    }
    let exponent = matches!(rest, [b'e' | b'E', ..]);
    if exponent {
        let (sign_bytes, digits) = match rest {
            [_, b'+' | b'-', digits @ ..] => (1, digits),
            [_, digits @ ..] => (0, digits),
            [] => (0, rest),
        };
        let exponent_digits = digit_run(digits);
        length_bytes += 1 + sign_bytes + exponent_digits;
        if exponent_digits == 0 {
            return Err(Fault::at(length_bytes, "a digit is missing in the exponent"));
        }
    }
    Ok(NumberToken { length_bytes, integer_digits, fraction_digits, exponent })
}

/// Returns how many decimal digits `bytes` begins with.
#[inline(always)]
pub(super) fn digit_run(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len())
}

/// Returns how many bytes of white space `bytes` begins with.
#[inline(always)]
pub(super) fn blank_run(bytes: &[u8]) -> usize {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len())
}
