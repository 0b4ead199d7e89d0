//! What the server writes to its standard error about itself.
//!
//! Invariants:
//! * No line holds a document, a query or a token: a request is named by its route.
//! * Level 0 says what went wrong, and when the server started and stopped.

use crate::config::LogFormat;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts, stops, and the opening of databases: said at every level.
pub const OPERATION: &str = "nedbd::operation";
/// One line for each request: from level 1 on.
pub const REQUEST: &str = "nedbd::request";
/// Databases that are made, dropped, swept and refreshed: from level 2 on.
pub const DATABASE: &str = "nedbd::database";

/// Begins to log.
pub fn start(log_level: u8, format: LogFormat) {
    let shown_from = |from: u8| if log_level >= from { Level::INFO } else { Level::ERROR };
    let filter = Targets::new()
        .with_default(if log_level >= 3 { Level::TRACE } else { Level::ERROR })
        .with_target(OPERATION, Level::INFO)
        .with_target(REQUEST, shown_from(1))
        .with_target(DATABASE, shown_from(2));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}
