//! The token at hand, and what is said when it is the wrong one.
//!
//! In: the lexer. Out: names and paths; errors of the form `expected … after …, found …`.
//!
//! Invariants:
//! * One token is read ahead; the lexer stands right behind it, so that a path's dots can be seen.
//! * Every error points at the first character of what was found.

use crate::error::{Error, Result};
use crate::json::Path;
use crate::query::keyword::Keyword;
use crate::query::lexer::{Lexer, Token, TokenKind, shorten};
use crate::query::params::Params;

/// A place between two tokens of a query.
pub(super) struct Cursor<'q> {
    lexer: Lexer<'q>,
    token: Token,
    previous: Token,
    /// True when the previous token is a keyword's word that was taken as a name.
    named_as_keyword: bool,
    params: &'q Params,
}

impl<'q> Cursor<'q> {
    /// Makes a cursor before the first token.
    pub(super) fn new(nql: &'q str, params: &'q Params) -> Result<Self> {
        let mut lexer = Lexer::new(nql);
        let token = lexer.next_token()?;
        let previous = Token { kind: TokenKind::End, start: 0, end: 0 };
        Ok(Cursor { lexer, token, previous, named_as_keyword: false, params })
    }

    /// Returns the token at hand.
    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Returns the token before the one at hand.
    pub(super) fn previous(&self) -> Token {
        self.previous
    }

    /// Returns the keyword that the token at hand spells.
    pub(super) fn keyword(&self) -> Option<Keyword> {
        match self.token.kind {
            TokenKind::Word(keyword) => keyword,
            _ => None,
        }
    }

    /// Returns the token after the one at hand, or the end when there is no proper one.
    pub(super) fn token_after(&self) -> TokenKind {
        let mut lexer = self.lexer;
        lexer.next_token().map_or(TokenKind::End, |token| token.kind)
    }

    /// Returns a token's text as it is written.
    pub(super) fn text(&self, token: Token) -> &'q str {
        self.lexer.slice(token.start, token.end)
    }

    /// Returns the parameters of the query.
    pub(super) fn params(&self) -> &'q Params {
        self.params
    }

    /// Moves over the token at hand and returns it.
    pub(super) fn advance(&mut self) -> Result<Token> {
        let next = self.lexer.next_token()?;
        self.previous = std::mem::replace(&mut self.token, next);
        self.named_as_keyword = false;
        Ok(self.previous)
    }

    /// Moves over a keyword, if it is at hand.
    pub(super) fn take_keyword(&mut self, keyword: Keyword) -> Result<bool> {
        let found = self.keyword() == Some(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Moves over a symbol, if it is at hand.
    pub(super) fn take(&mut self, kind: TokenKind) -> Result<bool> {
        let found = self.token.kind == kind;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    /// Moves over a keyword that must be at hand.
    pub(super) fn expect_keyword(&mut self, keyword: Keyword) -> Result<()> {
        if self.take_keyword(keyword)? {
            return Ok(());
        }
        Err(self.unexpected_word(keyword.spelling(), &[keyword]))
    }

    /// Moves over a symbol that must be at hand.
    pub(super) fn expect(&mut self, kind: TokenKind, expected: &str) -> Result<()> {
        if self.take(kind)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Takes a name: any word, or anything in backticks.
    pub(super) fn name(&mut self, expected: &str) -> Result<String> {
        let name = self.name_text(self.token).ok_or_else(|| self.unexpected(expected))?;
        self.advance_over_name()?;
        Ok(name)
    }

    /// Takes a path: names joined by dots without blanks; after the first also numbers.
    pub(super) fn path(&mut self, expected: &str) -> Result<Path> {
        if !matches!(self.token.kind, TokenKind::Word(_) | TokenKind::QuotedName(_)) {
            return Err(self.unexpected(expected));
        }
        self.lexer.path_segments()?;
        self.token.end = self.lexer.offset();
        let path = Path::parse(self.text(self.token));
        self.advance_over_name()?;
        Ok(path)
    }

    /// Decodes a name; None when the token is none.
    fn name_text(&self, token: Token) -> Option<String> {
        let written = self.text(token);
        let inside = || self.lexer.slice(token.start + 1, token.end.saturating_sub(1));
        match token.kind {
            TokenKind::Word(_) => Some(written.to_owned()),
            TokenKind::QuotedName(false) => Some(inside().to_owned()),
            TokenKind::QuotedName(true) => Some(inside().replace("``", "`")),
            _ => None,
        }
    }

    /// Moves over a name, and remembers whether it could have been meant as a keyword.
    fn advance_over_name(&mut self) -> Result<()> {
        let name = self.advance()?;
        self.named_as_keyword = matches!(name.kind, TokenKind::Word(Some(_)));
        Ok(())
    }

    /// Makes an `NqlError` at a token.
    pub(super) fn fault(&self, token: Token, message: impl std::fmt::Display) -> Error {
        self.lexer.fault(token.start, message)
    }

    /// Makes the error for a token at hand that is not what must stand here.
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        self.unexpected_word(expected, &[])
    }

    /// Makes the same error, and names the keyword that a mistyped word was meant to be.
    pub(super) fn unexpected_word(&self, expected: &str, candidates: &[Keyword]) -> Error {
        let found = self.describe(self.token);
        let after = self.after();
        let advice = self.advice(candidates);
        self.fault(self.token, format_args!("expected {expected}{after}, found {found}{advice}"))
    }

    /// Says after what something was expected; nothing at the start of a query.
    fn after(&self) -> String {
        if self.previous.kind == TokenKind::End {
            return String::new();
        }
        format!(" after {}", self.describe(self.previous))
    }

    /// Guesses what went wrong at the token at hand.
    fn advice(&self, candidates: &[Keyword]) -> String {
        let written = self.text(self.token);
        if matches!(self.token.kind, TokenKind::Word(_))
            && let Some(meant) = Keyword::nearest(written, candidates)
        {
            return format!("; did you mean {}?", meant.spelling());
        }
        if self.named_as_keyword {
            return format!("; {} was read as a name here", self.describe(self.previous));
        }
        let strings = |token: Token| matches!(token.kind, TokenKind::String(_));
        if strings(self.token) && strings(self.previous) && self.previous.end == self.token.start {
            return "; inside a string, a quote is written \\\" or \\'".to_owned();
        }
        String::new()
    }

    /// Names a token in an error.
    pub(super) fn describe(&self, token: Token) -> String {
        let written = shorten(self.text(token));
        match token.kind {
            TokenKind::End => "end of query".to_owned(),
            TokenKind::String(_) => format!("the string {written}"),
            TokenKind::Integer | TokenKind::Decimal => format!("the number {written}"),
            TokenKind::Parameter => format!("the parameter {written}"),
            TokenKind::QuotedName(_) => format!("the name {written}"),
            _ => format!("\"{written}\""),
        }
    }
}
