//! What became of a batch, for those who wait for it: threads, and tasks of an asynchronous host.
//!
//! Invariants:
//! * Whoever waits is told once the batch is over, in whatever order waiting and telling came.
//! * Only a thread is asked to lead: a task must not hold the thread that it runs on.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What became of a batch.
///
/// The standard library's condition wakes all threads with one call to the system; the one that the writer's
/// lock goes with would have each wake the next.
#[derive(Debug, Default)]
pub(super) struct Signal {
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Standing {
    outcome: Outcome,
    /// The tasks that wait.
    tasks: Vec<Waker>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Outcome {
    #[default]
    Waiting,
    /// One of the threads that wait must lead the batch.
    NeedsLeader,
    Durable,
    /// Nothing of it is in the log, for this reason; a later one may be written.
    Refused(Arc<io::Error>),
    /// It may or may not be in the log.
    Failed,
}

impl Signal {
    /// Tells whoever waits.
    pub fn set(&self, outcome: Outcome) {
        if matches!(outcome, Outcome::NeedsLeader) {
            self.lock().outcome = outcome;
            self.changed.notify_one();
            return;
        }
        let tasks = {
            let mut standing = self.lock();
            standing.outcome = outcome;
            std::mem::take(&mut standing.tasks)
        };
        self.changed.notify_all();
        tasks.into_iter().for_each(Waker::wake);
    }

    /// Waits until the batch is over, or needs this thread to lead it.
    pub fn wait(&self) -> Outcome {
        let mut standing = self.lock();
        while matches!(standing.outcome, Outcome::Waiting) {
            standing = self.changed.wait(standing).unwrap_or_else(PoisonError::into_inner);
        }
        match &standing.outcome {
            Outcome::NeedsLeader => std::mem::take(&mut standing.outcome),
            over => over.clone(),
        }
    }

    /// Answers what became of the batch once it is over; the task is woken then.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Outcome> {
        let mut standing = self.lock();
        match &standing.outcome {
            Outcome::Waiting | Outcome::NeedsLeader => {
                add_task(&mut standing.tasks, context);
                Poll::Pending
            }
            over => Poll::Ready(over.clone()),
        }
    }

    /// Nothing that holds the lock can panic, so it is never poisoned.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a task to those that are to be woken, once.
pub(super) fn add_task(tasks: &mut Vec<Waker>, context: &Context<'_>) {
    // A task that asks again has asked not long ago.
    if !tasks.iter().rev().take(4).any(|task| task.will_wake(context.waker())) {
        tasks.push(context.waker().clone());
    }
}
