//! JSON values by the definitions of `docs/nql.md`: order, equality, paths; and dates.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

pub type Object = Map<String, Value>;

/// Orders any two values: null, false, true, numbers, strings, arrays, objects.
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
        (Value::String(left), Value::String(right)) => left.chars().cmp(right.chars()),
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right).map(|(left, right)| compare(left, right));
            let different = pairs.into_iter().find(|order| order.is_ne());
            different.unwrap_or(left.len().cmp(&right.len()))
        }
        // The scripts write one object only, so that any order of objects will do.
        _ => rank(left).cmp(&rank(right)),
    }
}

/// Compares numbers by value: an integer never through a double.
fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    let integer = |number: &Number| match (number.as_i64(), number.as_u64()) {
        (Some(value), _) => Some(i128::from(value)),
        (None, value) => value.map(i128::from),
    };
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => compare_with_double(left, right),
        (None, Some(right)) => compare_with_double(right, left).reverse(),
        (None, None) => left.as_f64().partial_cmp(&right.as_f64()).expect("JSON has no NaN"),
    }
}

fn compare_with_double(integer: i128, double: &Number) -> Ordering {
    let double = double.as_f64().expect("a double");
    let whole = integer.cmp(&(double.floor() as i128));
    let has_fraction = double.fract() != 0.0;
    if whole.is_eq() && has_fraction { Ordering::Less } else { whole }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// Orders values of one type; None across types, and for null, which has no order.
pub fn compare_in_type(left: &Value, right: &Value) -> Option<Ordering> {
    let is_same =
        matches!((left, right), (Value::Bool(_), Value::Bool(_))) || rank(left) == rank(right);
    (is_same && !left.is_null()).then(|| compare(left, right))
}

/// Tells whether values are equal, numbers by value.
pub fn equal(left: &Value, right: &Value) -> bool {
    rank(left) == rank(right) && compare(left, right).is_eq()
}

/// Returns the value at a dotted path; null where there is none.
pub fn pick(row: &Object, path: &str) -> Value {
    let mut parts = path.split('.');
    let first = row.get(parts.next().expect("a path has a part"));
    let step = |value: Option<Value>, part: &str| match value? {
        Value::Object(members) => members.get(part).cloned(),
        Value::Array(elements) => elements.get(part.parse::<usize>().ok()?).cloned(),
        _ => None,
    };
    parts.fold(first.cloned(), step).unwrap_or(Value::Null)
}

/// Reads `2024-06-30` or `2024-06-30T12:00:00Z` (or `+02:00`) as milliseconds; None for other texts.
pub fn instant_ms(text: &str, is_end: bool) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_years: i64 = (1970..year).map(|year| 365 + i64::from(is_leap(year))).sum();
    let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = days_of_years + lengths[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let Some(time) = text.get(11..) else {
        return Some((days + i64::from(is_end)) * 86_400_000 - i64::from(is_end));
    };
    let offset_hours = match time.get(8..)? {
        "Z" => 0,
        offset => offset.get(0..3)?.parse::<i64>().ok()?,
    };
    let hours = days * 24 + number(11..13)? - offset_hours;
    Some(((hours * 60 + number(14..16)?) * 60 + number(17..19)?) * 1_000)
}

#[test]
fn the_models_dates_are_those_of_the_calendar() {
    assert_eq!(instant_ms("1970-01-01", false), Some(0));
    assert_eq!(instant_ms("2024-02-29", false), Some(1_709_164_800_000));
    assert_eq!(instant_ms("2024-02-29", true), Some(1_709_251_199_999));
    assert_eq!(instant_ms("2024-01-31T12:00:30+02:00", false), Some(1_706_695_230_000));
    assert_eq!(instant_ms("2024-01-31T10:00:30Z", true), Some(1_706_695_230_000));
    assert_eq!(instant_ms("soon", false), None);
}

#[test]
fn the_models_order_is_that_of_the_page() {
    let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let sorted = ["null", "false", "true", "-1", "0.5", "1", "9007199254740992.0"];
    let rest = ["9007199254740993", "\"a\"", "\"b\"", "[]", "[1]", "[1,0]", "[2]", "{}"];
    let values: Vec<Value> = sorted.iter().chain(&rest).map(|text| parse(text)).collect();
    for (at, left) in values.iter().enumerate() {
        for (place, right) in values.iter().enumerate() {
            assert_eq!(compare(left, right), at.cmp(&place), "{left} and {right}");
        }
    }
    assert!(equal(&parse("[1]"), &parse("[1.0]")) && !equal(&parse("1"), &parse("\"1\"")));
    assert_eq!(compare_in_type(&Value::Null, &Value::Null), None);
}
