//! What holds the database to its promises: disks that fail and crash, steps in every order.
//!
//! | file | what it owns |
//! |---|---|
//! | `crash` | a disk that fails and crashes |
//! | `saved_views` | saved views against folded ones |
//! | `gate` | what a batch is held at, between its append and its sync |
//! | `steps` | commits, one step after the other |
//! | `schedules` | commits, in every order of steps |

mod crash;
pub(super) mod gate;
mod saved_views;
mod schedules;
mod steps;
