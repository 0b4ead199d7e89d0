//! `meta.json`: which indexes there are.

use crate::crypto::{Protection, is_legacy_envelope};
use crate::error::{Error, Result};
use crate::json::{Path as FieldPath, elements, members, string_text, write_string};
use crate::limits::INDEXES_COUNT_MAX;
use crate::snapshot::IndexKind;
use crate::store::Directory;
use crate::views::index::CollectionIndexes;
use crate::views::{State, Views};

/// What `meta.json` is sealed as.
pub(in crate::db) const META_CONTEXT: &[u8] = b"meta.json";

/// An index as `meta.json` names it: collection, field, kind.
pub(in crate::db) type Definition = (String, FieldPath, IndexKind);

/// The indexes of collections as they will be, in the order in which the collections were named.
pub(in crate::db) type Changed<'a> = Vec<(&'a str, CollectionIndexes)>;

/// Tells whether views have the indexes that are defined, and no others.
pub(in crate::db) fn has_indexes(views: &Views, definitions: &[Definition]) -> bool {
    let sorted = |all: &mut dyn Iterator<Item = (String, FieldPath, &'static str)>| {
        let mut all: Vec<_> = all.collect();
        all.sort();
        all.dedup();
        all
    };
    let found = views.indexes.definitions().into_iter().map(|(collection, kind, path)| {
        (views.documents.collection_name(collection).to_owned(), path, kind.as_str())
    });
    let wanted = definitions.iter();
    let wanted = wanted.map(|(name, path, kind)| (name.clone(), path.clone(), kind.as_str()));
    sorted(&mut { found }) == sorted(&mut { wanted })
}

/// Reads `meta.json`: `{"indexes": [[collection, field, kind], ...]}`. What is no index, or one too many, is added
/// to `warnings`: without it every query has the same result.
///
/// Errors: `StorageError`, `IntegrityError`.
pub(in crate::db) fn read_definitions(
    directory: &Directory,
    protection: &Protection,
    warnings: &mut Vec<String>,
) -> Result<Vec<Definition>> {
    let Some(text) = read_meta(directory, protection)? else { return Ok(Vec::new()) };
    let canonical =
        crate::json::canonicalize(&text).map_err(|error| damaged_definitions(error.message()))?;
    let list = members(&canonical).find(|(key, _)| *key == "indexes").map_or("[]", |(_, it)| it);
    let mut definitions = Vec::new();
    for (place, definition) in elements(list).enumerate() {
        if place == INDEXES_COUNT_MAX {
            warnings.push(format!(
                "meta.json names more than {INDEXES_COUNT_MAX} indexes, the most that a database has; the others \
                 are ignored"
            ));
            break;
        }
        let parts: Vec<_> = elements(definition).filter_map(string_text).collect();
        let kind = parts.get(2).map(|kind| IndexKind::parse(kind));
        match (parts.as_slice(), kind) {
            ([collection, field, _], Some(Ok(kind))) => {
                definitions.push((collection.to_string(), FieldPath::parse(field), kind));
            }
            _ => warnings.push(format!(
                "meta.json names an index that is none, {definition}; it is ignored"
            )),
        }
    }
    Ok(definitions)
}

/// Reads the text of `meta.json`. NEDB 1.x left it plain in an encrypted database: it is taken as it is as
/// long as the log begins with lines of 1.x.
///
/// Errors: `IntegrityError` when it is damaged, or plain where it must not be; `StorageError`.
pub(in crate::db) fn read_meta(
    directory: &Directory,
    protection: &Protection,
) -> Result<Option<String>> {
    let Some(bytes) = directory.read_meta()? else { return Ok(None) };
    if let Some(text) = protection.open_text(META_CONTEXT, &bytes)? {
        return Ok(Some(text));
    }
    if protection.as_sealed().is_some() {
        let front = directory.read_log_front()?.unwrap_or_default();
        if !front.is_empty() && !is_legacy_envelope(&front) {
            return Err(Error::integrity("meta.json is not encrypted, and the database is"));
        }
    }
    String::from_utf8(bytes).map(Some).map_err(|_| damaged_definitions("it is not UTF-8"))
}

/// Says what is wrong with `meta.json`, and that no more than indexes is at stake.
pub(in crate::db) fn damaged_definitions(what: &str) -> Error {
    Error::integrity(format!(
        "meta.json is damaged: {what}; it holds nothing but which indexes there are: move it away, open the \
         database, and make them again"
    ))
}

/// Returns `meta.json`, with the indexes of some collections as they will be.
pub(in crate::db) fn definitions_text(state: &State, changed: Option<&Changed<'_>>) -> String {
    let others = state.views.indexes.definitions().into_iter().map(|(number, kind, path)| {
        (state.views.documents.collection_name(number).to_owned(), path.to_string(), kind)
    });
    let mine = changed.into_iter().flatten().flat_map(|(collection, indexes)| {
        let named = move |(kind, path): (IndexKind, &FieldPath)| {
            ((*collection).to_owned(), path.to_string(), kind)
        };
        indexes.definitions().map(named)
    });
    let is_changed =
        |name: &str| changed.is_some_and(|changed| changed.iter().any(|(it, _)| *it == name));
    let all = others.filter(|(name, _, _)| !is_changed(name)).chain(mine);
    let mut out = String::from("{\"indexes\":[");
    for (place, (name, field, kind)) in all.enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push('[');
        write_string(&name, &mut out);
        out.push(',');
        write_string(&field, &mut out);
        out.push_str(&format!(",\"{}\"]", kind.as_str()));
    }
    out.push_str("]}\n");
    out
}
