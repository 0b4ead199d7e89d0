//! Bodies, query strings and path segments as values.
//!
//! Invariants:
//! * A body is read up to its bound and in its time; what is longer or slower is refused.
//! * Documents stay the texts that came.

use crate::databases::Served;
use crate::refusal::{Code, Refusal, Result};
use crate::server::{Shared, timed_out};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How long a body may be that is read where its connection is served: a millisecond's work at the most.
const SHORT_BYTES_MAX: usize = 16 << 10;

/// The bytes of a request's body.
pub struct JsonBody(Bytes);

#[cfg(test)]
impl From<String> for JsonBody {
    fn from(text: String) -> JsonBody {
        JsonBody(text.into())
    }
}

impl FromRequest<Shared> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, server: &Shared) -> Result<JsonBody> {
        let limits = &server.config.limits;
        let body = request.into_body();
        // What says itself that it is too long is not waited for.
        if body.size_hint().lower() > limits.body_bytes_max as u64 {
            return Err(too_long(limits.body_bytes_max));
        }
        let reading = read_body(body, limits.body_bytes_max);
        match tokio::time::timeout(limits.request_timeout, reading).await {
            Ok(bytes) => bytes.map(JsonBody),
            Err(_) => Err(timed_out("the body took", limits.request_timeout)),
        }
    }
}

async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_long(bytes_max)),
        Err(_) => Err(Refusal::invalid("the body ended before it was whole")),
    }
}

fn too_long(bytes_max: usize) -> Refusal {
    Refusal::limit(format!(
        "a body is at most {bytes_max} bytes long here (body_bytes_max); send fewer documents at a time"
    ))
}

impl JsonBody {
    /// Returns how long the body is.
    pub fn bytes_count(&self) -> usize {
        self.0.len()
    }

    /// Tells whether the body asks for little work.
    pub fn is_short(&self) -> bool {
        self.0.len() <= SHORT_BYTES_MAX
    }

    /// Reads the members of the body's object.
    ///
    /// Errors: `INVALID_ARGUMENT`.
    pub fn read<'body, T: Deserialize<'body>>(&'body self) -> Result<T> {
        // serde would also take an array, as the members in their order.
        let first = self.0.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return Err(Refusal::invalid("the body must be a JSON object"));
        }
        serde_json::from_slice(&self.0)
            .map_err(|error| Refusal::invalid(format!("the body has the wrong form: {error}")))
    }

    /// Reads the members of the body's object, which may be left out altogether.
    ///
    /// Errors: `INVALID_ARGUMENT`.
    pub fn read_if_any<'body, T: Deserialize<'body> + Default>(&'body self) -> Result<T> {
        if self.0.is_empty() { Ok(T::default()) } else { self.read() }
    }
}

/// The members of a query string.
pub struct Url<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Url<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _server: &Shared) -> Result<Url<T>> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(members)| Url(members))
            .map_err(|rejection| Refusal::invalid(rejection.body_text()))
    }
}

/// The database that the path names.
pub struct At(pub Arc<Served>);

impl FromRequestParts<Shared> for At {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<At> {
        let segments = segments(parts, server).await?;
        database(server, &segments).await.map(At)
    }
}

/// The name of a database that the path names, whether there is one or not.
pub struct Name(pub String);

impl FromRequestParts<Shared> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Name> {
        let segments = segments(parts, server).await?;
        Ok(Name(segment(&segments, "name").to_owned()))
    }
}

/// The document that the path names.
pub struct Row {
    pub served: Arc<Served>,
    pub coll: String,
    pub id: String,
}

impl FromRequestParts<Shared> for Row {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Row> {
        let segments = segments(parts, server).await?;
        let served = database(server, &segments).await?;
        let text = |name: &str| segment(&segments, name).to_owned();
        Ok(Row { served, coll: text("coll"), id: text("id") })
    }
}

/// The file that the path names.
pub struct FilePath {
    pub served: Arc<Served>,
    pub file: String,
}

impl FromRequestParts<Shared> for FilePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<FilePath> {
        let segments = segments(parts, server).await?;
        let served = database(server, &segments).await?;
        Ok(FilePath { served, file: segment(&segments, "file").to_owned() })
    }
}

/// Returns the database that a path names; a server that only reads looks for one that it does not know yet.
async fn database(server: &Shared, segments: &RawPathParams) -> Result<Arc<Served>> {
    let name = segment(segments, "name");
    match server.databases.get(name) {
        Err(refusal) if refusal.code == Code::DatabaseNotFound && server.config.read_only => {
            let (shared, name) = (server.clone(), name.to_owned());
            server.read(move || shared.databases.look_for(&name)).await
        }
        known => known,
    }
}

async fn segments(parts: &mut Parts, server: &Shared) -> Result<RawPathParams> {
    RawPathParams::from_request_parts(parts, server)
        .await
        .map_err(|rejection| Refusal::invalid(rejection.body_text()))
}

/// Returns a segment of the path, percent-decoded.
fn segment<'s>(segments: &'s RawPathParams, name: &str) -> &'s str {
    segments.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Members {
        n: Option<i64>,
    }

    #[test]
    fn a_body_is_an_object_of_known_members() {
        let read =
            |text: &'static str| JsonBody(Bytes::from(text)).read::<Members>().map(|it| it.n);
        assert_eq!(read(" {\"n\": 5} ").unwrap(), Some(5));
        assert_eq!(read("{\"n\":null}").unwrap(), None);
        for text in ["", "[5]", "5", "{\"m\":1}", "{\"n\":1,\"n\":2}", "{\"n\":1}x", "{\"n\":1.5}"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(JsonBody(Bytes::new()).read_if_any::<Members>().unwrap().n.is_none());
        assert!(JsonBody(Bytes::from(" ")).read_if_any::<Members>().is_err());
    }
}
