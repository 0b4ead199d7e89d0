//! Queries: text or an adapter's request → the algebra → a plan → rows.
//!
//! | file | what it owns |
//! |---|---|
//! | `algebra` | what a query means, whatever language it was written in |
//! | `keyword`, `lexer` | NQL text → tokens |
//! | `params` | the values of `$1` and `$name` |
//! | `parser` | tokens → the algebra |
//! | `bounds` | how much one query may ask for |
//! | `plan`, `access` | the tree with its choices made; how a collection's documents are reached |
//! | `execute`, `source` | the walk over the plan; the documents, fetched as chosen |
//! | `rows`, `field`, `compare` | rows between steps and for the caller; their fields; raw values compared |
//! | `filter`, `like` | WHERE and HAVING; the pattern of LIKE |
//! | `sort` | ORDER BY |
//! | `search`, `terms` | SEARCH: matches and scores; its text |
//! | `aggregate`, `accumulate` | GROUP BY; SUM, AVG, MIN, MAX |
//! | `traverse`, `trace` | TRAVERSE; TRACE |
//! | `explain`, `describe` | EXPLAIN; expressions as a person reads them |

mod access;
mod accumulate;
mod aggregate;
pub mod algebra;
mod bounds;
mod compare;
mod describe;
mod execute;
mod explain;
mod field;
mod filter;
mod keyword;
mod lexer;
mod like;
mod params;
mod parser;
mod plan;
mod rows;
mod search;
mod sort;
mod source;
mod terms;
#[cfg(test)]
mod tests;
mod trace;
mod traverse;

pub(crate) use execute::{execute, execute_at_once};
pub use params::Params;
pub(crate) use parser::parse;
pub use rows::Rows;
