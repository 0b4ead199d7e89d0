//! What the environment says of keys: read by the hosts, understood here, once for all of them.
//!
//! In: a look-up of variables and a reader of files, which the host gives. Out: options.
//!
//! | variable | what it says |
//! |---|---|
//! | `NEDB_TMK` | the key, in hexadecimal |
//! | `NEDB_TMK_FILE` | a file whose bytes are the key, but for white space at its ends |
//! | `NEDB_ENCRYPT_EXISTING` | `0` refuses a plain database, `1` encrypts it |
//!
//! Invariants:
//! * A key that was given comes before `NEDB_TMK`, and that before `NEDB_TMK_FILE`. An empty variable is none.

use crate::crypto::Tmk;
use crate::db::options::Options;
use crate::error::{Error, Result};
use std::io;
use std::path::Path;

impl Options {
    /// Fills in what was not given from the environment, for a database in a directory.
    ///
    /// `variable` looks a variable up, `read` reads a file. `encrypt_existing` is what was given for it.
    ///
    /// Errors: `InvalidArgument` for a variable of the wrong form or an empty key file; `StorageError` for a key file that cannot
    /// be read.
    pub fn with_environment(
        mut self,
        encrypt_existing: Option<bool>,
        variable: impl Fn(&str) -> Option<String>,
        read: impl Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Options> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        if self.tmk.is_none() {
            self.tmk = match (variable("NEDB_TMK"), variable("NEDB_TMK_FILE")) {
                (Some(hex), _) => {
                    Some(Tmk::from_hex(&hex).map_err(|error| {
                        Error::invalid(format!("NEDB_TMK: {}", error.message()))
                    })?)
                }
                (None, Some(path)) => {
                    let bytes = read(Path::new(&path)).map_err(|error| {
                        Error::storage(format!("read the key file {path} (NEDB_TMK_FILE)"), error)
                    })?;
                    let bytes = zeroize::Zeroizing::new(bytes);
                    if bytes.trim_ascii().is_empty() {
                        return Err(Error::invalid(format!(
                            "NEDB_TMK_FILE: the key file {path} is empty"
                        )));
                    }
                    Some(Tmk::from_file_bytes(&bytes))
                }
                (None, None) => None,
            };
        }
        let from_variable = || variable("NEDB_ENCRYPT_EXISTING").map(|text| parse_flag(&text));
        self.encrypt_existing = match encrypt_existing {
            Some(given) => given,
            None => from_variable().transpose()?.unwrap_or(self.encrypt_existing),
        };
        Ok(self)
    }
}

fn parse_flag(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "0" | "false" | "no" | "off" => Ok(false),
        "1" | "true" | "yes" | "on" => Ok(true),
        _ => Err(Error::invalid(format!("NEDB_ENCRYPT_EXISTING is 0 or 1, not {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    const FILE: &str = "0123456789abcdef\n";

    fn options(given: Options, encrypt: Option<bool>, set: &[(&str, &str)]) -> Result<Options> {
        let variable = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        given.with_environment(encrypt, variable, |path| match path.to_str() {
            Some("there") => Ok(FILE.as_bytes().to_vec()),
            Some("empty") => Ok(b" \n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        })
    }

    /// Tells which of three keys was taken, by what it opens.
    fn opens(options: &Options, key: &[u8]) -> bool {
        use crate::crypto::{DataKey, SystemRandomness, unwrap_key, wrap_key};
        let random = SystemRandomness;
        let text = wrap_key(&DataKey::draw(&random).unwrap(), &Tmk::new(key), &random).unwrap();
        options.tmk.as_ref().is_some_and(|tmk| unwrap_key(text.as_bytes(), tmk).is_ok())
    }

    #[test]
    fn a_key_that_was_given_comes_before_the_variable_and_that_before_the_file() {
        let both = [("NEDB_TMK", "00ff"), ("NEDB_TMK_FILE", "there")];
        let given = Options { tmk: Some(Tmk::new(*b"given")), ..Options::default() };
        assert!(opens(&options(given, None, &both).unwrap(), b"given"));
        assert!(opens(&options(Options::default(), None, &both).unwrap(), &[0, 0xff]));
        let file = options(Options::default(), None, &both[1..]).unwrap();
        assert!(opens(&file, b"0123456789abcdef"));
        let empty = [("NEDB_TMK", ""), ("NEDB_TMK_FILE", "")];
        assert!(options(Options::default(), None, &empty).unwrap().tmk.is_none());
    }

    #[test]
    fn a_variable_of_the_wrong_form_is_a_clear_error_without_the_key() {
        let refused = |set: &[(&str, &str)]| options(Options::default(), None, set).unwrap_err();
        let error = refused(&[("NEDB_TMK", "notsecret")]);
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().starts_with("NEDB_TMK: the key is not valid hex"), "{error}");
        assert!(!error.message().contains("notsecret"));
        let error = refused(&[("NEDB_TMK_FILE", "gone")]);
        assert_eq!(error.code(), ErrorCode::StorageError);
        assert!(error.message().contains("gone (NEDB_TMK_FILE)"), "{error}");
        let error = refused(&[("NEDB_TMK_FILE", "empty")]);
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.message().contains("the key file empty is empty"), "{error}");
        let error = refused(&[("NEDB_ENCRYPT_EXISTING", "perhaps")]);
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn whether_a_plain_database_is_encrypted_is_asked_in_the_same_order() {
        let off = [("NEDB_ENCRYPT_EXISTING", "0")];
        let existing =
            |given, set| options(Options::default(), given, set).unwrap().encrypt_existing;
        assert!(existing(None, &[]) && existing(Some(true), &off));
        assert!(!existing(None, &off) && !existing(Some(false), &[]));
    }
}
