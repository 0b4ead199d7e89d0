//! The thread that waits where tasks may not: for the writer, and for syncs.
//!
//! In: batches that only tasks wait for, and tasks that found the writer held. Out: batches led, tasks woken.
//!
//! It is started by the first task that writes; who writes from threads alone has none.
//!
//! Invariants:
//! * The thread keeps the database open only while it leads a batch.
//! * Once `stop` has returned, it leads no more.

use super::Inner;
use super::signal::add_task;
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::thread::JoinHandle;

/// What the thread is asked for.
#[derive(Debug, Default)]
struct Calls {
    /// A batch is to be led.
    lead: bool,
    /// The tasks that wait for the writer's lock, or for the views.
    tasks: Vec<Waker>,
    is_stopping: bool,
}

/// The thread and what it is asked for.
#[derive(Debug, Default)]
pub(super) struct Committer {
    calls: Mutex<Calls>,
    called: Condvar,
    is_started: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread, unless it is there.
    ///
    /// Cost: a load when it is there. Errors: `StorageError`.
    pub fn start(self: &Arc<Committer>, database: &Arc<Inner>) -> Result<()> {
        if self.is_started.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if !self.is_started.load(Ordering::Acquire) {
            let (committer, database) = (Arc::clone(self), Arc::downgrade(database));
            let work = move || committer.run(&database);
            let started = std::thread::Builder::new().name("nedb-commit".to_owned()).spawn(work);
            let starting = |error| Error::storage("start the thread that commits", error);
            *thread = Some(started.map_err(starting)?);
            self.is_started.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Has the thread lead the batch that is gathered.
    pub fn lead(&self) {
        self.calls.lock().lead = true;
        self.called.notify_one();
    }

    /// Has the thread wait for the writer and for the views, and wake the task then.
    pub fn wait_for_writer(&self, context: &Context<'_>) {
        let mut calls = self.calls.lock();
        if calls.is_stopping {
            // There is nobody to wait any more, and soon nothing to wait for: the database is being closed.
            context.waker().wake_by_ref();
            return;
        }
        add_task(&mut calls.tasks, context);
        drop(calls);
        self.called.notify_one();
    }

    /// Ends the thread, and returns once it is gone. Nothing may wait for it to lead.
    pub fn stop(&self) {
        self.calls.lock().is_stopping = true;
        self.called.notify_one();
        let thread = self.thread.lock().take();
        // The last handle may be the one that the thread itself holds.
        let own = std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != own) {
            let _whatever_became_of_it = thread.join();
        }
    }

    fn run(&self, database: &Weak<Inner>) {
        while let Some((lead, tasks)) = self.next_calls() {
            if let Some(inner) = database.upgrade() {
                if lead {
                    inner.lead_for_tasks();
                }
                if !tasks.is_empty() {
                    // Only to wait for whoever holds them.
                    drop(inner.writer.lock());
                    drop(inner.state.read());
                }
            }
            tasks.into_iter().for_each(Waker::wake);
        }
    }

    /// Waits for calls; None once there will be no more.
    fn next_calls(&self) -> Option<(bool, Vec<Waker>)> {
        let mut calls = self.calls.lock();
        loop {
            let (lead, tasks) = (std::mem::take(&mut calls.lead), std::mem::take(&mut calls.tasks));
            if lead || !tasks.is_empty() {
                return Some((lead, tasks));
            }
            if calls.is_stopping {
                return None;
            }
            self.called.wait(&mut calls);
        }
    }
}
