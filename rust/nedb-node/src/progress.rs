//! A JavaScript function that is told how far a task has come, and may end it.
//!
//! In: numbers of bytes from a thread of the pool. Out: an error where the function answers false.
//!
//! Invariant: the thread waits for the answer, and JavaScript's thread waits for nothing: only tasks have one.

use std::sync::mpsc;

use napi::Status;
use napi::bindgen_prelude::FnArgs;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use nedb_core::{Error, Result};

/// Bytes done and bytes in all, as JavaScript counts them.
type Told = FnArgs<(f64, f64)>;

/// The function: `(doneBytes, allBytes) => goesOn`, which must not throw (`node/progress.js` makes it so).
pub type Listener = ThreadsafeFunction<Told, bool, Told, Status, false, true>;

/// Tells a function how far a task has come, if there is one.
pub fn tell(listener: Option<&Listener>, done_bytes: u64, all_bytes: u64) -> Result<()> {
    let Some(listener) = listener else { return Ok(()) };
    let (sender, receiver) = mpsc::channel();
    let told = FnArgs::from((done_bytes as f64, all_bytes as f64));
    // Dropped unsent where the environment is closing: then the answer is that nobody listens any more.
    let status = listener.call_with_return_value(
        told,
        ThreadsafeFunctionCallMode::NonBlocking,
        move |goes_on, _| {
            let _heard_or_not = sender.send(goes_on.unwrap_or(false));
            Ok(())
        },
    );
    match status == Status::Ok && receiver.recv().unwrap_or(false) {
        true => Ok(()),
        false => Err(Error::invalid("progress ended the call")),
    }
}
