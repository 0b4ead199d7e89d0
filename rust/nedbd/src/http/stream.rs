//! The bytes of files, on their way in and out.
//!
//! In: a body, or a reader of the engine. Out: a version that is stored, or a body.
//!
//! Invariants:
//! * A file is never in memory whole, and a client that is slow holds no thread: the engine is called for
//!   each piece, once the piece is there.
//! * A body that breaks off, or that is longer than it may be, leaves no version.
//! * The first piece is read before the answer begins: what is damaged there is an error and no answer.

use super::answer::status;
use crate::refusal::{Refusal, Result};
use crate::server::{FilePlace, Shared, timed_out};
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use nedb_core::{FileReader, FileWriter};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How much is handed to the engine, or read of it, at once: far more than a hand-over costs.
const PIECE_BYTES: usize = 256 << 10;

/// Hands a body over to a writer of the engine, and ends the version when it is whole.
///
/// Errors: `LIMIT_EXCEEDED`, `REQUEST_TIMEOUT` for a client that stops sending, `INVALID_ARGUMENT` for a
/// body that breaks off, `TOO_MANY_REQUESTS`, and those of the engine.
pub async fn upload(
    server: &Shared,
    body: Body,
    begin: impl FnOnce() -> Result<FileWriter> + Send + 'static,
) -> Result<u64> {
    let mut incoming = Incoming::new(server, body)?;
    // Short files need nothing until they are there.
    let mut piece = incoming.next_piece().await?;
    let _place = server.file_place().await?;
    let mut writer = server.step(begin).await?;
    while !incoming.has_ended {
        writer = server.step(move || written(writer, &piece)).await?;
        piece = incoming.next_piece().await?;
    }
    server.step(move || Ok(written(writer, &piece)?.finish()?)).await
}

fn written(mut writer: FileWriter, piece: &[u8]) -> Result<FileWriter> {
    writer.write(piece)?;
    Ok(writer)
}

/// A body that is read in pieces.
struct Incoming<'a> {
    server: &'a Shared,
    body: Body,
    /// How many bytes may come yet.
    left_bytes: u64,
    has_ended: bool,
}

impl<'a> Incoming<'a> {
    fn new(server: &'a Shared, body: Body) -> Result<Self> {
        let left_bytes = server.config.limits.file_bytes_max;
        // What says itself that it is too long is not waited for.
        if body.size_hint().lower() > left_bytes {
            return Err(too_long(left_bytes));
        }
        Ok(Incoming { server, body, left_bytes, has_ended: false })
    }

    /// Reads on until a piece is full or the body has ended.
    async fn next_piece(&mut self) -> Result<Bytes> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE_BYTES {
            let Some(data) = self.next_data().await? else {
                self.has_ended = true;
                break;
            };
            if piece.is_empty() {
                piece.reserve(PIECE_BYTES.max(data.len()));
            }
            piece.extend_from_slice(&data);
        }
        Ok(piece.freeze())
    }

    async fn next_data(&mut self) -> Result<Option<Bytes>> {
        let limits = &self.server.config.limits;
        let timeout = limits.idle_timeout;
        let Ok(frame) = tokio::time::timeout(timeout, self.body.frame()).await else {
            return Err(timed_out("the body stood still for", timeout));
        };
        let Some(frame) = frame else { return Ok(None) };
        let frame = frame.map_err(|_| Refusal::invalid("the body ended before it was whole"))?;
        let data = frame.into_data().unwrap_or_default();
        match self.left_bytes.checked_sub(data.len() as u64) {
            Some(left) => self.left_bytes = left,
            None => return Err(too_long(limits.file_bytes_max)),
        }
        Ok(Some(data))
    }
}

fn too_long(bytes_max: u64) -> Refusal {
    Refusal::limit(format!("a file is at most {bytes_max} bytes long here"))
}

/// A part of a file on its way out.
struct Outgoing {
    server: Shared,
    reader: FileReader,
    left_bytes: u64,
    _place: FilePlace,
}

/// Makes a body of a part of a file, which must be within it.
///
/// Errors: `IntegrityError` and `StorageError` of the first piece.
pub async fn download(
    server: &Shared,
    mut reader: FileReader,
    part: Range<u64>,
    place: FilePlace,
) -> Result<Body> {
    let size_bytes = part.end - part.start;
    reader.set_position(part.start);
    let outgoing =
        Outgoing { server: server.clone(), reader, left_bytes: size_bytes, _place: place };
    let Some((first, outgoing)) = outgoing.next_piece().await? else { return Ok(Body::empty()) };
    if outgoing.left_bytes == 0 {
        return Ok(Body::from(first));
    }
    let rest = stream::unfold(Some(outgoing), |outgoing| async {
        match outgoing?.next_piece().await {
            Ok(next) => next.map(|(piece, outgoing)| (Ok(piece), Some(outgoing))),
            Err(refusal) => {
                if status(refusal.code).is_server_error() {
                    let (code, message) = (refusal.code.as_str(), &refusal.message);
                    tracing::error!(target: crate::logs::OPERATION, code, message, "an answer broke off");
                }
                Some((Err(std::io::Error::other(refusal.message)), None))
            }
        }
    });
    let pieces = Box::pin(stream::once(async { Ok(first) }).chain(rest));
    Ok(Body::new(OfKnownLength { pieces, left_bytes: size_bytes }))
}

impl Outgoing {
    /// Reads on; None when the part is at its end.
    async fn next_piece(mut self) -> Result<Option<(Bytes, Outgoing)>> {
        if self.left_bytes == 0 {
            return Ok(None);
        }
        let server = self.server.clone();
        let read = move || {
            let piece = self.read_piece()?;
            self.left_bytes -= piece.len() as u64;
            Ok(Some((piece, self)))
        };
        server.step(read).await
    }

    fn read_piece(&mut self) -> Result<Bytes> {
        let count = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let (mut piece, mut filled) = (vec![0; count], 0);
        while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read_bytes(rest)? {
                0 => {
                    return Err(Refusal::from(nedb_core::Error::integrity(
                        "a file is shorter than it is",
                    )));
                }
                more => filled += more,
            }
        }
        Ok(Bytes::from(piece))
    }
}

type Pieces = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// Pieces that are so many bytes together.
struct OfKnownLength {
    pieces: Pieces,
    left_bytes: u64,
}

impl HttpBody for OfKnownLength {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let polled = self.pieces.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.left_bytes = self.left_bytes.saturating_sub(piece.len() as u64);
        }
        polled.map_ok(Frame::data)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}
