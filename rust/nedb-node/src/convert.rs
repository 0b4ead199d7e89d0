//! Host values to the engine's and back: strings, seqs, options, documents.
//!
//! In: JavaScript strings, numbers, BigInts, JSON texts of options. Out: the engine's types.
//!
//! Invariants:
//! * A value of the wrong type is an INVALID_ARGUMENT of NEDB, never an error of napi's own.
//! * No string changes on its way: a JavaScript string that is no Unicode text (a lone surrogate) is
//!   refused, for two different ids must never meet as one.

use std::ops::Deref;
use std::sync::Arc;

use napi::bindgen_prelude::{BigInt, FromNapiValue, TypeName, Utf16String, ValidateNapiValue};
use napi::{Env, ValueType, sys};
use nedb_core::{
    Durability, Error, FileAt, ManualClock, Options, ReadOptions, Result, Tier, Tmk, WriteOptions,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, to_js};

/// What stands in a converted string where the JavaScript string had no Unicode character.
const REPLACEMENT: char = '\u{fffd}';
/// The largest integer that a JavaScript number holds exactly, with all below it.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// A string argument.
pub struct Text(String);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0
    }
}

impl TypeName for Text {
    fn type_name() -> &'static str {
        "string"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Text {}

impl FromNapiValue for Text {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller gives a live environment and a value of it.
        unsafe {
            expect_type(env, value, &[sys::ValueType::napi_string], "a string")?;
            let text = String::from_napi_value(env, value)?;
            // Rare enough to be read again and compared: U+FFFD may also have been meant.
            if text.contains(REPLACEMENT) {
                let units = Utf16String::from_napi_value(env, value)?;
                if !units.iter().copied().eq(text.encode_utf16()) {
                    return Err(refused(env, "a string that is no Unicode text".to_owned()));
                }
            }
            Ok(Text(text))
        }
    }
}

/// A seq or a count given as a number or a BigInt.
pub struct Seq(pub i64);

impl TypeName for Seq {
    fn type_name() -> &'static str {
        "bigint | number"
    }

    fn value_type() -> ValueType {
        ValueType::BigInt
    }
}

impl ValidateNapiValue for Seq {}

impl FromNapiValue for Seq {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        let accepted = [sys::ValueType::napi_number, sys::ValueType::napi_bigint];
        // SAFETY: the caller gives a live environment and a value of it.
        unsafe {
            let found = expect_type(env, value, &accepted, "an integer")?;
            if found == sys::ValueType::napi_bigint {
                let (seq, lossless) = BigInt::from_napi_value(env, value)?.get_i64();
                return if lossless {
                    Ok(Seq(seq))
                } else {
                    Err(refused(env, "a BigInt beyond 64 bits".to_owned()))
                };
            }
            let number = f64::from_napi_value(env, value)?;
            if number.fract() != 0.0 || number.abs() > SAFE_INTEGER_MAX {
                return Err(refused(env, format!("{number} is no exact integer")));
            }
            Ok(Seq(number as i64))
        }
    }
}

/// A number argument, for seconds.
pub struct Seconds(pub f64);

impl TypeName for Seconds {
    fn type_name() -> &'static str {
        "number"
    }

    fn value_type() -> ValueType {
        ValueType::Number
    }
}

impl ValidateNapiValue for Seconds {}

impl FromNapiValue for Seconds {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the caller gives a live environment and a value of it.
        unsafe {
            expect_type(env, value, &[sys::ValueType::napi_number], "a number")?;
            f64::from_napi_value(env, value).map(Seconds)
        }
    }
}

/// Answers the type of a value, if it is one of `accepted`.
///
/// # Safety
/// `env` is live and `value` is a value of it.
unsafe fn expect_type(
    env: sys::napi_env,
    value: sys::napi_value,
    accepted: &[sys::napi_valuetype],
    name: &str,
) -> napi::Result<sys::napi_valuetype> {
    let mut found = sys::ValueType::napi_undefined;
    // SAFETY: the caller's promise.
    napi::check_status!(unsafe { sys::napi_typeof(env, value, &mut found) })?;
    if accepted.contains(&found) {
        Ok(found)
    } else {
        Err(refused(env, format!("expected {name}, found {}", ValueType::from(found))))
    }
}

/// Makes the error of an argument that does not convert.
fn refused(env: sys::napi_env, message: String) -> napi::Error {
    to_js(&Env::from_raw(env), Failure::Refused(Error::invalid(message)))
}

/// The members of a write's options.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WriteFields {
    client: Option<String>,
    nonce: Option<i64>,
    idem: Option<String>,
    ttl_s: Option<f64>,
    caused_by: Option<Vec<i64>>,
    evidence: Option<String>,
    confidence: Option<f64>,
    valid_from: Option<String>,
    valid_to: Option<String>,
    if_seq: Option<i64>,
}

/// The members of a read's options.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReadFields {
    as_of: Option<i64>,
    valid_as_of: Option<String>,
}

/// The members that say which version of a file is meant.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileFields {
    version: Option<i64>,
    tier: Option<String>,
    as_of: Option<i64>,
}

/// The members of the options of opening.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OpenFields {
    read_only: Option<bool>,
    clock: Option<f64>,
    cache_bytes: Option<usize>,
    durability: Option<serde_json::Value>,
    checkpoint_every_ops: Option<u64>,
    /// In hexadecimal.
    tmk: Option<String>,
    encrypt_existing: Option<bool>,
}

/// Reads the options of a write from JSON text; none are the defaults.
pub fn write_options(text: Option<&str>) -> Result<WriteOptions> {
    let Some(text) = text else { return Ok(WriteOptions::default()) };
    let fields: WriteFields = options(text)?;
    Ok(WriteOptions {
        client: fields.client,
        nonce: fields.nonce,
        idem: fields.idem,
        ttl_seconds: fields.ttl_s,
        caused_by: fields.caused_by.unwrap_or_default(),
        evidence: fields.evidence,
        confidence: fields.confidence,
        valid_from: fields.valid_from,
        valid_to: fields.valid_to,
        if_seq: fields.if_seq,
    })
}

/// Reads the options of a read from JSON text; none are the defaults.
pub fn read_options(text: Option<&str>) -> Result<ReadOptions> {
    let Some(text) = text else { return Ok(ReadOptions::default()) };
    let fields: ReadFields = options(text)?;
    Ok(ReadOptions { as_of: fields.as_of, valid_as_of: fields.valid_as_of })
}

/// Reads which version of a file is meant from JSON text.
pub fn file_at(text: Option<&str>) -> Result<FileAt> {
    let Some(text) = text else { return Ok(FileAt::default()) };
    let fields: FileFields = options(text)?;
    let tier = fields.tier.as_deref().map(Tier::parse).transpose()?;
    Ok(FileAt { version: fields.version, tier, as_of: fields.as_of })
}

/// Reads the options of opening a directory: JSON text, and what the environment says of keys.
pub fn directory_options(text: Option<&str>) -> Result<Options> {
    let (opened, encrypt_existing) = read_open_options(text)?;
    let variable =
        |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned());
    opened.with_environment(encrypt_existing, variable, |path| std::fs::read(path))
}

/// Reads the options of opening from JSON text; `clock` is a number of seconds that stands still.
pub fn open_options(text: Option<&str>) -> Result<Options> {
    read_open_options(text).map(|(opened, _)| opened)
}

fn read_open_options(text: Option<&str>) -> Result<(Options, Option<bool>)> {
    let mut opened = Options::default();
    let Some(text) = text else { return Ok((opened, None)) };
    let fields: OpenFields = options(text)?;
    if let Some(seconds) = fields.clock {
        opened.clock = Arc::new(ManualClock::new(seconds));
    }
    opened.read_only = fields.read_only.unwrap_or(opened.read_only);
    opened.cache_bytes = fields.cache_bytes.unwrap_or(opened.cache_bytes);
    if let Some(given) = fields.durability {
        // A number is spelt as itself, so that one parser decides.
        let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
        opened.durability = Durability::parse(&text)?;
    }
    opened.checkpoint_every_ops = fields.checkpoint_every_ops.or(opened.checkpoint_every_ops);
    opened.tmk = fields.tmk.as_deref().map(Tmk::from_hex).transpose()?;
    Ok((opened, fields.encrypt_existing))
}

/// Reads one object of options.
fn options<T: DeserializeOwned>(text: &str) -> Result<T> {
    // serde would also take an array, as the members in their order.
    if !text.trim_start().starts_with('{') {
        return Err(Error::invalid("options are the JSON text of an object"));
    }
    serde_json::from_str(text).map_err(|error| {
        if let Some(wrong) = wrong_option::<T>(text) {
            return wrong;
        }
        // The place is one in a text that the caller may never have seen.
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or_default();
        Error::invalid(format!("an option has the wrong form: {what}"))
    })
}

/// Names the first option that has a wrong value, and what it may be; None where there is none that is known.
fn wrong_option<T: DeserializeOwned>(text: &str) -> Option<Error> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    members.into_iter().find_map(|(name, value)| {
        let range = range_of(&name)?;
        let given = value.to_string();
        let alone = serde_json::Value::Object([(name.clone(), value)].into_iter().collect());
        let is_wrong = serde_json::from_value::<T>(alone).is_err();
        is_wrong.then(|| Error::invalid(format!("the option {name} is {range}, not {given}")))
    })
}

/// Returns what an option may be.
fn range_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "cache_bytes" => "a whole number of bytes, from 0 on",
        "checkpoint_every_ops" => "a whole number of ops, from 1 on",
        "nonce" => "a whole number from 1 to 9223372036854775807",
        "if_seq" => "a whole number, -1 or the seq of an op",
        "as_of" => "the seq of an op, a whole number",
        "version" => "the number of a version, a whole number",
        "caused_by" => "a list of seqs, which are whole numbers",
        "ttl_s" => "a number of seconds",
        "confidence" => "a number from 0 to 1",
        "clock" => "a number of seconds since 1970",
        "read_only" | "encrypt_existing" => "true or false",
        "client" | "idem" | "evidence" | "valid_from" | "valid_to" | "valid_as_of" | "tier" => {
            "a text"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_is_out_of_range_is_named_with_its_range() {
        for (text, expected) in [
            (
                r#"{"cache_bytes":-1}"#,
                "the option cache_bytes is a whole number of bytes, from 0 on, not -1",
            ),
            (
                r#"{"checkpoint_every_ops":1e30}"#,
                "the option checkpoint_every_ops is a whole number of ops",
            ),
            (r#"{"read_only":true,"cache_bytes":0.5}"#, "the option cache_bytes is"),
            (r#"{"read_only":1}"#, "the option read_only is true or false, not 1"),
        ] {
            let message = open_options(Some(text)).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
        let message = write_options(Some(r#"{"nonce":-7.5}"#)).unwrap_err().to_string();
        assert!(message.starts_with("the option nonce is a whole number from 1 to"), "{message}");
        let message = open_options(Some(r#"{"cache":1}"#)).unwrap_err().to_string();
        assert!(message.contains("unknown field `cache`"), "{message}");
    }

    #[test]
    fn options_that_are_absent_or_null_are_the_defaults() {
        for text in [None, Some("{}"), Some(r#"{"nonce":null,"caused_by":null,"client":null}"#)] {
            let options = write_options(text).unwrap();
            assert_eq!((options.nonce, options.client), (None, None));
            assert!(options.caused_by.is_empty());
        }
        let options = write_options(Some(r#"{"ttl_s":5,"if_seq":-1,"caused_by":[3]}"#)).unwrap();
        assert_eq!((options.ttl_seconds, options.if_seq), (Some(5.0), Some(-1)));
        assert_eq!(options.caused_by, [3]);
    }

    #[test]
    fn an_unknown_or_a_fractional_option_is_refused() {
        for text in [r#"{"nonc":1}"#, r#"{"nonce":1.5}"#, r#"{"nonce":9223372036854775808}"#, "[]"]
        {
            assert!(write_options(Some(text)).is_err(), "{text}");
        }
        assert!(read_options(Some(r#"{"asof":1}"#)).is_err());
        assert!(open_options(Some(r#"{"cache_bytes":-1}"#)).is_err());
        assert!(open_options(Some(r#"{"checkpoint_every_ops":1.5}"#)).is_err());
    }
}
