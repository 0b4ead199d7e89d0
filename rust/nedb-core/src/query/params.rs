//! The values that a query's parameters stand for.
//!
//! In: values by position or by name. Out: the value of `$1` or of `$name`, for the parser.
//!
//! Invariants:
//! * A parameter is a value from the moment it is given: it never becomes part of a query's text.
//! * Names are looked up by binary search; of two values given for one name, the last counts.

use crate::error::{Error, Result};
use crate::json::Value;
use crate::limits;

/// The values for the parameters of one query: `$1`, `$2`, … by position, or `$name` by name.
///
/// Parameters that the query does not mention are ignored; one that it mentions and that is not here
/// is an `NqlError`. More than `limits::LIST_VALUES_COUNT_MAX` are a `LimitExceeded` when used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    given: Given,
}

/// How the values were given.
#[derive(Clone, Debug, Default, PartialEq)]
enum Given {
    /// There are none.
    #[default]
    None,
    /// `$1` is the first.
    Positional(Vec<Value>),
    /// Sorted by name, each name once.
    Named(Vec<(String, Value)>),
}

impl Params {
    /// Makes no parameters.
    pub fn none() -> Self {
        Params::default()
    }

    /// Makes parameters by position: the first value is `$1`.
    pub fn positional(values: Vec<Value>) -> Self {
        Params { given: Given::Positional(values) }
    }

    /// Makes parameters by name, the names without `$`; of a repeated name, the last value counts.
    pub fn named(mut values: Vec<(String, Value)>) -> Self {
        // A stable sort keeps equal names in the order given; reversed, the last one comes first.
        values.reverse();
        values.sort_by(|left, right| left.0.cmp(&right.0));
        values.dedup_by(|next, kept| next.0 == kept.0);
        Params { given: Given::Named(values) }
    }

    /// Makes parameters from JSON text: an array gives `$1`…, an object gives `$name`, null none.
    ///
    /// Errors: `InvalidArgument` when the text is not JSON or is of another type.
    pub fn from_json(text: &str) -> Result<Self> {
        match Value::parse(text)? {
            Value::Null => Ok(Params::none()),
            Value::Array(values) => Ok(Params::positional(values)),
            Value::Object(members) => Ok(Params::named(members)),
            _ => Err(Error::invalid("parameters are a JSON array ($1, $2, …) or object ($name)")),
        }
    }

    /// Checks that there are not more than a query may have.
    pub(super) fn check_count(&self) -> Result<()> {
        let count = match &self.given {
            Given::None => 0,
            Given::Positional(values) => values.len(),
            Given::Named(values) => values.len(),
        };
        if count > limits::LIST_VALUES_COUNT_MAX {
            let most = limits::LIST_VALUES_COUNT_MAX;
            return Err(Error::limit(format!("{count} parameters are more than {most}")));
        }
        Ok(())
    }

    /// Finds the value of a parameter, its name without `$`; the error says why there is none.
    pub(super) fn find(&self, name: &str) -> std::result::Result<&Value, String> {
        match &self.given {
            Given::None => Err(format!("parameter ${name} has no value: no parameters were given")),
            Given::Positional(values) => {
                let Ok(number) = name.parse::<usize>() else {
                    let reason = "parameters were given by position, not by name";
                    return Err(format!("parameter ${name} has no value: {reason}"));
                };
                let index = number
                    .checked_sub(1)
                    .ok_or_else(|| format!("there is no parameter ${name}: $1 is the first"))?;
                values.get(index).ok_or_else(|| {
                    let count = values.len();
                    format!("parameter ${name} has no value: {count} given")
                })
            }
            Given::Named(values) => values
                .binary_search_by(|(known, _)| known.as_str().cmp(name))
                .ok()
                .and_then(|index| values.get(index))
                .map(|(_, value)| value)
                .ok_or_else(|| format!("parameter ${name} has no value under that name")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one() {
        let params = Params::positional(vec![Value::Int(7), Value::Null]);
        assert_eq!(params.find("1"), Ok(&Value::Int(7)));
        assert_eq!(params.find("2"), Ok(&Value::Null));
        assert_eq!(params.find("0"), Err("there is no parameter $0: $1 is the first".into()));
        assert_eq!(params.find("3"), Err("parameter $3 has no value: 2 given".into()));
        assert!(params.find("x").is_err());
        assert!(params.find("99999999999999999999999").is_err());
    }

    #[test]
    fn names_are_found_and_the_last_of_a_repeated_one_counts() {
        let pairs = [("b", 1), ("a", 2), ("b", 3), ("ä", 4), ("1", 5)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), Value::Int(value)));
        let params = Params::named(pairs.to_vec());
        for (name, value) in [("a", 2), ("b", 3), ("ä", 4), ("1", 5)] {
            assert_eq!(params.find(name), Ok(&Value::Int(value)), "{name}");
        }
        assert_eq!(params.find("c"), Err("parameter $c has no value under that name".into()));
    }

    #[test]
    fn json_arrays_are_positions_and_objects_are_names() {
        let list = Params::from_json("[1, \"x\"]").unwrap();
        assert_eq!(list.find("2"), Ok(&Value::String("x".into())));
        let names = Params::from_json("{\"b\": [1], \"a\": true}").unwrap();
        assert_eq!(names.find("a"), Ok(&Value::Bool(true)));
        assert_eq!(Params::from_json("null").unwrap(), Params::none());
        for wrong in ["5", "\"x\"", "", "[1", "{\"a\":NaN}"] {
            let code = Params::from_json(wrong).unwrap_err().code();
            assert_eq!(code, crate::error::ErrorCode::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn too_many_parameters_are_a_limit_and_none_are_fine() {
        let most = limits::LIST_VALUES_COUNT_MAX;
        assert!(Params::positional(vec![Value::Null; most]).check_count().is_ok());
        assert!(Params::positional(vec![Value::Null; most + 1]).check_count().is_err());
        assert!(Params::none().check_count().is_ok());
        assert!(Params::none().find("1").is_err());
    }
}
