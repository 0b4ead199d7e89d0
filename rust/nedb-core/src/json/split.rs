//! A list or a mapping of values, taken apart: the values as texts of their own, in the order of the text.
//!
//! In: any JSON text. Out: for each value its key, where it has one, and its tokens as they were spelt, without
//! the blanks between them.

use super::lex::Dialect;
use super::parse::{Sink, walk};
use super::string::unescape;
use crate::error::{Error, Result};

/// A value of a list or of a mapping.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The key, in a mapping.
    pub key: Option<String>,
    pub text: String,
}

/// Takes a JSON array or object apart. A key that occurs twice is there twice.
///
/// Cost: a copy of every token. Errors: `InvalidArgument` where the text is not well-formed, or neither a list
/// nor a mapping; `LimitExceeded` where it is nested deeper than `depth_max`.
pub(crate) fn split(text: &str, depth_max: usize) -> Result<Vec<Part>> {
    let mut splitter = Splitter::default();
    walk(text, Dialect::Strict, depth_max, &mut splitter)?;
    match splitter.is_single {
        true => Err(Error::invalid("a JSON array or object is asked for here, not a single value")),
        false => Ok(splitter.parts),
    }
}

#[derive(Default)]
struct Splitter {
    depth: usize,
    /// The whole text is one string, number or literal.
    is_single: bool,
    key: Option<String>,
    text: String,
    parts: Vec<Part>,
}

impl Splitter {
    fn begin(&mut self, bracket: char) {
        if self.depth > 0 {
            self.text.push(bracket);
        }
        self.depth += 1;
    }

    fn end(&mut self, bracket: char) {
        self.depth -= 1;
        if self.depth > 0 {
            self.text.push(bracket);
            self.end_value();
        }
    }

    fn token(&mut self, token: &str) {
        self.text.push_str(token);
        self.end_value();
    }

    fn end_value(&mut self) {
        self.is_single |= self.depth == 0;
        if self.depth == 1 {
            let (key, text) = (self.key.take(), std::mem::take(&mut self.text));
            self.parts.push(Part { key, text });
        }
    }

    fn quoted(&mut self, raw: &str) {
        self.text.push('"');
        self.text.push_str(raw);
        self.text.push('"');
    }
}

impl Sink for Splitter {
    fn begin_object(&mut self) {
        self.begin('{');
    }

    fn key(&mut self, raw: &str, _plain: bool) {
        if self.depth == 1 {
            self.key = Some(unescape(raw).into_owned());
        } else {
            self.quoted(raw);
            self.text.push(':');
        }
    }

    fn comma(&mut self) {
        if self.depth > 1 {
            self.text.push(',');
        }
    }

    fn end_object(&mut self) -> Result<()> {
        self.end('}');
        Ok(())
    }

    fn begin_array(&mut self) {
        self.begin('[');
    }

    fn end_array(&mut self) {
        self.end(']');
    }

    fn string(&mut self, raw: &str, _plain: bool) {
        self.quoted(raw);
        self.end_value();
    }

    fn number(&mut self, token: &str) -> Result<()> {
        self.token(token);
        Ok(())
    }

    fn literal(&mut self, token: &'static str) {
        self.token(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn parts(text: &str) -> Vec<(Option<String>, String)> {
        split(text, 8).unwrap().into_iter().map(|part| (part.key, part.text)).collect()
    }

    fn expected<'t>(parts: &[(Option<&'t str>, &'t str)]) -> Vec<(Option<String>, String)> {
        let owned = |(key, text): &(Option<&str>, &str)| (key.map(str::to_owned), text.to_string());
        parts.iter().map(owned).collect()
    }

    #[test]
    fn values_keep_their_order_and_their_spelling() {
        assert_eq!(parts(" { } "), []);
        assert_eq!(parts("[]"), []);
        let text = r#"{"b": {"z": 1.50, "a": [1, {"x": null}]}, "\u0061\n": [ ], "b": "\u00e9\"" , "": -0e1}"#;
        let found = [
            (Some("b"), r#"{"z":1.50,"a":[1,{"x":null}]}"#),
            (Some("a\n"), "[]"),
            (Some("b"), r#""\u00e9\"""#),
            (Some(""), "-0e1"),
        ];
        assert_eq!(parts(text), expected(&found));
        let list = r#"[ {"_id":"x","big":123456789012345678901}, true ,[[],{}],"" ]"#;
        let found = [r#"{"_id":"x","big":123456789012345678901}"#, "true", "[[],{}]", r#""""#];
        assert_eq!(parts(list), expected(&found.map(|text| (None, text))));
    }

    #[test]
    fn what_is_no_list_and_no_mapping_is_an_invalid_argument() {
        for text in ["", "5", r#""a""#, "null", r#"{"a":1"#, "{} {}", "[1,]", "{a:1}", "[NaN]"] {
            assert_eq!(split(text, 8).unwrap_err().code(), ErrorCode::InvalidArgument, "{text}");
        }
        assert_eq!(split("[[[]]]", 2).unwrap_err().code(), ErrorCode::LimitExceeded);
    }
}
