//! Who may import whom: the table of `ARCHITECTURE.md`, held against the sources.
//!
//! An import points down, through a folder's door, and every path that code spells is looked at: in
//! `use` with its braces, and inline. What stands under `#[cfg(test)]` may look anywhere. An offender
//! is named by file and line, with the rule that it breaks.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "it is test code")]

#[path = "layering_support/paths.rs"]
mod paths;
mod source_support;

use paths::{SpelledPath, module_of, spelled_paths};
use source_support::{Source, engine_sources, line_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One row of the table.
struct Row {
    modules: &'static [&'static str],
    /// Whole levels that may be imported.
    levels: &'static [u8],
    /// Single modules that may be imported beside those.
    also: &'static [&'static str],
}

/// Level 0: each may import those before it.
const WORDS: [&str; 9] =
    ["error", "limits", "clock", "instant", "json", "hash", "merkle", "op", "document"];

/// The levels above, from 1. A row may import nothing of its own level but what it names.
const LEVELS: [&[Row]; 7] = [
    &[Row { modules: &["store", "crypto"], levels: &[0], also: &[] }],
    &[Row { modules: &["log", "blob"], levels: &[0, 1], also: &[] }],
    &[
        Row { modules: &["views"], levels: &[0, 1, 2], also: &[] },
        Row { modules: &["fold"], levels: &[0, 1, 2], also: &["views"] },
    ],
    &[
        Row { modules: &["read_budget"], levels: &[0], also: &[] },
        Row { modules: &["engine"], levels: &[0, 1, 2, 3], also: &[] },
    ],
    &[
        Row { modules: &["snapshot"], levels: &[0, 3], also: &["read_budget"] },
        Row { modules: &["query"], levels: &[0], also: &["snapshot", "read_budget"] },
    ],
    &[Row { modules: &["db"], levels: &[0, 1, 2, 3, 4, 5], also: &[] }],
    &[Row { modules: &["proof", "adapters"], levels: &[0], also: &["db", "query::algebra"] }],
];

/// The rooms of `db`, each with those that it may know.
const ROOMS: [(&str, &[&str]); 17] = [
    ("options", &[]),
    ("check", &["options"]),
    ("open_report", &[]),
    ("restore", &["open_report"]),
    ("database", &["checkpoint", "files", "open_report", "options"]),
    ("write", &["check", "database", "options"]),
    ("read", &["check", "database", "options"]),
    ("indexes", &["check", "database", "restore"]),
    ("files", &["check", "database", "options"]),
    ("checkpoint", &["check", "database", "options", "restore"]),
    ("verify", &["database", "open_report", "restore"]),
    ("backup", &["database", "files", "restore"]),
    ("repair", &["check", "database", "open_report", "options", "restore"]),
    ("encryption", &["database", "files", "open_report", "options", "restore"]),
    (
        "open",
        &[
            "check",
            "checkpoint",
            "database",
            "encryption",
            "files",
            "open_report",
            "options",
            "restore",
        ],
    ),
    ("close", &["database"]),
    ("statistics", &["database"]),
];

/// Folders within folders that have a door of their own to the rest of the crate.
const INNER_DOORS: [&str; 2] = ["views::index", "query::algebra"];
/// What views share: helpers without a meaning of their own.
const SHARED_BY_VIEWS: [&str; 5] = ["codec", "ids", "live_list", "names", "pieces"];
/// Not views: they hold them all.
const HOLDERS_OF_VIEWS: [&str; 3] = ["views", "views::state", "views::checkpoint"];

/// What only one place may name: the paths, and the module that may.
const ONE_PLACE: [(&[&str], &str); 4] = [
    (&["std::fs", "std::process"], "store"),
    (&["std::time::SystemTime", "std::time::Instant"], "clock"),
    (&["getrandom"], "crypto"),
    (&["std::env", "std::net"], "no module"),
];
/// Words that code of the engine never has.
const FORBIDDEN_WORDS: [&str; 6] = ["unsafe", "println!", "eprintln!", "print!", "eprint!", "dbg!"];

fn sources() -> Vec<Source> {
    engine_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn level_of(module: &str) -> Option<usize> {
    if WORDS.contains(&module) {
        return Some(0);
    }
    let has = |rows: &&[Row]| rows.iter().any(|row| row.modules.contains(&module));
    LEVELS.iter().position(has).map(|at| at + 1)
}

/// Tells why one module may not import a path of another; None when it may.
fn objection(module: &str, path: &[String]) -> Option<String> {
    let target = path.first().filter(|target| *target != module)?;
    let Some(level) = level_of(target) else {
        return Some(format!("{target} has no place in the table: name the module it comes from"));
    };
    let allowed = match WORDS.iter().position(|word| *word == module) {
        Some(at) => WORDS[..at].contains(&target.as_str()),
        None => row_of(module).is_some_and(|row| {
            let named = |also: &&str| path.join("::").starts_with(*also);
            row.levels.contains(&(level as u8)) || row.also.iter().any(named)
        }),
    };
    (!allowed).then(|| format!("{module} may not import {target}"))
}

fn row_of(module: &str) -> Option<&'static Row> {
    LEVELS.iter().flat_map(|rows| rows.iter()).find(|row| row.modules.contains(&module))
}

fn offence(source: &Source, spelled: &SpelledPath, why: &str) -> String {
    format!("src/{}:{}: {}: {why}", source.path.display(), spelled.line, spelled.path.join("::"))
}

fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn every_module_has_a_place_in_the_table() {
    let sources = sources();
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    let modules = sources.iter().filter_map(|source| module_of(&source.path).first().cloned());
    let unknown: Vec<String> = modules.filter(|module| level_of(module).is_none()).collect();
    assert!(unknown.is_empty(), "give these a level: {unknown:?}");
}

#[test]
fn every_import_points_down() {
    let mut offences = Vec::new();
    let mut import_count = 0;
    for source in &sources() {
        let module = module_of(&source.path);
        let Some(top) = module.first() else { continue };
        for spelled in spelled_paths(&source.engine_code, &["crate", "super"], &module) {
            import_count += 1;
            let why = objection(top, &spelled.path);
            offences.extend(why.map(|why| offence(source, &spelled, &why)));
        }
    }
    assert!(import_count > 200, "only {import_count} imports were found");
    assert_none(&offences);
}

#[test]
fn a_folder_is_entered_through_its_door() {
    let sources = sources();
    let modules: Vec<String> =
        sources.iter().map(|source| module_of(&source.path).join("::")).collect();
    let mut offences = Vec::new();
    for source in &sources {
        let module = module_of(&source.path);
        for spelled in spelled_paths(&source.engine_code, &["crate", "super"], &module) {
            let inner = spelled.path.iter().take(2).cloned().collect::<Vec<_>>().join("::");
            let is_own = spelled.path.first() == module.first() || module.is_empty();
            // A function may have the name of its file: only what is behind it is behind the door.
            if !is_own && modules.contains(&inner) && spelled.path.len() > 2 {
                let is_door = INNER_DOORS.contains(&inner.as_str());
                let why = "this is behind a folder's door";
                offences.extend((!is_door).then(|| offence(source, &spelled, why)));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn one_view_never_imports_another() {
    let sources = sources();
    let door = sources.iter().find(|source| source.path == Path::new("views/mod.rs"));
    let handed_on = handed_on_by(door.expect("views has a door"));
    let mut offences = Vec::new();
    for source in &sources {
        let module = module_of(&source.path);
        let is_holder = HOLDERS_OF_VIEWS.contains(&module.join("::").as_str());
        if module.first().is_none_or(|top| top != "views") || is_holder {
            continue;
        }
        for spelled in spelled_paths(&source.engine_code, &["crate", "super"], &module) {
            let [top, name, ..] = spelled.path.as_slice() else { continue };
            let target = handed_on.get(name).unwrap_or(name);
            let is_own = module.get(1) == Some(target) || top != "views";
            if !is_own && !SHARED_BY_VIEWS.contains(&target.as_str()) {
                let why = format!("{} may not import the view {target}", module.join("::"));
                offences.push(offence(source, &spelled, &why));
            }
        }
    }
    assert_none(&offences);
}

/// Returns what a door hands on, each name with the module it comes from.
fn handed_on_by(door: &Source) -> BTreeMap<String, String> {
    let children: Vec<&str> = door
        .engine_code
        .lines()
        .filter_map(|line| line.trim().rsplit_once("mod ")?.1.strip_suffix(';'))
        .collect();
    let names = spelled_paths(&door.engine_code, &children, &[]);
    names
        .into_iter()
        .filter_map(|name| Some((name.handed_on_as?, name.path.first()?.clone())))
        .collect()
}

#[test]
fn a_room_of_the_database_knows_only_the_rooms_of_its_row() {
    let mut offences = Vec::new();
    let mut import_count = 0;
    for source in &sources() {
        let module = module_of(&source.path);
        let [top, room, ..] = module.as_slice() else { continue };
        if top != "db" {
            continue;
        }
        let row = ROOMS.iter().find(|(name, _)| name == room);
        let (_, known) = row.unwrap_or_else(|| panic!("give the room {room} a row"));
        for spelled in spelled_paths(&source.engine_code, &["crate", "super"], &module) {
            let [top, target, ..] = spelled.path.as_slice() else { continue };
            if top == "db" && target != room {
                import_count += 1;
                let why = format!("{room} may not know {target}");
                let may = known.contains(&target.as_str());
                offences.extend((!may).then(|| offence(source, &spelled, &why)));
            }
        }
    }
    assert!(import_count > 50, "only {import_count} imports were found");
    assert_none(&offences);
}

/// Returns which files each file knows, doors seen through.
fn known_files(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let name_of = |source: &Source| module_of(&source.path).join("::");
    let is_door = |source: &Source| source.path.ends_with("mod.rs");
    let files: BTreeSet<String> = sources.iter().map(name_of).collect();
    let doors: BTreeMap<String, BTreeMap<String, String>> = sources
        .iter()
        .filter(|source| is_door(source))
        .map(|door| (name_of(door), handed_on_by(door)))
        .collect();
    let file_of = |path: &[String]| {
        let prefixes = (1..=path.len()).rev().map(|count| path[..count].join("::"));
        let mut file = prefixes.into_iter().find(|prefix| files.contains(prefix))?;
        let mut rest = path[file.matches("::").count() + 1..].iter();
        while let Some(child) = rest.next().and_then(|name| doors.get(&file)?.get(name)) {
            file = format!("{file}::{child}");
        }
        Some(file)
    };
    let mut known = BTreeMap::new();
    for source in sources.iter().filter(|source| !is_door(source)) {
        let module = module_of(&source.path);
        let own = name_of(source);
        let paths = spelled_paths(&source.engine_code, &["crate", "super"], &module);
        let others = paths.iter().filter_map(|spelled| file_of(&spelled.path));
        let others = others.filter(|other| *other != own && !doors.contains_key(other)).collect();
        known.insert(own, others);
    }
    known
}

/// Returns a way from a file back to itself.
fn circle<'k>(
    known: &'k BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<&'k str>,
    done: &mut BTreeSet<&'k str>,
) -> Option<String> {
    let file = *way.last()?;
    for next in known.get(file).into_iter().flatten() {
        if let Some(start) = way.iter().position(|before| before == next) {
            return Some(format!("{} -> {next}", way[start..].join(" -> ")));
        }
        if !done.contains(next.as_str()) {
            way.push(next);
            if let Some(found) = circle(known, way, done) {
                return Some(found);
            }
            way.pop();
        }
    }
    done.insert(file);
    None
}

#[test]
fn no_file_knows_itself_by_way_of_others() {
    let known = known_files(&sources());
    let edge_count: usize = known.values().map(BTreeSet::len).sum();
    assert!(edge_count > 500, "only {edge_count} edges were found");
    let mut done = BTreeSet::new();
    let found = known.keys().filter_map(|file| circle(&known, &mut vec![file], &mut done));
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn a_circle_of_files_is_found() {
    let known = |edges: &[(&str, &str)]| {
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            known.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        known
    };
    let straight = known(&[("a", "b"), ("a", "c"), ("b", "c")]);
    assert_eq!(circle(&straight, &mut vec!["a"], &mut BTreeSet::new()), None);
    let round = known(&[("a", "b"), ("b", "c"), ("c", "b")]);
    let found = circle(&round, &mut vec!["a"], &mut BTreeSet::new());
    assert_eq!(found.as_deref(), Some("b -> c -> b"));
}

#[test]
fn files_time_and_the_environment_are_named_in_one_place() {
    let mut offences = Vec::new();
    for source in &sources() {
        let module = module_of(&source.path);
        for spelled in spelled_paths(&source.engine_code, &["std"], &module) {
            let path = spelled.path.join("::");
            for (forbidden, place) in ONE_PLACE {
                let names_it = forbidden.iter().any(|it| {
                    path == *it || path.starts_with(&format!("{it}::")) || path == "std::time"
                });
                if names_it && module.first().is_none_or(|top| top != place) {
                    offences.push(offence(source, &spelled, &format!("{place} alone may name it")));
                }
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn the_engine_prints_nothing_and_has_no_unsafe_code() {
    let mut offences = Vec::new();
    for source in &sources() {
        for word in FORBIDDEN_WORDS {
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            for (at, _) in source.engine_code.match_indices(word) {
                let around = (
                    source.engine_code[..at].chars().next_back(),
                    source.engine_code[at + word.len()..].chars().next(),
                );
                let is_part = around.0.is_some_and(is_word) || around.1.is_some_and(is_word);
                if !is_part {
                    let line = line_of(&source.engine_code, at);
                    offences.push(format!("src/{}:{line}: {word}", source.path.display()));
                }
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn the_table_objects_to_what_it_should() {
    let objects = |module: &str, path: &str| {
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        objection(module, &path).is_some()
    };
    for (module, path) in [
        ("store", "log::Line"),
        ("log", "blob::Pack"),
        ("views", "fold::fold"),
        ("query", "views::State"),
        ("query", "log::TextRef"),
        ("snapshot", "log::TextRef"),
        ("snapshot", "query::Rows"),
        ("snapshot", "engine::Engine"),
        ("query", "engine::Engine"),
        ("engine", "snapshot::Snapshot"),
        ("engine", "db::Options"),
        ("json", "hash::ChainHasher"),
        ("error", "limits::X"),
        ("db", "proof::Proof"),
        ("adapters", "query::lexer"),
        ("log", "Database"),
    ] {
        assert!(objects(module, path), "{module} imports {path}");
    }
    for (module, path) in [
        ("hash", "json::write_ascii"),
        ("fold", "views::State"),
        ("query", "snapshot::Snapshot"),
        ("engine", "fold::fold"),
        ("db", "engine::Group"),
        ("db", "store::Directory"),
        ("adapters", "query::algebra::Query"),
        ("query", "query::parser"),
    ] {
        assert!(!objects(module, path), "{module} imports {path}");
    }
}
