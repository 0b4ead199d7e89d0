//! Why a request got no answer, in words of no protocol.
//!
//! In: an error of the engine, or of the server itself. Out: a stable code and a sentence.

use nedb_core::{ErrorCode, QueryPosition};

/// Why a request got no answer.
#[derive(Debug)]
pub struct Refusal {
    pub code: Code,
    pub message: String,
    /// Where in a query something was found.
    pub position: Option<QueryPosition>,
}

/// A code of the engine, or one that only a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Engine(ErrorCode),
    /// The token is missing or wrong.
    Unauthorized,
    /// A page of another origin, or under another name, asks.
    OriginRefused,
    /// There is no such path.
    RouteNotFound,
    /// The path is there, for another method.
    MethodNotAllowed,
    /// There is no such database.
    DatabaseNotFound,
    /// There is one already.
    DatabaseExists,
    /// There is no such document.
    DocumentNotFound,
    /// A part of a file that begins behind its end.
    RangeNotSatisfiable,
    /// The database is being opened.
    NotReady,
    /// A body did not arrive, or a read was not answered, in time.
    RequestTimeout,
    /// There are as many connections or calls as there may be.
    TooManyRequests,
    /// There is no room on the disk: a `StorageError` that ends once there is.
    NoSpace,
    /// A defect of NEDB.
    Internal,
}

impl Code {
    /// The codes that only a server has.
    #[cfg(test)]
    pub const OWN: [Code; 12] = [
        Code::Unauthorized,
        Code::OriginRefused,
        Code::RouteNotFound,
        Code::MethodNotAllowed,
        Code::DatabaseNotFound,
        Code::DatabaseExists,
        Code::DocumentNotFound,
        Code::RangeNotSatisfiable,
        Code::NotReady,
        Code::RequestTimeout,
        Code::TooManyRequests,
        Code::Internal,
    ];

    /// Returns the stable spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::Engine(code) => code.as_str(),
            Code::Unauthorized => "UNAUTHORIZED",
            Code::OriginRefused => "ORIGIN_REFUSED",
            Code::RouteNotFound => "ROUTE_NOT_FOUND",
            Code::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Code::DatabaseNotFound => "DATABASE_NOT_FOUND",
            Code::DatabaseExists => "DATABASE_EXISTS",
            Code::DocumentNotFound => "DOCUMENT_NOT_FOUND",
            Code::RangeNotSatisfiable => "RANGE_NOT_SATISFIABLE",
            Code::NotReady => "NOT_READY",
            Code::RequestTimeout => "REQUEST_TIMEOUT",
            Code::TooManyRequests => "TOO_MANY_REQUESTS",
            Code::NoSpace => ErrorCode::StorageError.as_str(),
            Code::Internal => "INTERNAL_ERROR",
        }
    }
}

/// The outcome of a request.
pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    /// Makes a refusal of a code and a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), position: None }
    }

    /// Makes an `INTERNAL`: what a panic says is for whoever reads the log.
    pub fn defect() -> Refusal {
        Refusal::new(Code::Internal, "a defect of NEDB; the server's log says more")
    }

    /// Makes an `INVALID_ARGUMENT`.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::Engine(ErrorCode::InvalidArgument), message)
    }

    /// Makes a `LIMIT_EXCEEDED`.
    pub fn limit(message: impl Into<String>) -> Refusal {
        Refusal::new(Code::Engine(ErrorCode::LimitExceeded), message)
    }

    /// Makes a `STORAGE_ERROR` that says what was being done.
    pub fn storage(doing: &str, error: &std::io::Error) -> Refusal {
        Refusal::new(Code::Engine(ErrorCode::StorageError), format!("{doing}: {error}"))
    }
}

impl From<nedb_core::Error> for Refusal {
    fn from(error: nedb_core::Error) -> Refusal {
        // A server closes a database to drop it, and at its end, when nobody asks any more.
        if error.code() == ErrorCode::DatabaseClosed {
            return Refusal::new(Code::DatabaseNotFound, "the database was dropped meanwhile");
        }
        let code = match error.code() {
            ErrorCode::TimedOut => Code::RequestTimeout,
            // Whoever has left hears nothing; the others are ended by a stop.
            ErrorCode::Cancelled => {
                return Refusal::new(Code::NotReady, "the server is stopping; ask the next one");
            }
            // Where nobody knows whether a write is there, that is what must be said.
            ErrorCode::StorageError if error.is_no_space() => Code::NoSpace,
            code => Code::Engine(code),
        };
        Refusal { code, message: error.to_string(), position: error.position() }
    }
}
