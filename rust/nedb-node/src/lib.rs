//! NEDB for Node: the engine as a napi addon.
//!
//! Conversion only: host value → JSON text → database → JSON text → host. Two classes share one
//! engine: [`database::NedbCore`] answers at once, [`tasks::NedbTasks`] answers promises and works on
//! the libuv pool, so that a durable write never holds the event loop. `node/` builds the idiomatic
//! class NEDB on them.

mod convert;
mod database;
mod error;
mod files;
mod progress;
mod query;
mod tasks;
mod upkeep;
