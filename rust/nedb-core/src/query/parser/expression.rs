//! Conditions: what stands after WHERE and HAVING.
//!
//! In: tokens. Out: an [`Expression`].
//!
//! Binding, loosest first: OR, AND, NOT, comparisons. Comparisons do not chain.
//!
//! Invariants:
//! * Every level of recursion is counted against `limits::EXPRESSION_DEPTH_MAX`, and a tree is never
//!   deeper than that: AND and OR take any number of conditions side by side.

use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::json::Value;
use crate::limits;
use crate::query::algebra::Expression;
use crate::query::keyword::Keyword;
use crate::query::lexer::TokenKind;

/// What may stand after the left side of a comparison, for suggestions.
const OPERATORS: [Keyword; 6] =
    [Keyword::In, Keyword::Like, Keyword::Between, Keyword::Is, Keyword::Contains, Keyword::Not];

impl Cursor<'_> {
    /// Takes a condition.
    pub(super) fn condition(&mut self) -> Result<Expression> {
        self.any_of(0)
    }

    /// Takes conditions joined by OR.
    fn any_of(&mut self, depth: usize) -> Result<Expression> {
        let first = self.all_of(depth)?;
        if self.keyword() != Some(Keyword::Or) {
            return Ok(first);
        }
        let mut conditions = vec![first];
        while self.take_keyword(Keyword::Or)? {
            conditions.push(self.all_of(depth)?);
        }
        Ok(Expression::Or(conditions))
    }

    /// Takes conditions joined by AND.
    fn all_of(&mut self, depth: usize) -> Result<Expression> {
        let first = self.negation(depth)?;
        if self.keyword() != Some(Keyword::And) {
            return Ok(first);
        }
        let mut conditions = vec![first];
        while self.take_keyword(Keyword::And)? {
            conditions.push(self.negation(depth)?);
        }
        Ok(Expression::And(conditions))
    }

    /// Takes NOT and a condition, a condition in parentheses, or a comparison.
    fn negation(&mut self, depth: usize) -> Result<Expression> {
        if depth > limits::EXPRESSION_DEPTH_MAX {
            return Err(too_deep());
        }
        // A field may be called "not": then a comparison follows, which no condition starts with.
        if self.keyword() == Some(Keyword::Not)
            && !matches!(self.token_after(), TokenKind::Compare(_))
        {
            self.advance()?;
            return Ok(negate(self.negation(depth + 1)?));
        }
        if self.take(TokenKind::Open)? {
            let inside = self.any_of(depth + 1)?;
            self.expect(TokenKind::Close, "AND, OR or \")\"")?;
            return Ok(inside);
        }
        self.comparison()
    }

    /// Takes an operand and what is asked of it.
    fn comparison(&mut self) -> Result<Expression> {
        let operand = self.operand("a condition")?;
        if let TokenKind::Compare(operator) = self.token().kind {
            self.advance()?;
            let right = self.right_operand(&operand)?;
            self.check_end_of_comparison()?;
            let (left, right) = (Box::new(operand), Box::new(right));
            return Ok(Expression::Compare { operator, left, right });
        }
        if self.take_keyword(Keyword::Is)? {
            let negated = self.take_keyword(Keyword::Not)?;
            self.expect_keyword(Keyword::Null)?;
            let condition = Expression::IsNull(Box::new(operand));
            return Ok(if negated { negate(condition) } else { condition });
        }
        if self.take_keyword(Keyword::Not)? {
            return Ok(negate(self.predicate(operand, "IN, LIKE, BETWEEN or CONTAINS")?));
        }
        self.predicate(operand, "a comparison (= != < <= > >= IN LIKE BETWEEN IS CONTAINS)")
    }

    /// Takes IN, LIKE, BETWEEN or CONTAINS and what stands on its right: values only.
    fn predicate(&mut self, operand: Expression, expected: &str) -> Result<Expression> {
        let operand = Box::new(operand);
        if self.take_keyword(Keyword::In)? {
            return Ok(Expression::In { operand, values: self.list()? });
        }
        if self.take_keyword(Keyword::Like)? {
            let pattern = self.string("a pattern in quotes")?;
            return Ok(Expression::Like { operand, pattern });
        }
        if self.take_keyword(Keyword::Between)? {
            let low = self.value()?;
            self.expect_keyword(Keyword::And)?;
            return Ok(Expression::Between { operand, low, high: self.value()? });
        }
        if self.take_keyword(Keyword::Contains)? {
            return Ok(Expression::Contains { operand, value: self.value()? });
        }
        Err(self.unexpected_word(expected, &OPERATORS))
    }

    /// Refuses `1 < a < 5`, which reads as mathematics and would compare a truth value.
    fn check_end_of_comparison(&self) -> Result<()> {
        match self.token().kind {
            TokenKind::Compare(_) => {
                let message = "comparisons cannot be chained: join them with AND, or use BETWEEN";
                Err(self.fault(self.token(), message))
            }
            _ => Ok(()),
        }
    }

    /// Takes a value or a field.
    fn operand(&mut self, expected: &str) -> Result<Expression> {
        match self.take_value()? {
            Some(value) => Ok(Expression::Literal(value)),
            None => Ok(Expression::Field(self.path(expected)?)),
        }
    }

    /// Takes what a comparison compares with.
    ///
    /// A bare word beside a field is refused: it is nearly always a text that lost its quotes, and NEDB
    /// 1.x took it for one.
    fn right_operand(&mut self, left: &Expression) -> Result<Expression> {
        let token = self.token();
        let right = self.operand("a value")?;
        match (left, &right) {
            (Expression::Field(_), Expression::Field(path))
                if matches!(token.kind, TokenKind::Word(_)) && path.as_single().is_some() =>
            {
                let message = format!(
                    "expected a value, found the bare word {path}; put a text in quotes, \
                     \"{path}\", or a field to compare with in backticks, `{path}`"
                );
                Err(self.fault(token, message))
            }
            _ => Ok(right),
        }
    }

    /// Takes the list of IN: values in parentheses, or a parameter that is an array.
    fn list(&mut self) -> Result<Vec<Value>> {
        let token = self.token();
        let values = if token.kind == TokenKind::Parameter {
            match self.take_value()? {
                Some(Value::Array(values)) => values,
                other => {
                    let found = other.unwrap_or(Value::Null);
                    return Err(self.wrong_value(token, &found, "an array or \"(\" after IN"));
                }
            }
        } else {
            self.expect(TokenKind::Open, "\"(\" or a parameter that is an array")?;
            self.listed_values()?
        };
        if values.len() > limits::LIST_VALUES_COUNT_MAX {
            return Err(too_many(values.len()));
        }
        Ok(values)
    }

    /// Takes values separated by commas, and the closing parenthesis.
    fn listed_values(&mut self) -> Result<Vec<Value>> {
        let mut values = Vec::new();
        if self.take(TokenKind::Close)? {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            if !self.take(TokenKind::Comma)? {
                self.expect(TokenKind::Close, "\",\" or \")\"")?;
                return Ok(values);
            }
        }
    }
}

/// Makes the error for conditions nested too deeply.
fn too_deep() -> Error {
    let most = limits::EXPRESSION_DEPTH_MAX;
    Error::limit(format!("a condition is nested more than {most} levels deep"))
}

/// Makes the error for a list that is too long.
fn too_many(count: usize) -> Error {
    let most = limits::LIST_VALUES_COUNT_MAX;
    Error::limit(format!("a list of {count} values is longer than {most}"))
}

/// Turns a condition into its opposite.
fn negate(condition: Expression) -> Expression {
    Expression::Not(Box::new(condition))
}
