//! The state at one place in time: the only door to the views.
//!
//! In: the views, the texts, a seq, a valid time, a `now` for expiry. Out: document handles in a
//! stated order, and their texts.
