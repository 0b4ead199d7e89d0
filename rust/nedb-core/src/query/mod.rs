//! Queries: text or an adapter's request → the algebra → rows.
//!
//! | file | what it owns |
//! |---|---|
//! | `algebra` | what a query means, whatever language it was written in |
//! | `keyword`, `lexer` | NQL text → tokens |
//! | `params` | the values of `$1` and `$name` |
//! | `parser` | tokens → the algebra |

pub(crate) mod algebra;
mod keyword;
mod lexer;
mod params;
mod parser;

pub use params::Params;
pub(crate) use parser::parse;
