//! Text and values: everything the engine knows of JSON.
//!
//! A document stays text from the host to the log and back. This folder checks and canonicalises
//! text once, on its way in, and afterwards only looks into it.
//!
//! | file | what it owns |
//! |---|---|
//! | `value` | `Value`: a parsed value, for literals, group rows and the few places that need a tree |
//! | `parse` | text → `Value`, strict or as lenient as NEDB 1.x |
//! | `canonical` | any strict text → canonical text; is a text canonical? |
//! | `number` | how a number is spelt |
//! | `scan` | the members of canonical text, without parsing it |
//! | `path` | a dotted path, and the value at it |
//! | `key` | a byte key whose order is the total order of values |

mod canonical;
mod key;
mod number;
mod parse;
mod path;
mod scan;
mod value;

pub(crate) use canonical::{canonicalize, canonicalize_legacy, is_canonical};
pub(crate) use key::{Key, TypeClass, encode_text, encode_value, type_class};
pub(crate) use number::{respell, write_double};
pub(crate) use scan::{Members, elements, members, string_text, write_string};
pub use path::Path;
pub use value::Value;
