//! The one error type of the engine.
//!
//! An [`Error`] is an [`ErrorCode`], a sentence for a person, and, where they exist, the seq or the
//! place in a query that it is about. Codes are stable: every language spells the same list, which
//! `tests/conformance/errors.toml` holds and a test compares.
//!
//! This module imports nothing from the crate.

use std::fmt;
use std::io::ErrorKind;

/// What went wrong, as a program sees it. The strings never change once released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument is not of the form the call asks for. Nothing was appended.
    InvalidArgument,
    /// An argument or a result is larger than a bound of `limits.rs`. Nothing was appended.
    LimitExceeded,
    /// A query does not parse, or a parameter it names is missing.
    NqlError,
    /// A nonce is not above the last one seen from this client. Nothing was appended.
    ReplayError,
    /// An idempotency key was already used for another kind of op or another target.
    IdempotencyConflict,
    /// An `if_seq` did not hold. Nothing was appended.
    PreconditionFailed,
    /// Another process (or another handle) holds the directory for writing.
    DatabaseLocked,
    /// The handle was closed.
    DatabaseClosed,
    /// A write was asked of a handle opened for reading, or of a damaged database.
    ReadOnly,
    /// The log does not fit its hash chain, or a text read is not the one that was asked for.
    IntegrityError,
    /// A write or a sync failed: the op may or may not be there after reopening. Retry with `idem`.
    CommitUnknown,
    /// The operating system refused to read, open or create a file.
    StorageError,
    /// The database is encrypted and no key was given.
    KeyRequired,
    /// The key that was given is not that of the database.
    WrongKey,
    /// The database is not encrypted, and it was said that it must be.
    PlainDatabase,
    /// There is no file, no version or no chunk of that name or number.
    NotFound,
    /// The call was ended by whoever asked for it. Nothing was changed.
    Cancelled,
    /// The call took longer than it was given, and was ended. Nothing was changed.
    TimedOut,
}

impl ErrorCode {
    /// Every code, in the order of `errors.toml`.
    pub const ALL: [ErrorCode; 18] = [
        ErrorCode::InvalidArgument,
        ErrorCode::LimitExceeded,
        ErrorCode::NqlError,
        ErrorCode::ReplayError,
        ErrorCode::IdempotencyConflict,
        ErrorCode::PreconditionFailed,
        ErrorCode::DatabaseLocked,
        ErrorCode::DatabaseClosed,
        ErrorCode::ReadOnly,
        ErrorCode::IntegrityError,
        ErrorCode::CommitUnknown,
        ErrorCode::StorageError,
        ErrorCode::KeyRequired,
        ErrorCode::WrongKey,
        ErrorCode::PlainDatabase,
        ErrorCode::NotFound,
        ErrorCode::Cancelled,
        ErrorCode::TimedOut,
    ];

    /// The stable spelling used by JavaScript's `error.code`, HTTP bodies and RESP prefixes.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidArgument => "INVALID_ARGUMENT",
            ErrorCode::LimitExceeded => "LIMIT_EXCEEDED",
            ErrorCode::NqlError => "NQL_ERROR",
            ErrorCode::ReplayError => "REPLAY_ERROR",
            ErrorCode::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            ErrorCode::PreconditionFailed => "PRECONDITION_FAILED",
            ErrorCode::DatabaseLocked => "DATABASE_LOCKED",
            ErrorCode::DatabaseClosed => "DATABASE_CLOSED",
            ErrorCode::ReadOnly => "READ_ONLY",
            ErrorCode::IntegrityError => "INTEGRITY_ERROR",
            ErrorCode::CommitUnknown => "COMMIT_UNKNOWN",
            ErrorCode::StorageError => "STORAGE_ERROR",
            ErrorCode::KeyRequired => "KEY_REQUIRED",
            ErrorCode::WrongKey => "WRONG_KEY",
            ErrorCode::PlainDatabase => "PLAIN_DATABASE",
            ErrorCode::NotFound => "NOT_FOUND",
            ErrorCode::Cancelled => "CANCELLED",
            ErrorCode::TimedOut => "TIMED_OUT",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Where in a query text something was found, counted in characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryPosition {
    /// Byte offset from 0.
    pub offset_bytes: usize,
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
}

/// An error with its code, its sentence and what it is about.
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    message: String,
    position: Option<QueryPosition>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible call of the engine.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes an error from a code and a sentence that says what to do next where that is known.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), position: None, source: None }
    }

    /// Makes an `InvalidArgument`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::InvalidArgument, message)
    }

    /// Makes a `LimitExceeded`.
    pub fn limit(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::LimitExceeded, message)
    }

    /// Makes an `IntegrityError`.
    pub fn integrity(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::IntegrityError, message)
    }

    /// Makes the `DatabaseClosed` of a handle that was closed.
    pub fn closed() -> Self {
        Error::new(ErrorCode::DatabaseClosed, "the database is closed; open it again to use it")
    }

    /// Makes an `NqlError` at a place of the query text.
    pub fn nql(message: impl Into<String>, position: Option<QueryPosition>) -> Self {
        Error { position, ..Error::new(ErrorCode::NqlError, message) }
    }

    /// Makes a `StorageError` that says what was being done; and, where there was no room for it, what to do.
    pub fn storage(doing: impl fmt::Display, source: std::io::Error) -> Self {
        let mut message = doing.to_string();
        if is_full(&source) && !message.contains("make room") {
            message.push_str(" (make room, then do it again)");
        }
        Error { source: Some(Box::new(source)), ..Error::new(ErrorCode::StorageError, message) }
    }

    /// Adds the error that caused this one.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the sentence, without the code and without the source.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Tells whether it is for want of room on the disk.
    pub fn is_no_space(&self) -> bool {
        let source = self.source.as_deref().and_then(|it| it.downcast_ref());
        source.is_some_and(is_full)
    }

    /// Returns the place in the query text, for `NqlError`.
    pub fn position(&self) -> Option<QueryPosition> {
        self.position
    }
}

/// Tells whether there was no room for something.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(formatter, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
