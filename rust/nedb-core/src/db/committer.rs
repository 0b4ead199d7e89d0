//! The threads that wait where tasks may not: one for syncs, one for the writer and for the views.
//!
//! In: batches that only tasks wait for, and tasks that found the writer held. Out: batches led, tasks woken.
//!
//! They are two, since a batch is admitted while another syncs: whoever waits for the writer must not wait for
//! the sync as well. Each is started when it is first needed; who writes from threads alone has none.

use super::Inner;
use super::signal::add_task;
use super::worker::{Calls, Worker};
use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Waker};

/// Whether a batch is to be led.
#[derive(Debug, Default)]
struct Lead(bool);

impl Calls for Lead {
    const NAME: &'static str = "nedb-commit";

    fn is_empty(&self) -> bool {
        !self.0
    }

    fn answer(self, database: &Weak<Inner>) {
        if let Some(inner) = database.upgrade() {
            inner.lead_for_tasks();
        }
    }
}

/// The tasks that wait for the writer's lock, or for the views.
#[derive(Debug, Default)]
struct Waiting(Vec<Waker>);

impl Calls for Waiting {
    const NAME: &'static str = "nedb-admit";

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn answer(self, database: &Weak<Inner>) {
        if let Some(inner) = database.upgrade() {
            // Only to wait for whoever holds them.
            drop(inner.writer.lock());
            drop(inner.state.read());
        }
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// The threads, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Committer {
    database: OnceLock<Weak<Inner>>,
    leads: Arc<Worker<Lead>>,
    waits: Arc<Worker<Waiting>>,
}

impl Committer {
    /// Makes ready for a task that writes: starts the thread that leads, where lines go to a disk.
    ///
    /// Cost: two loads, but for the first. Errors: `StorageError`.
    pub fn start(&self, inner: &Arc<Inner>) -> Result<()> {
        let database = self.database.get_or_init(|| Arc::downgrade(inner));
        match &inner.directory {
            Some(_) => self.leads.start(database).map_err(no_thread),
            None => Ok(()),
        }
    }

    /// Has a thread lead the batch that is gathered.
    pub fn lead(&self) {
        // It stops once nothing is gathered, and nothing will be.
        self.leads.call(|lead| lead.0 = true);
    }

    /// Has a thread wait for the writer and for the views, and wake the task then.
    pub fn wait_for_writer(&self, context: &Context<'_>) {
        let database = self.database.get();
        let is_started = database.is_some_and(|database| self.waits.start(database).is_ok());
        if !(is_started && self.waits.call(|tasks| add_task(&mut tasks.0, context))) {
            // The system gives no thread, or the database is being closed: the task looks again, which is slow
            // where there is much to wait for, and right.
            context.waker().wake_by_ref();
        }
    }

    /// Ends the threads, and returns once they are gone. Nothing may wait for a batch to be led.
    pub fn stop(&self) {
        self.leads.stop();
        self.waits.stop();
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::storage("start the thread that commits", error)
}
