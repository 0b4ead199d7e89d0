//! A damaged log, made writable again.
//!
//! | file | what it owns |
//! |---|---|
//! | `repair` | what a repair does, and in which order; what does not hold, cut |
//! | `finish` | a repair that was not acknowledged, finished |
//! | `carry_over` | the repair of a log whose seqs alone are wrong |
//! | `report` | what a repair did |

mod carry_over;
mod finish;
#[expect(
    clippy::module_inception,
    reason = "the folder's door lists, and this file does the repair"
)]
mod repair;
mod report;

pub use report::RepairReport;
