//! Reads.
//!
//! | file | what it owns |
//! |---|---|
//! | `get_and_query` | get, query, neighbours, ops |
//! | `watch` | what a host that serves others asks: listeners, position, counts of documents |

mod get_and_query;
mod watch;
