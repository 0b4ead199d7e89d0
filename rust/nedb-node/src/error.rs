//! Errors of the engine as JavaScript errors.
//!
//! In: an error of the engine, or a panic caught at the border. Out: an `Error` object with `name`
//! "NedbError", the stable `code`, and for NQL_ERROR `position` {offset, line, column}: offset in
//! bytes from 0, line and column in characters from 1.
//!
//! Invariant: no panic crosses into Node, neither on its thread nor on the pool's, where it would end
//! the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::bindgen_prelude::{JsObjectValue, Object};
use napi::{Env, JsValue, Property, PropertyAttributes, Status};
use nedb_core::QueryPosition;

/// Why a call gave no answer.
pub enum Failure {
    /// The engine, or the conversion, refused.
    Refused(nedb_core::Error),
    /// A defect of NEDB: the panic's message.
    Panicked(String),
}

impl From<nedb_core::Error> for Failure {
    fn from(error: nedb_core::Error) -> Self {
        Failure::Refused(error)
    }
}

/// Runs work of the engine and turns a panic into a [`Failure`].
pub fn guarded<T>(work: impl FnOnce() -> nedb_core::Result<T>) -> Result<T, Failure> {
    // A panic may leave a half-done value behind: the engine's own locks are what protects it.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(answer) => answer.map_err(Failure::Refused),
        Err(panic) => Err(Failure::Panicked(panic_text(panic.as_ref()))),
    }
}

/// Runs work of the engine on the JavaScript thread and throws what went wrong.
pub fn throwing<T>(env: &Env, work: impl FnOnce() -> nedb_core::Result<T>) -> napi::Result<T> {
    guarded(work).map_err(|failure| to_js(env, failure))
}

/// Makes the napi error that carries the JavaScript error object for a failure.
///
/// Must be called on the JavaScript thread.
pub fn to_js(env: &Env, failure: Failure) -> napi::Error {
    match failure {
        Failure::Refused(error) => match error_object(env, &error) {
            Ok(object) => napi::Error::from(object.to_unknown()),
            // The environment is closing: no object can be made, nobody will read it.
            Err(napi_error) => napi_error,
        },
        Failure::Panicked(text) => {
            napi::Error::new(Status::GenericFailure, format!("a defect of NEDB: {text}"))
        }
    }
}

/// Makes the error object for an error of the engine.
fn error_object<'env>(env: &'env Env, error: &nedb_core::Error) -> napi::Result<Object<'env>> {
    let message = napi::Error::new(Status::GenericFailure, error.to_string());
    let mut object = env.create_error(message)?;
    object.set_named_property("code", error.code().as_str())?;
    if let Some(position) = error.position() {
        object.set_named_property("position", position_object(env, position)?)?;
    }
    // As on the errors of the language, the name is no enumerable member: it would print twice.
    let name = Property::new()
        .with_utf8_name("name")?
        .with_napi_value(env, "NedbError")?
        .with_property_attributes(PropertyAttributes::Writable | PropertyAttributes::Configurable);
    object.define_properties(&[name])?;
    Ok(object)
}

/// Makes `{offset, line, column}`.
fn position_object(env: &Env, position: QueryPosition) -> napi::Result<Object<'_>> {
    let mut object = Object::new(env)?;
    object.set_named_property("offset", position.offset_bytes as f64)?;
    object.set_named_property("line", position.line as f64)?;
    object.set_named_property("column", position.column as f64)?;
    Ok(object)
}

/// Finds the text of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
