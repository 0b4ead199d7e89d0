//! HTTP: bytes to requests, requests to calls of the databases, answers to bytes.
//!
//! | file | what it owns |
//! |---|---|
//! | `router` | which path is which handler, and what stands before all of them |
//! | `guard` | tokens, origins, counts: what every request passes |
//! | `malformed` | what is no request, whatever it asks for |
//! | `leftover` | what of a body nobody has read |
//! | `request` | bodies, query strings and path segments as values |
//! | `range` | which part of a file is asked for |
//! | `stream` | the bytes of files, on their way in and out |
//! | `answer` | texts as bodies, refusals as statuses |
//! | `routes` | one file for each group of paths |
//! | `changes` | the feed of committed ops, in pages and as server-sent events |
//! | `shapes` | what answers look like, for that document |
//! | `openapi` | the document that describes the paths |

mod answer;
mod changes;
mod guard;
mod leftover;
mod malformed;
mod openapi;
mod range;
mod request;
mod router;
mod routes;
mod shapes;
mod stream;

pub use answer::no_place;
pub use guard::HEALTH;
pub use router::router;
