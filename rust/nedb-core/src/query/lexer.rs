//! NQL text cut into tokens.
//!
//! In: the text of a query. Out: one [`Token`] at a time, each a kind and a byte range of the text.
//!
//! Invariants:
//! * Nothing is allocated and nothing decoded: the parser decodes the tokens that it keeps.
//! * A token's range lies on character boundaries, so that slicing it never fails.
//! * Tokens come in order and never overlap; after [`TokenKind::End`] comes `End` again.

use memchr::memchr2;
use unicode_segmentation::UnicodeSegmentation;

use super::algebra::CompareOperator;
use super::keyword::Keyword;
use crate::error::{Error, QueryPosition, Result};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name without quotes, and the keyword that it also spells.
    Word(Option<Keyword>),
    /// A name in backticks; true when it holds a doubled backtick.
    QuotedName(bool),
    /// A string in quotes; true when it holds an escape.
    String(bool),
    /// A number without fraction and exponent.
    Integer,
    /// A number with a fraction or an exponent.
    Decimal,
    /// `$1` or `$name`.
    Parameter,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `=` `==` `!=` `<>` `<` `<=` `>` `>=`
    Compare(CompareOperator),
    /// The end of the text.
    End,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: TokenKind,
    /// Where it starts, in bytes.
    pub(super) start: usize,
    /// Where it ends, in bytes; not included.
    pub(super) end: usize,
}

/// A place in the text of a query, from which tokens are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'q> {
    text: &'q str,
    offset: usize,
}

impl<'q> Lexer<'q> {
    /// Makes a lexer at the start of a text.
    pub(super) fn new(text: &'q str) -> Self {
        Lexer { text, offset: 0 }
    }

    /// Returns the text of a byte range, without anything outside of it.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'q str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Returns where the next token is looked for, in bytes.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Takes the next token; `NqlError` when there is none that NQL knows.
    pub(super) fn next_token(&mut self) -> Result<Token> {
        self.skip_blanks();
        let start = self.offset;
        let Some(byte) = self.byte(0) else {
            return Ok(Token { kind: TokenKind::End, start, end: start });
        };
        let kind = match byte {
            b'(' => self.symbol(1, TokenKind::Open),
            b')' => self.symbol(1, TokenKind::Close),
            b',' => self.symbol(1, TokenKind::Comma),
            b'"' | b'\'' => self.string(byte)?,
            b'`' => self.quoted_name()?,
            b'$' => self.parameter()?,
            b'0'..=b'9' => self.number()?,
            b'-' | b'+' if matches!(self.byte(1), Some(b'0'..=b'9')) => self.number()?,
            b'=' | b'!' | b'<' | b'>' => self.comparison(byte)?,
            _ => match self.word() {
                "" => return Err(self.unexpected_character()),
                word => TokenKind::Word(Keyword::of(word)),
            },
        };
        Ok(Token { kind, start, end: self.offset })
    }

    /// Takes the further segments of a path: each right after a dot, as a name or a number.
    pub(super) fn path_segments(&mut self) -> Result<()> {
        while self.byte(0) == Some(b'.') {
            self.offset += 1;
            if self.byte(0) == Some(b'`') {
                self.quoted_name()?;
            } else if self.name_characters().is_empty() {
                let message = "expected a name or a number right after the dot of a path";
                return Err(self.fault(self.offset, message));
            }
        }
        Ok(())
    }

    /// Makes an `NqlError` at a byte offset; its message ends with the line and the column.
    pub(super) fn fault(&self, offset_bytes: usize, message: impl std::fmt::Display) -> Error {
        let position = position(self.text, offset_bytes);
        let QueryPosition { line, column, .. } = position;
        Error::nql(format!("{message} (line {line}, column {column})"), Some(position))
    }

    /// Returns the byte so many places on.
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.offset + ahead).copied()
    }

    /// Returns the text that is left.
    fn rest(&self) -> &'q str {
        self.slice(self.offset, self.text.len())
    }

    /// Moves over a symbol.
    fn symbol(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.offset += length;
        kind
    }

    /// Moves over white space and comments, which run from `--` to the end of the line.
    fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.offset += 1,
                Some(b'-') if self.byte(1) == Some(b'-') => {
                    let comment = memchr2(b'\n', b'\r', self.rest().as_bytes());
                    self.offset = comment.map_or(self.text.len(), |length| self.offset + length);
                }
                Some(0x0b | 0x0c | 0x80..) => {
                    let blank = self.rest().chars().next().filter(|c| c.is_whitespace());
                    let Some(blank) = blank else { return };
                    self.offset += blank.len_utf8();
                }
                _ => return,
            }
        }
    }

    /// Takes the longest run that begins as a name does; empty when nothing here can.
    fn word(&mut self) -> &'q str {
        let starts = match self.byte(0) {
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => true,
            Some(0x80..) => self.rest().chars().next().is_some_and(char::is_alphabetic),
            _ => false,
        };
        if starts { self.name_characters() } else { "" }
    }

    /// Takes the longest run of letters, digits and underscores; a letter keeps its marks.
    fn name_characters(&mut self) -> &'q str {
        let start = self.offset;
        loop {
            match self.byte(0) {
                Some(b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_') => self.offset += 1,
                Some(0x80..) => match self.rest().chars().next() {
                    Some(c) if c.is_alphanumeric() || self.marks_a_letter(start, c) => {
                        self.offset += c.len_utf8();
                    }
                    _ => break,
                },
                _ => break,
            }
        }
        self.slice(start, self.offset)
    }

    /// Says whether a character joins the one before it to one grapheme, as an accent does.
    fn marks_a_letter(&self, start: usize, mark: char) -> bool {
        let Some(letter) = self.slice(start, self.offset).chars().next_back() else {
            return false;
        };
        let pair = String::from_iter([letter, mark]);
        pair.graphemes(true).count() == 1
    }

    /// Takes a string up to its closing quote.
    fn string(&mut self, quote: u8) -> Result<TokenKind> {
        let start = self.offset;
        let mut escaped = false;
        self.offset += 1;
        while let Some(length) = memchr2(quote, b'\\', self.rest().as_bytes()) {
            self.offset += length;
            if self.byte(0) == Some(quote) {
                return Ok(self.symbol(1, TokenKind::String(escaped)));
            }
            escaped = true;
            // The character after a backslash is skipped whole, whatever its width.
            self.offset += 1 + self.rest().chars().nth(1).map_or(0, char::len_utf8);
        }
        let quote = char::from(quote);
        Err(self.fault(start, format_args!("this string has no closing {quote}")))
    }

    /// Takes a name in backticks; a doubled backtick stands for one.
    fn quoted_name(&mut self) -> Result<TokenKind> {
        let start = self.offset;
        let mut doubled = false;
        self.offset += 1;
        while let Some(length) = memchr::memchr(b'`', self.rest().as_bytes()) {
            self.offset += length;
            if self.byte(1) != Some(b'`') {
                return Ok(self.symbol(1, TokenKind::QuotedName(doubled)));
            }
            doubled = true;
            self.offset += 2;
        }
        Err(self.fault(start, "this name has no closing backtick"))
    }

    /// Takes `$` and the number or the name after it.
    fn parameter(&mut self) -> Result<TokenKind> {
        let start = self.offset;
        self.offset += 1;
        if self.name_characters().is_empty() {
            return Err(self.fault(start, "expected a number or a name right after \"$\""));
        }
        Ok(TokenKind::Parameter)
    }

    /// Takes a number: a sign, digits, a fraction, an exponent.
    fn number(&mut self) -> Result<TokenKind> {
        let start = self.offset;
        let mut kind = TokenKind::Integer;
        self.offset += usize::from(matches!(self.byte(0), Some(b'-' | b'+')));
        self.digits();
        if self.byte(0) == Some(b'.') && matches!(self.byte(1), Some(b'0'..=b'9')) {
            kind = self.symbol(1, TokenKind::Decimal);
            self.digits();
        }
        if matches!(self.byte(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.byte(1), Some(b'-' | b'+')));
            if matches!(self.byte(1 + sign), Some(b'0'..=b'9')) {
                kind = self.symbol(1 + sign, TokenKind::Decimal);
                self.digits();
            }
        }
        if self.byte(0) != Some(b'.') && self.name_characters().is_empty() {
            return Ok(kind);
        }
        let written = self.slice(start, self.text.len());
        let end = written.find(|c: char| c.is_whitespace() || "(),=<>!".contains(c));
        let found = shorten(written.get(..end.unwrap_or(written.len())).unwrap_or_default());
        let advice = "a name that starts with a digit is written in backticks";
        Err(self.fault(start, format_args!("{found} is not a number; {advice}")))
    }

    /// Moves over digits.
    fn digits(&mut self) {
        while matches!(self.byte(0), Some(b'0'..=b'9')) {
            self.offset += 1;
        }
    }

    /// Takes a comparison.
    fn comparison(&mut self, first: u8) -> Result<TokenKind> {
        let (length, operator) = match (first, self.byte(1)) {
            (b'=', Some(b'=')) => (2, CompareOperator::Equal),
            (b'=', _) => (1, CompareOperator::Equal),
            (b'!', Some(b'=')) | (b'<', Some(b'>')) => (2, CompareOperator::NotEqual),
            (b'<', Some(b'=')) => (2, CompareOperator::LessOrEqual),
            (b'<', _) => (1, CompareOperator::Less),
            (b'>', Some(b'=')) => (2, CompareOperator::GreaterOrEqual),
            (b'>', _) => (1, CompareOperator::Greater),
            _ => return Err(self.unexpected_character()),
        };
        Ok(self.symbol(length, TokenKind::Compare(operator)))
    }

    /// Makes the error of a character that starts no token, with what was probably meant.
    fn unexpected_character(&self) -> Error {
        let found = self.rest().chars().next().unwrap_or_default();
        let advice = match found {
            '!' => ": \"not equal\" is written !=, and the opposite of a condition NOT",
            '&' => ": conditions are joined with AND",
            '|' => ": conditions are joined with OR",
            '-' => ": a name with a hyphen is written in backticks",
            '.' => ": a path has no blanks around its dots, and a number starts with a digit",
            ';' => ": a query ends without a semicolon",
            '?' => ": parameters are written $1 or $name",
            '*' => ": FROM gives whole documents, and COUNT counts them",
            '[' | ']' | '{' | '}' => ": arrays and objects are given as parameters",
            '\u{2018}'..='\u{201f}' | '«' | '»' => ": strings are written in \" or '",
            _ => "",
        };
        self.fault(self.offset, format_args!("unexpected character {found:?}{advice}"))
    }
}

/// Finds the line and the column of a byte offset.
fn position(text: &str, offset_bytes: usize) -> QueryPosition {
    let before = text.get(..offset_bytes).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.bytes().filter(|&byte| byte == b'\n').count();
    let column = 1 + before.get(line_start..).unwrap_or_default().chars().count();
    QueryPosition { offset_bytes: before.len(), line, column }
}

/// Shortens what an error quotes from the query to 40 characters.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> Result<Vec<(TokenKind, &str)>> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next_token()?;
            if token.kind == TokenKind::End {
                return Ok(tokens);
            }
            tokens.push((token.kind, lexer.slice(token.start, token.end)));
        }
    }

    fn message(text: &str) -> String {
        lex(text).expect_err(text).message().to_owned()
    }

    #[test]
    fn a_query_is_cut_into_words_values_and_symbols() {
        use CompareOperator::*;
        let tokens =
            lex("FROM users WHERE(age>=-25.5e1)AND name!='x' -- all of them\n LIMIT $1").unwrap();
        let expected = [
            (TokenKind::Word(Some(Keyword::From)), "FROM"),
            (TokenKind::Word(None), "users"),
            (TokenKind::Word(Some(Keyword::Where)), "WHERE"),
            (TokenKind::Open, "("),
            (TokenKind::Word(None), "age"),
            (TokenKind::Compare(GreaterOrEqual), ">="),
            (TokenKind::Decimal, "-25.5e1"),
            (TokenKind::Close, ")"),
            (TokenKind::Word(Some(Keyword::And)), "AND"),
            (TokenKind::Word(None), "name"),
            (TokenKind::Compare(NotEqual), "!="),
            (TokenKind::String(false), "'x'"),
            (TokenKind::Word(Some(Keyword::Limit)), "LIMIT"),
            (TokenKind::Parameter, "$1"),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn every_comparison_has_its_spellings() {
        use CompareOperator::*;
        let kinds = |text| lex(text).unwrap().into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
        let expected =
            [Equal, Equal, NotEqual, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual];
        assert_eq!(kinds("= == != <> < <= > >="), expected.map(TokenKind::Compare));
    }

    #[test]
    fn names_are_made_of_letters_of_any_script() {
        for name in ["größe", "名前", "कर्म", "_x1", "é\u{301}t", "e\u{301}t", "ναι2"]
        {
            assert_eq!(lex(name).unwrap(), [(TokenKind::Word(None), name)], "{name}");
        }
    }

    #[test]
    fn blanks_of_every_kind_and_comments_separate() {
        let tokens = lex("a\u{a0}b\u{3000}c\x0bd--x\re -- y").unwrap();
        assert_eq!(
            tokens.iter().map(|token| token.1).collect::<Vec<_>>(),
            ["a", "b", "c", "d", "e"]
        );
        assert_eq!(lex("").unwrap(), []);
        assert_eq!(lex(" \n\t").unwrap(), []);
    }

    #[test]
    fn strings_end_at_their_own_quote_that_is_not_escaped() {
        assert_eq!(lex(r#""it's""#).unwrap(), [(TokenKind::String(false), r#""it's""#)]);
        assert_eq!(lex(r#"'a\'b'"#).unwrap(), [(TokenKind::String(true), r#"'a\'b'"#)]);
        assert_eq!(lex(r#""\\""#).unwrap(), [(TokenKind::String(true), r#""\\""#)]);
        assert_eq!(lex("\"\\é\"").unwrap(), [(TokenKind::String(true), "\"\\é\"")]);
        assert_eq!(message(r#"a = "x\""#), "this string has no closing \" (line 1, column 5)");
        assert_eq!(message("\"\\"), "this string has no closing \" (line 1, column 1)");
    }

    #[test]
    fn a_doubled_backtick_does_not_end_a_name() {
        assert_eq!(lex("`odd name`").unwrap(), [(TokenKind::QuotedName(false), "`odd name`")]);
        assert_eq!(lex("````").unwrap(), [(TokenKind::QuotedName(true), "````")]);
        assert_eq!(lex("``").unwrap(), [(TokenKind::QuotedName(false), "``")]);
        assert_eq!(message("`x``"), "this name has no closing backtick (line 1, column 1)");
    }

    #[test]
    fn numbers_must_end_where_a_name_could_not_go_on() {
        assert_eq!(lex("007").unwrap(), [(TokenKind::Integer, "007")]);
        assert_eq!(lex("+1E+2").unwrap(), [(TokenKind::Decimal, "+1E+2")]);
        for wrong in ["5abc", "1.2.3", "5.", "1e", "1e+", "5é", "2024_orders"] {
            assert!(message(wrong).contains("is not a number"), "{wrong}: {}", message(wrong));
        }
    }

    #[test]
    fn a_character_without_meaning_is_named_with_its_place_and_advice() {
        assert_eq!(message("a\n  é #"), "unexpected character '#' (line 2, column 5)");
        assert!(
            message("user-events")
                .ends_with("a name with a hyphen is written in backticks (line 1, column 5)")
        );
        assert!(message("a = “x”").contains("strings are written in"));
        assert!(message("a ! b").contains("!="));
        assert!(message("$").contains("right after \"$\""));
        assert!(message("\0").contains("unexpected character '\\0'"));
    }
}
