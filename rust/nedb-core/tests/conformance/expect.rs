//! Whether an answer is the expected one.
//!
//! In: what a step expects (`tests/conformance/README.md`, "What a step expects") and what the
//! engine answered. Out: nothing, or a sentence with both.

use nedb_core::Error;
use serde_json::Value;

/// What a verb answered.
#[derive(Debug)]
pub enum Answer {
    /// One JSON text.
    One(String),
    /// Rows, each a JSON text.
    Rows(Vec<String>),
}

impl Answer {
    /// Makes the answer of a verb that answers nothing.
    pub fn nothing() -> Self {
        Answer::One("null".to_owned())
    }

    /// Makes an answer of a value.
    pub fn of(value: impl Into<Value>) -> Self {
        Answer::One(value.into().to_string())
    }

    /// Returns the texts of the answer; one that is no rows counts as one.
    fn texts(&self) -> &[String] {
        match self {
            Answer::One(text) => std::slice::from_ref(text),
            Answer::Rows(rows) => rows,
        }
    }
}

/// Checks an outcome against what a step expects.
pub fn check(expected: Option<&Value>, outcome: &Result<Answer, Error>) -> Result<(), String> {
    match (expected.and_then(|form| form.get("error")), outcome) {
        (Some(code), Err(error)) => check_error(expected.unwrap_or(&Value::Null), code, error),
        (Some(code), Ok(answer)) => Err(differ(code, &format!("{answer:?}"))),
        (None, Err(error)) => {
            Err(differ(expected.unwrap_or(&Value::Null), &format!("{} {error}", error.code())))
        }
        (None, Ok(answer)) => expected.map_or(Ok(()), |form| check_answer(form, answer)),
    }
}

/// Checks an error's code, message and place.
fn check_error(form: &Value, code: &Value, error: &Error) -> Result<(), String> {
    if code.as_str() != Some(error.code().as_str()) {
        return Err(differ(code, &format!("{} {error}", error.code())));
    }
    if let Some(part) = form.get("message_contains").and_then(Value::as_str)
        && !error.to_string().to_lowercase().contains(&part.to_lowercase())
    {
        return Err(differ(form, &error.to_string()));
    }
    let Some(place) = form.get("position") else { return Ok(()) };
    let got = error
        .position()
        .map(|position| serde_json::json!({"line": position.line, "column": position.column}));
    if got.as_ref() == Some(place) { Ok(()) } else { Err(differ(place, &format!("{got:?}"))) }
}

/// Checks an answer against the one form that the step names.
fn check_answer(form: &Value, answer: &Answer) -> Result<(), String> {
    let Some((kind, wanted)) = form.as_object().and_then(|members| members.iter().next()) else {
        return Err(format!("the case expects no known form: {form}"));
    };
    let got = match kind.as_str() {
        "result" => value_of(&one(answer)?)?,
        "rows" => rows_of(answer)?,
        "ids" => rows_of(answer)?
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| row.get("_id").cloned().unwrap_or(Value::Null))
            .collect(),
        "result_text" => Value::String(one(answer)?),
        "rows_text" => answer.texts().iter().cloned().collect(),
        "count" => answer.texts().len().into(),
        other => return Err(format!("the case expects an unknown form: {other}")),
    };
    if equal(wanted, &got) { Ok(()) } else { Err(differ(form, &got.to_string())) }
}

/// Returns the one text of an answer that is no rows.
fn one(answer: &Answer) -> Result<String, String> {
    match answer {
        Answer::One(text) => Ok(text.clone()),
        Answer::Rows(rows) => Err(format!("the verb answers rows: {rows:?}")),
    }
}

/// Parses a text that the engine answered.
fn value_of(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("the answer is no JSON: {error}: {text}"))
}

/// Parses the rows of an answer into one array.
fn rows_of(answer: &Answer) -> Result<Value, String> {
    match answer {
        Answer::Rows(rows) => rows.iter().map(|row| value_of(row)).collect(),
        Answer::One(text) => Err(format!("the verb answers no rows: {text}")),
    }
}

/// Tells whether a value is the wanted one; `$any` and `$has` stand for many.
fn equal(wanted: &Value, got: &Value) -> bool {
    if let Some(kind) = wanted.get("$any").and_then(Value::as_str) {
        return kind == kind_of(got);
    }
    if let Some(Value::Object(members)) = wanted.get("$has") {
        return members.iter().all(|(key, value)| got.get(key).is_some_and(|g| equal(value, g)));
    }
    match (wanted, got) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, l)| right.get(key).is_some_and(|r| equal(l, r)))
        }
        // serde_json keeps integers and doubles apart, so 1 and 1.0 differ here.
        _ => wanted == got,
    }
}

/// Names the type of a value.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Says what was expected and what came.
fn differ(expected: &Value, got: &str) -> String {
    format!("\n    expected {expected}\n    got      {got}")
}
