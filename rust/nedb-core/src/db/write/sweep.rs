//! Documents whose end has come, deleted.

use super::put::{Target, delete_draft};
use crate::db::check;
use crate::db::database::Database;
use crate::db::options::WriteOptions;
use crate::error::Result;
use crate::op::Seq;
use crate::views::State;

/// Who a sweep writes as, so that its nonces are nobody else's.
const SWEEP_CLIENT: &str = "__ttl__";

impl Database {
    /// Deletes every document whose end has come, one op each, and returns how many.
    ///
    /// Errors: `ReadOnly`, `DatabaseClosed`, `CommitUnknown`.
    pub fn sweep(&self) -> Result<u64> {
        let options =
            WriteOptions { client: Some(SWEEP_CLIENT.to_owned()), ..WriteOptions::default() };
        let checked = check::options(&options)?;
        self.inner.engine.admit(|group| {
            let now = group.now_seconds();
            let candidates = group.with_state(|state| due(state, now));
            let mut count = 0;
            for (collection, id) in &candidates {
                // It may have been put again or deleted by a write that is not folded yet.
                if group.pending_version(collection, id).is_some() {
                    continue;
                }
                let draft = delete_draft(&Target { collection, id }, &checked);
                group.stage_owned(draft)?;
                group.note_staged();
                count += 1;
            }
            Ok(count)
        })
    }
}

/// Returns the documents whose end has come, soonest first, those with one end in the order written:
/// collections are not numbered in an order that the log knows, since an index may make one.
fn due(state: &State, now_seconds: f64) -> Vec<(String, String)> {
    let documents = &state.views.documents;
    let with_order = |(collection, document)| {
        let version = documents.versions(collection, document).last()?;
        let end = documents.expires_at(collection, version)?;
        let name = documents.collection_name(collection).to_owned();
        Some((end, version.seq, version.item, name, documents.id(collection, document).to_owned()))
    };
    let mut due: Vec<(f64, Seq, u32, String, String)> =
        state.views.expiry.due(now_seconds).filter_map(with_order).collect();
    due.sort_by(|left, right| {
        left.0.total_cmp(&right.0).then((left.1, left.2).cmp(&(right.1, right.2)))
    });
    due.into_iter().map(|(_, _, _, collection, id)| (collection, id)).collect()
}
