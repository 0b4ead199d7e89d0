//! TRAVERSE: the documents that the rows link to.
//!
//! In: document rows, a relation. Out: the documents at the other end, each once, in the order first
//! reached; a target that does not exist at the read point is left out.

use std::collections::HashSet;

use super::rows::{DocumentRow, RowSet};
use crate::error::{Error, Result};
use crate::read_budget::LOOK_OVERHEAD;
use crate::snapshot::{EdgeCursor, Snapshot};

/// What a document that was reached holds, in bytes.
const REACHED_BYTES: usize = 64;

/// Returns the first `keep` documents (None: all) that the rows link to.
pub(super) fn traverse(
    rows: RowSet,
    snapshot: &mut Snapshot<'_>,
    relation: &str,
    keep: Option<usize>,
) -> Result<RowSet> {
    let starts = documents_of(rows, "TRAVERSE")?;
    let keep = keep.unwrap_or(usize::MAX);
    let mut seen = HashSet::new();
    let mut reached = Vec::new();
    for start in &starts {
        let node = node_of(snapshot, start);
        let mut cursor = EdgeCursor::default();
        let mut has_more = reached.len() < keep;
        while has_more {
            has_more = false;
            for (edge, node) in snapshot.neighbors(&node, relation, cursor) {
                let found = node.split_once(':').and_then(|(name, id)| snapshot.find(name, id));
                if let Some(document) = found
                    && seen.insert(document)
                {
                    snapshot.budget().hold(REACHED_BYTES);
                    reached.push(DocumentRow { document, score: None });
                }
                cursor = edge;
                snapshot.budget().spend(LOOK_OVERHEAD);
                if snapshot.budget().is_due() || reached.len() >= keep {
                    has_more = reached.len() < keep;
                    break;
                }
            }
            snapshot.go_on()?;
        }
    }
    reached.truncate(keep);
    Ok(RowSet::Documents(reached))
}

fn node_of(snapshot: &Snapshot<'_>, row: &DocumentRow) -> String {
    let collection = snapshot.collection_name(row.document.collection);
    format!("{collection}:{}", snapshot.id_of(row.document))
}

/// Returns the document rows, or an error that names the clause which needs them.
pub(super) fn documents_of(rows: RowSet, clause: &str) -> Result<Vec<DocumentRow>> {
    match rows {
        RowSet::Documents(rows) => Ok(rows),
        RowSet::Computed(_) => {
            Err(Error::nql(format!("{clause} needs documents, and a group row is none"), None))
        }
    }
}
