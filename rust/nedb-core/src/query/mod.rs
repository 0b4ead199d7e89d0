//! Queries: what they mean, and how they are run.
//!
//! | file | what it owns |
//! |---|---|
//! | `algebra` | the tree of a query, whatever language it was written in |
//! | `plan` | the tree with its choices made |
//! | `access` | the choice: how the documents of a collection are reached |
//! | `execute` | the walk over the plan |
//! | `source` | the documents of a collection, fetched as chosen |
//! | `rows` | rows between steps, and rows for the caller |
//! | `field` | a field of a row |
//! | `compare` | raw values compared |
//! | `filter` | WHERE and HAVING |
//! | `like` | the pattern of LIKE |
//! | `sort` | ORDER BY |
//! | `search` | SEARCH: matches and scores |
//! | `terms` | the text of a SEARCH |
//! | `aggregate` | GROUP BY |
//! | `accumulate` | SUM, AVG, MIN, MAX |
//! | `traverse` | TRAVERSE |
//! | `trace` | TRACE |
//! | `explain` | EXPLAIN |
//! | `describe` | expressions as a person reads them |

mod access;
mod accumulate;
mod aggregate;
pub(crate) mod algebra;
mod compare;
mod describe;
mod execute;
mod explain;
mod field;
mod filter;
mod like;
mod plan;
mod rows;
mod search;
mod sort;
mod source;
mod terms;
mod trace;
mod traverse;

pub(crate) use execute::execute;
pub use rows::Rows;
