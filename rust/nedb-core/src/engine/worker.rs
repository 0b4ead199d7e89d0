//! A thread that does what it is called for, as calls come.
//!
//! In: calls, from any thread. Out: the calls, handed to the thread all at once as it finds them.
//!
//! Invariants:
//! * Once `stop` has returned, it answers no more, but for calls that it stops itself in.

use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What a worker is called for.
pub(super) trait Calls: Default + Send + 'static {
    /// The thread's name.
    const NAME: &'static str;

    /// Tells whether there is nothing to do.
    fn is_empty(&self) -> bool;
}

/// A thread, and what it is called for.
#[derive(Debug, Default)]
pub(super) struct Worker<C> {
    desk: Mutex<Desk<C>>,
    called: Condvar,
    is_started: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Desk<C> {
    calls: C,
    is_stopping: bool,
}

impl<C: Calls> Worker<C> {
    /// Tells whether the thread was started. Cost: a load.
    pub fn is_started(&self) -> bool {
        self.is_started.load(Ordering::Acquire)
    }

    /// Starts the thread, which hands what it is called for to `answer`, unless it is there.
    ///
    /// Cost: a load when it is there. Errors: that of the system, when it gives no thread.
    pub fn start(self: &Arc<Self>, answer: impl Fn(C) + Send + 'static) -> io::Result<()> {
        if self.is_started.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut thread = self.thread.lock();
        if !self.is_started.load(Ordering::Acquire) {
            let worker = Arc::clone(self);
            let work = move || {
                while let Some(calls) = worker.next_calls() {
                    answer(calls);
                }
            };
            *thread = Some(std::thread::Builder::new().name(C::NAME.to_owned()).spawn(work)?);
            self.is_started.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Calls the thread; false, and nothing is changed, when it takes no calls any more.
    pub fn call(&self, change: impl FnOnce(&mut C)) -> bool {
        let mut desk = self.desk.lock();
        if desk.is_stopping {
            return false;
        }
        change(&mut desk.calls);
        drop(desk);
        self.called.notify_one();
        true
    }

    /// Ends the thread, and returns once it is gone.
    pub fn stop(&self) {
        self.desk.lock().is_stopping = true;
        self.called.notify_one();
        let thread = self.thread.lock().take();
        // The last handle may be the one that the thread itself holds.
        let own = std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != own) {
            let _whatever_became_of_it = thread.join();
        }
    }

    /// Waits for calls; None once there will be no more.
    fn next_calls(&self) -> Option<C> {
        let mut desk = self.desk.lock();
        loop {
            if !desk.calls.is_empty() {
                return Some(std::mem::take(&mut desk.calls));
            }
            if desk.is_stopping {
                return None;
            }
            self.called.wait(&mut desk);
        }
    }
}
