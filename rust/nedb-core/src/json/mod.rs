//! Text and values: everything the engine knows of JSON.
//!
//! A document stays text from the host to the log and back. This folder checks and canonicalises
//! text once, on its way in, and afterwards only looks into it.
//!
//! | file | what it owns |
//! |---|---|
//! | `lex` | the bytes of a token: where it ends, and whether it may be |
//! | `string` | what a string token stands for, and how a string is spelt |
//! | `number` | how a number is spelt |
//! | `parse` | the walk over any text, strict or as lenient as NEDB 1.x |
//! | `value` | `Value`: a parsed value, for literals, group rows and the few places that need a tree |
//! | `check` | is a text canonical, and where do its members stand? |
//! | `rewrite` | any text → canonical text, or what 1.x hashed |
//! | `canonical` | the doors to the last two |
//! | `scan` | the members of canonical text, without parsing it |
//! | `split` | a list or a mapping of values, taken apart |
//! | `path` | a dotted path, and the value at it |
//! | `key` | a byte key whose order is the total order of values |

mod canonical;
mod check;
mod key;
mod lex;
mod number;
mod parse;
mod path;
mod rewrite;
mod scan;
mod split;
mod string;
mod value;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;

#[cfg(test)]
pub(crate) use canonical::is_canonical;
pub(crate) use canonical::{
    canonicalize, canonicalize_legacy, canonicalize_within, legacy_document, outline,
};
pub(crate) use check::OutlinedMember;
#[cfg(test)]
pub(crate) use key::encode_value;
pub(crate) use key::{Key, TypeClass, class_range, encode_text, type_class};
#[cfg(test)]
pub(crate) use number::respell;
pub(crate) use number::write_double;
pub use path::Path;
pub(crate) use scan::{elements, members};
pub(crate) use split::{Part, split};
pub(crate) use string::{string_text, write_ascii, write_string};
pub use value::Value;
