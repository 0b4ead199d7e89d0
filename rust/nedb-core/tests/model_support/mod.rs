//! A naive database, and what compares it with the real one.
//!
//! | file | what it owns |
//! |---|---|
//! | `value` | JSON values: their order, equality across spellings, dates |
//! | `script` | what a script may do, and how scripts are made up |
//! | `call` | a step with everything relative made absolute |
//! | `model` | the naive database: a list of ops, and every answer recomputed from it |
//! | `admit` | what the naive database accepts |
//! | `query` | queries as trees: their NQL text, and their answer by definition |
//! | `questions` | the queries that are asked |
//! | `engine` | the same steps on the real database |
//! | `check` | the comparison |

pub mod admit;
pub mod call;
pub mod check;
pub mod engine;
pub mod model;
pub mod query;
pub mod questions;
pub mod script;
pub mod value;
