//! The threads that wait where tasks may not: one for syncs, one for the writer and for the views.
//!
//! In: batches that only tasks wait for, and tasks that found the writer held. Out: batches led, tasks woken.
//!
//! They are two, since a batch is admitted while another syncs: whoever waits for the writer must not wait for
//! the sync as well. Each is started when it is first needed; who writes from threads alone has none.

use super::signal::add_task;
use super::worker::{Calls, Worker};
use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

/// Whether a batch is to be led.
#[derive(Debug, Default)]
struct Lead(bool);

impl Calls for Lead {
    const NAME: &'static str = "nedb-commit";

    fn is_empty(&self) -> bool {
        !self.0
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
}

/// What a thread does each time that it is called.
type Work = Arc<dyn Fn() + Send + Sync>;

/// The threads, and what they do.
#[derive(Default)]
pub(super) struct Committer {
    /// Waits for the writer and for the views.
    wait: OnceLock<Work>,
    leads: Arc<Worker<Lead>>,
    waits: Arc<Worker<Waiting>>,
}

impl Committer {
    /// Tells whether tasks may write. Cost: two loads.
    pub fn is_ready(&self, is_on_disk: bool) -> bool {
        self.wait.get().is_some() && (!is_on_disk || self.leads.is_started())
    }

    /// Makes ready for a task that writes: `lead` leads the batch that is gathered, `wait` waits for the writer and
    /// for the views. Starts the thread that leads, where lines go to a disk.
    ///
    /// Errors: `StorageError`.
    pub fn start(
        &self,
        is_on_disk: bool,
        lead: impl Fn() + Send + 'static,
        wait: impl Fn() + Send + Sync + 'static,
    ) -> Result<()> {
        self.wait.get_or_init(|| Arc::new(wait));
        match is_on_disk {
            true => self.leads.start(move |_| lead()).map_err(no_thread),
            false => Ok(()),
        }
    }

    /// Has a thread lead the batch that is gathered.
    pub fn lead(&self) {
        // It stops once nothing is gathered, and nothing will be.
        self.leads.call(|lead| lead.0 = true);
    }

    /// Has a thread wait for the writer and for the views, and wake the task then.
    pub fn wait_for_writer(&self, context: &Context<'_>) {
        let start = |wait: &Work| {
            let wait = Arc::clone(wait);
            let answer = move |waiting: Waiting| {
                wait();
                waiting.0.into_iter().for_each(Waker::wake);
            };
            self.waits.start(answer).is_ok()
        };
        let is_started = self.wait.get().is_some_and(start);
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
