//! One file for each group of paths.
//!
//! | file | what it owns |
//! |---|---|
//! | `service` | health, metrics |
//! | `databases` | list, make, describe, drop |
//! | `documents` | put, get, delete and their kin |
//! | `queries` | NQL, indexes |
//! | `graph` | links and neighbours |
//! | `files` | files, streamed both ways |
//! | `upkeep` | verify, log, checkpoint, sweep, flush, backup |
//! | `fields` | members that several bodies have |

pub mod databases;
pub mod documents;
mod fields;
pub mod files;
pub mod graph;
pub mod queries;
pub mod service;
pub mod upkeep;

pub use fields::{position_members, position_of};
