//! Databases that refuse writes which a disk did not take: looked after until they take them again.
//!
//! In: the databases that are open, again and again. Out: databases that take writes, and what the log of the server
//! says of those that do not.
//!
//! A full disk refuses a write, and nothing of it is there: the database takes writes again once there is room, which
//! a small file tells without one. After a disk that failed nobody knows what is there: the database is opened again.

use crate::databases::{Databases, Served};
use crate::logs::OPERATION;
use nedb_core::ErrorCode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after a failed attempt the next one is made: each time twice as long, up to a bound.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The databases that refuse writes, as far as is known.
#[derive(Default)]
pub struct Troubles {
    by_name: Mutex<BTreeMap<String, Trouble>>,
}

struct Trouble {
    why: String,
    pause: Duration,
    next_try: Instant,
}

impl Troubles {
    /// Looks at every database, says what is new, and tries again what is due.
    pub fn look_after(&self, databases: &Databases) {
        let mut troubles = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        for served in databases.open() {
            let is_due = note(&mut troubles, &served);
            if is_due && try_again(databases, &served) {
                troubles.remove(&served.name);
                tracing::info!(target: OPERATION, database = served.name, "takes writes again");
            }
        }
    }
}

/// Says what is new of a database; tells whether it is to be tried again.
fn note(troubles: &mut BTreeMap<String, Trouble>, served: &Served) -> bool {
    let (name, now) = (served.name.as_str(), Instant::now());
    let Some(trouble) = served.database.write_trouble() else {
        if troubles.remove(name).is_some() {
            tracing::info!(target: OPERATION, database = name, "takes writes again");
        }
        return false;
    };
    let why = trouble.to_string();
    let known = troubles.entry(name.to_owned()).or_insert_with(|| Trouble {
        why: String::new(),
        pause: PAUSE_MIN,
        next_try: now,
    });
    if known.why != why {
        tracing::error!(target: OPERATION, database = name, why, "refuses writes");
        known.why = why;
    }
    if now < known.next_try {
        return false;
    }
    known.next_try = now + known.pause;
    known.pause = (known.pause * 2).min(PAUSE_MAX);
    true
}

/// Tries whether a database takes writes again; tells whether it does.
fn try_again(databases: &Databases, served: &Arc<Served>) -> bool {
    match served.database.write_trouble() {
        None => true,
        Some(trouble) if trouble.code() == ErrorCode::CommitUnknown => databases.open_again(served),
        Some(_) => served.database.probe_writes().is_ok(),
    }
}
