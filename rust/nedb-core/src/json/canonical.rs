//! Canonical text: one spelling for every document.
//!
//! In: JSON text as a caller wrote it, or as NEDB 1.x did. Out: its canonical text, or the text that
//! 1.x hashed.
//!
//! Canonical text has the keys of every object sorted by code point, no white space, strings as raw
//! UTF-8 with only the escapes `\" \\ \n \r \t \b \f` and `\u00xx` in lower case for the other
//! controls and DEL, and numbers spelt as `number` spells them.
//!
//! Invariants:
//! * `canonicalize(text)` is `Borrowed` exactly when `is_canonical(text)` and it is not too deep.
//! * `is_canonical(canonicalize(text))` holds for every text that is not refused.

use std::borrow::Cow;

use super::check::is_canonical_within;
use super::lex::Dialect;
use super::parse::walk;
use super::rewrite::{Rewriter, Target};
use crate::error::Result;
use crate::limits::{LEGACY_NESTING_DEPTH_MAX, NESTING_DEPTH_MAX};

/// Returns the canonical text of strict JSON text; borrowed, at about 1 ns a byte, when the text
/// was canonical already.
///
/// Errors: `InvalidArgument`, with the byte and what is wrong there: not well-formed, a key twice,
/// a lone surrogate, a number beyond its type, nested deeper than `NESTING_DEPTH_MAX`.
pub(crate) fn canonicalize(text: &str) -> Result<Cow<'_, str>> {
    if is_canonical_within(text, NESTING_DEPTH_MAX) {
        return Ok(Cow::Borrowed(text));
    }
    rewrite(text, Dialect::Strict, Target::Canonical).map(Cow::Owned)
}

/// Tells whether a text is canonical, nested up to `LEGACY_NESTING_DEPTH_MAX`, in one pass without
/// allocating. A number that only 1.x could hold is not canonical.
pub(crate) fn is_canonical(text: &str) -> bool {
    is_canonical_within(text, LEGACY_NESTING_DEPTH_MAX)
}

/// Appends what NEDB 1.x hashed of a JSON text that it wrote: the members sorted, no white space,
/// ASCII alone, numbers, `NaN` and lone surrogates as they stand; of a key that occurs twice the
/// last, as Python reads it.
///
/// Errors: `InvalidArgument` when it is no text that 1.x could have written and read.
pub(crate) fn canonicalize_legacy(text: &str, hashed: &mut String) -> Result<()> {
    let mut rewriter = Rewriter::new(Dialect::Legacy, Target::Hashed, std::mem::take(hashed));
    let walked = walk(text, Dialect::Legacy, &mut rewriter);
    *hashed = rewriter.finish();
    walked
}

/// Returns the canonical text to serve of a document that NEDB 1.x wrote: lone surrogates become
/// U+FFFD, `NaN` and the infinities null; a number beyond our types stays as it stands.
///
/// Errors: `InvalidArgument` when it is no text that 1.x could have written and read.
pub(crate) fn legacy_document(text: &str) -> Result<String> {
    rewrite(text, Dialect::Legacy, Target::Canonical)
}

/// Writes a text anew.
fn rewrite(text: &str, dialect: Dialect, target: Target) -> Result<String> {
    let mut rewriter = Rewriter::new(dialect, target, String::with_capacity(text.len()));
    walk(text, dialect, &mut rewriter)?;
    Ok(rewriter.finish())
}
