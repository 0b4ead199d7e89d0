//! A whole query: FROM, and the clauses after it in any order, each at most once.
//!
//! In: NQL text and parameters. Out: a [`Query`].
//!
//! Invariants:
//! * Clauses are collected first and put into their acting order by `tree`, so that the order in
//!   which they are written never matters.
//! * Whatever is accepted is meant: no clause is read and then ignored.

use super::cursor::Cursor;
use super::tree::{Clauses, Search};
use crate::error::{Error, Result};
use crate::instant::{self, Bound};
use crate::json::Path;
use crate::limits;
use crate::query::algebra::{Aggregate, AggregateFunction, Query, SortKey, TraceDirection};
use crate::query::keyword::Keyword;
use crate::query::lexer::{Token, TokenKind};
use crate::query::params::Params;

/// Parses NQL into the algebra, with every parameter bound to its value.
///
/// Cost: linear in the text. Errors: `NqlError` with a position; `LimitExceeded` for a text, a
/// nesting, a list or parameters beyond the bounds of `limits.rs`.
pub(crate) fn parse(nql: &str, params: &Params) -> Result<Query> {
    if nql.len() > limits::QUERY_BYTES_MAX {
        let most = limits::QUERY_BYTES_MAX;
        return Err(Error::limit(format!("a query of {} bytes is longer than {most}", nql.len())));
    }
    params.check_count()?;
    let mut cursor = Cursor::new(nql, params)?;
    let explain = cursor.take_keyword(Keyword::Explain)?;
    if !cursor.take_keyword(Keyword::From)? {
        let expected = if explain { "FROM" } else { "FROM (or EXPLAIN FROM)" };
        return Err(cursor.unexpected_word(expected, &[Keyword::From, Keyword::Explain]));
    }
    let mut clauses =
        Clauses { explain, collection: cursor.name("a collection")?, ..<_>::default() };
    let mut seen = Seen::default();
    while let Some(clause) = next_clause(&cursor, seen.last)? {
        seen.note(&cursor, clause)?;
        cursor.clause(clause, &mut clauses)?;
    }
    seen.check_having(&cursor)?;
    Ok(clauses.into_query())
}

/// What may stand after FROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    AsOf,
    ValidAsOf,
    Where,
    Search,
    OrderBy,
    Traverse,
    Trace,
    GroupBy,
    Aggregates,
    Having,
    Limit,
    Offset,
}

/// The keywords that clauses start with, and AND and OR, for suggestions.
const CONTINUATIONS: [Keyword; 18] = [
    Keyword::As,
    Keyword::Valid,
    Keyword::Where,
    Keyword::Search,
    Keyword::Order,
    Keyword::Traverse,
    Keyword::Trace,
    Keyword::Group,
    Keyword::Count,
    Keyword::Sum,
    Keyword::Avg,
    Keyword::Min,
    Keyword::Max,
    Keyword::Having,
    Keyword::Limit,
    Keyword::Offset,
    Keyword::And,
    Keyword::Or,
];

impl Clause {
    /// Finds the clause that a keyword starts.
    fn starting_with(keyword: Keyword) -> Option<Clause> {
        Some(match keyword {
            Keyword::As => Clause::AsOf,
            Keyword::Valid => Clause::ValidAsOf,
            Keyword::Where => Clause::Where,
            Keyword::Search => Clause::Search,
            Keyword::Order => Clause::OrderBy,
            Keyword::Traverse => Clause::Traverse,
            Keyword::Trace => Clause::Trace,
            Keyword::Group => Clause::GroupBy,
            Keyword::Count | Keyword::Sum | Keyword::Avg | Keyword::Min | Keyword::Max => {
                Clause::Aggregates
            }
            Keyword::Having => Clause::Having,
            Keyword::Limit => Clause::Limit,
            Keyword::Offset => Clause::Offset,
            _ => return None,
        })
    }

    /// Returns how the clause is called in an error.
    fn name(self) -> &'static str {
        match self {
            Clause::AsOf => "AS OF",
            Clause::ValidAsOf => "VALID AS OF",
            Clause::Where => "WHERE",
            Clause::Search => "SEARCH",
            Clause::OrderBy => "ORDER BY",
            Clause::Traverse => "TRAVERSE",
            Clause::Trace => "TRACE",
            Clause::GroupBy => "GROUP BY",
            Clause::Aggregates => "a list of aggregates",
            Clause::Having => "HAVING",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
        }
    }
}

/// Returns the clause that starts at hand, or None at the end of the query.
fn next_clause(cursor: &Cursor<'_>, last: Option<Clause>) -> Result<Option<Clause>> {
    if cursor.token().kind == TokenKind::End {
        return Ok(None);
    }
    let clause = cursor.keyword().and_then(Clause::starting_with);
    clause.map(Some).ok_or_else(|| {
        let expected = match last {
            Some(Clause::Where | Clause::Having) => "AND, OR, another clause or the end",
            Some(Clause::OrderBy) => "ASC, DESC, a comma, another clause or the end",
            Some(Clause::GroupBy) => "a comma, an aggregate, another clause or the end",
            Some(Clause::Aggregates) => "another aggregate, another clause or the end",
            Some(_) => "another clause or the end",
            None => "a clause (such as WHERE, ORDER BY or LIMIT) or the end",
        };
        cursor.unexpected_word(expected, &CONTINUATIONS)
    })
}

/// The clauses met so far.
#[derive(Default)]
struct Seen {
    clauses: u16,
    last: Option<Clause>,
    having: Option<Token>,
}

impl Seen {
    /// Notes the clause at hand; one that is there already is an error.
    fn note(&mut self, cursor: &Cursor<'_>, clause: Clause) -> Result<()> {
        if self.has(clause) {
            let name = clause.name();
            let message = format!("{name} is here a second time; a query takes it once");
            return Err(cursor.fault(cursor.token(), message));
        }
        self.clauses |= 1 << clause as u16;
        self.last = Some(clause);
        if clause == Clause::Having {
            self.having = Some(cursor.token());
        }
        Ok(())
    }

    /// Says whether a clause was there.
    fn has(&self, clause: Clause) -> bool {
        self.clauses & (1 << clause as u16) != 0
    }

    /// Refuses HAVING where no groups are made.
    fn check_having(&self, cursor: &Cursor<'_>) -> Result<()> {
        match self.having {
            Some(token) if !self.has(Clause::GroupBy) && !self.has(Clause::Aggregates) => {
                let message =
                    "HAVING needs GROUP BY or an aggregate; documents are filtered by WHERE";
                Err(cursor.fault(token, message))
            }
            _ => Ok(()),
        }
    }
}

impl Cursor<'_> {
    /// Takes the clause whose first keyword is at hand.
    fn clause(&mut self, clause: Clause, clauses: &mut Clauses) -> Result<()> {
        if clause == Clause::Aggregates {
            clauses.aggregates = Some(self.aggregates()?);
            return Ok(());
        }
        self.advance()?;
        match clause {
            Clause::AsOf => {
                self.expect_keyword(Keyword::Of)?;
                clauses.at.as_of = Some(self.seq()?);
            }
            Clause::ValidAsOf => clauses.at.valid_as_of = Some(self.valid_as_of()?),
            Clause::Where => clauses.filter = Some(self.condition()?),
            Clause::Search => clauses.search = Some(self.search()?),
            Clause::OrderBy => clauses.order = self.order()?,
            Clause::Traverse => clauses.traverse = Some(self.name("a relation")?),
            Clause::Trace => clauses.trace = Some(self.trace()?),
            Clause::GroupBy => clauses.group = Some(self.group_keys()?),
            Clause::Having => clauses.having = Some(self.condition()?),
            Clause::Limit => clauses.limit = Some(self.row_count()?),
            Clause::Offset => clauses.offset = self.row_count()?,
            Clause::Aggregates => {}
        }
        Ok(())
    }

    /// Takes what follows VALID.
    fn valid_as_of(&mut self) -> Result<String> {
        self.expect_keyword(Keyword::As)?;
        self.expect_keyword(Keyword::Of)?;
        let token = self.token();
        let date = self.string("a date in quotes")?;
        if instant::parse(&date, Bound::At).is_none() {
            let found = self.describe(token);
            let expected = "a date of ISO 8601, such as \"2024-02-15\" or \"2024-02-15T08:30:00Z\"";
            return Err(self.fault(token, format_args!("expected {expected}, found {found}")));
        }
        Ok(date)
    }

    /// Takes what follows SEARCH.
    fn search(&mut self) -> Result<Search> {
        let text = self.string("a text in quotes")?;
        let mut fields = Vec::new();
        if self.take_keyword(Keyword::In)? {
            self.expect(TokenKind::Open, "\"(\"")?;
            loop {
                self.push_path(&mut fields)?;
                if !self.take(TokenKind::Comma)? {
                    break;
                }
            }
            self.expect(TokenKind::Close, "\",\" or \")\"")?;
        }
        Ok(Search { text, fields })
    }

    /// Takes what follows ORDER.
    fn order(&mut self) -> Result<Vec<SortKey>> {
        self.expect_keyword(Keyword::By)?;
        let mut keys = Vec::new();
        loop {
            let path = self.path("a field")?;
            let descending = self.take_keyword(Keyword::Desc)?;
            if !descending {
                self.take_keyword(Keyword::Asc)?;
            }
            keys.push(SortKey { path, descending });
            if !self.take(TokenKind::Comma)? {
                return Ok(keys);
            }
        }
    }

    /// Takes what follows TRACE.
    fn trace(&mut self) -> Result<TraceDirection> {
        self.expect_keyword(Keyword::CausedBy)?;
        let reverse = self.take_keyword(Keyword::Reverse)?;
        Ok(if reverse { TraceDirection::Effects } else { TraceDirection::Causes })
    }

    /// Takes what follows GROUP: the keys. The first word is a key whatever it spells.
    fn group_keys(&mut self) -> Result<Vec<Path>> {
        self.expect_keyword(Keyword::By)?;
        let mut keys = Vec::new();
        loop {
            self.push_path(&mut keys)?;
            let more = self.take(TokenKind::Comma)?;
            let aggregates =
                self.keyword().and_then(Clause::starting_with) == Some(Clause::Aggregates);
            if !more || aggregates {
                return Ok(keys);
            }
        }
    }

    /// Takes aggregates, with or without commas between them.
    fn aggregates(&mut self) -> Result<Vec<Aggregate>> {
        let mut aggregates = Vec::new();
        let mut counted = false;
        loop {
            let token = self.token();
            let function = match self.keyword() {
                Some(Keyword::Count) if counted => return Err(self.repeated(token)),
                Some(Keyword::Count) => None,
                Some(Keyword::Sum) => Some(AggregateFunction::Sum),
                Some(Keyword::Avg) => Some(AggregateFunction::Average),
                Some(Keyword::Min) => Some(AggregateFunction::Minimum),
                Some(Keyword::Max) => Some(AggregateFunction::Maximum),
                _ => return Err(self.unexpected("COUNT, SUM, AVG, MIN or MAX")),
            };
            self.advance()?;
            counted |= function.is_none();
            if let Some(function) = function {
                let aggregate = Aggregate { function, path: self.path("a field")? };
                if aggregates.contains(&aggregate) {
                    return Err(self.repeated(token));
                }
                aggregates.push(aggregate);
            }
            let more = self.take(TokenKind::Comma)?;
            let next = self.keyword().and_then(Clause::starting_with);
            if !more && next != Some(Clause::Aggregates) {
                return Ok(aggregates);
            }
        }
    }

    /// Takes a path into a list that has it not yet.
    fn push_path(&mut self, paths: &mut Vec<Path>) -> Result<()> {
        let token = self.token();
        let path = self.path("a field")?;
        if paths.contains(&path) {
            return Err(self.repeated(token));
        }
        paths.push(path);
        Ok(())
    }

    /// Makes the error for something that its list has already, from its first token on.
    fn repeated(&self, first: Token) -> Error {
        let found = self.describe(Token { end: first.end.max(self.previous().end), ..first });
        self.fault(first, format_args!("{found} is in its list already"))
    }
}
