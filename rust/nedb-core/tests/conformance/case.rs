//! A conformance case as it stands in its file.
//!
//! In: the files below `tests/conformance/cases`. Out: [`Case`]s whose arguments are still the text
//! of the file, so that documents reach the engine as they were written.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of cases.
pub struct CaseFile {
    /// Its path below the folder of cases.
    pub name: String,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence, unique in the suite.
    pub name: String,
    /// What would be wrong if it failed.
    #[expect(dead_code, reason = "for the reader of the case")]
    pub why: String,
    /// Seconds since 1970 at which the clock stands.
    #[serde(default = "default_clock")]
    pub clock: f64,
    /// Whether it also runs in a directory.
    #[serde(default)]
    pub durable: bool,
    /// The key of its database, in hexadecimal; it runs in a directory.
    pub tmk: Option<String>,
    /// The calls, in order.
    pub steps: Vec<Step>,
    /// The head after the last step.
    pub head: Option<String>,
    /// Language → why it cannot run the case.
    #[serde(default)]
    pub skip: BTreeMap<String, String>,
}

/// One call and what it must answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The verb.
    #[serde(rename = "do")]
    pub verb: String,
    /// Its arguments, each as text.
    #[serde(default)]
    pub args: Arguments,
    /// What it answers. None: anything but an error.
    pub expect: Option<Value>,
}

/// The steps that need a directory.
const NEEDS_DISK: [&str; 4] = ["reopen", "open_again", "rewrap_key", "damage"];

/// Where a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Without a directory.
    Memory,
    /// In an empty temporary directory.
    Disk,
    /// In an empty temporary directory, with checkpoints after every op and at every closing.
    DiskWithCheckpoints,
}

/// The arguments of a step, each as its JSON text.
#[derive(Default, Deserialize)]
pub struct Arguments(BTreeMap<String, Box<RawValue>>);

fn default_clock() -> f64 {
    1000.5
}

impl Case {
    /// Tells where the case runs.
    pub fn places(&self) -> Vec<Place> {
        let needs_disk =
            self.tmk.is_some() || self.steps.iter().any(|step| NEEDS_DISK.contains(&&*step.verb));
        match (needs_disk, self.durable) {
            (true, _) => vec![Place::Disk, Place::DiskWithCheckpoints],
            (false, true) => vec![Place::Memory, Place::Disk, Place::DiskWithCheckpoints],
            (false, false) => vec![Place::Memory],
        }
    }
}

impl Arguments {
    /// Returns the JSON text of an argument.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// Returns an argument as a value, with every `$repeat` written out.
    pub fn value(&self, name: &str) -> Result<Option<Value>, String> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let value = serde_json::from_str(raw).map_err(|error| format!("{name}: {error}"))?;
        written_out(value).map(Some)
    }

    /// Returns an argument that is a string.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.value(name)? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name} must be a string, not {other}")),
        }
    }

    /// Returns an argument that is a string and must be there.
    pub fn required(&self, name: &str) -> Result<String, String> {
        self.text(name)?.ok_or_else(|| format!("the case gives no {name}"))
    }

    /// Returns the JSON text of `name`, or the string of `name_text` as it is.
    pub fn json(&self, name: &str) -> Result<Option<String>, String> {
        match self.text(&format!("{name}_text"))? {
            Some(text) => Ok(Some(text)),
            None => Ok(self.raw(name).map(str::to_owned)),
        }
    }

    /// Returns the names that are given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Writes `{"$repeat": [[text, count], ...]}` out as the joined text.
fn written_out(value: Value) -> Result<Value, String> {
    let Some(parts) = value.get("$repeat") else { return Ok(value) };
    let parts: Vec<(String, usize)> =
        serde_json::from_value(parts.clone()).map_err(|error| format!("$repeat: {error}"))?;
    Ok(Value::String(parts.iter().map(|(text, count)| text.repeat(*count)).collect()))
}

/// Loads every file of cases, by name, without those that `NEDB_CONFORMANCE_ONLY` leaves out.
pub fn load_all() -> Result<Vec<CaseFile>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/cases");
    let only = std::env::var("NEDB_CONFORMANCE_ONLY").unwrap_or_default();
    let mut paths = Vec::new();
    collect_files(&root, &mut paths).map_err(|error| format!("{}: {error}", root.display()))?;
    paths.sort();
    paths.iter().map(|path| load_file(&root, path, &only)).collect()
}

/// Gathers the JSON files below a folder.
fn collect_files(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_files(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Loads one file of cases.
fn load_file(root: &Path, path: &Path, only: &str) -> Result<CaseFile, String> {
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut cases: Vec<Case> =
        serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    cases.retain(|case| name.contains(only) || case.name.contains(only));
    Ok(CaseFile { name, cases })
}
