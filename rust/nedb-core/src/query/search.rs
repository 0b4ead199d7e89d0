//! SEARCH: the documents in which all terms occur, with a score.
//!
//! In: a collection, a text, fields. Out: document rows with their BM25 score, ranked by it or in
//! order of creation.
//!
//! Invariants:
//! * An index changes no row and no score: the statistics of a scan are those of the index, taken of
//!   all documents of the collection at the read's seq, whatever their valid time and expiry.
//! * Ranked rows with equal scores come in order of creation.
//! * A text without a token matches nothing.

use rustc_hash::FxHashMap;

use super::filter::Predicate;
use super::rows::{DocumentRow, RowView};
use super::terms::{Occurrences, Terms};
use crate::error::Result;
use crate::json::Path;
use crate::limits::SCAN_CHUNK_COUNT;
use crate::read_budget::LOOK_OVERHEAD;
use crate::snapshot::{CollectionId, DocRef, ScanCursor, SearchMatch, SearchMatches, Snapshot};

/// How fast a further occurrence of a term counts less (k1 of BM25).
const SATURATION: f64 = 1.2;
/// What making words of a byte takes, in the work of looking at one.
const WORK_PER_BYTE: usize = 8;
/// What a document that matches holds, in bytes.
const MATCH_BYTES: usize = 160;
/// How much a long document counts less (b of BM25).
const LENGTH_WEIGHT: f64 = 0.75;

/// One SEARCH, prepared.
#[derive(Debug)]
pub(super) struct Search {
    /// The collection searched.
    pub(super) collection: CollectionId,
    /// What is searched for.
    pub(super) terms: Terms,
    /// Where: empty for all strings.
    pub(super) fields: Vec<Path>,
    /// Whether a search index answers.
    pub(super) indexed: bool,
    /// Whether the query reads at a valid time, so that a document may be seen in another version
    /// than the one the statistics count.
    pub(super) at_valid_time: bool,
    /// What else must hold of a row.
    pub(super) predicate: Option<Predicate>,
    /// Whether the best score comes first; else the order of creation stays.
    pub(super) ranked: bool,
    /// How many rows are wanted. None: all.
    pub(super) keep: Option<usize>,
}

/// Returns the fields that a SEARCH looks in: those named, each once, else those with a search index
/// today. No field at all means every string.
pub(super) fn resolve_fields(
    snapshot: &Snapshot<'_>,
    collection: CollectionId,
    named: &[Path],
) -> Vec<Path> {
    if named.is_empty() {
        return snapshot.search_fields(collection).to_vec();
    }
    let mut fields: Vec<Path> = Vec::with_capacity(named.len());
    for field in named {
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }
    fields
}

/// Returns whether an index covers exactly these fields: the length of a document counts them all.
pub(super) fn is_indexed(
    snapshot: &Snapshot<'_>,
    collection: CollectionId,
    fields: &[Path],
) -> bool {
    let indexed = snapshot.search_fields(collection);
    !fields.is_empty()
        && fields.len() == indexed.len()
        && fields.iter().all(|field| indexed.contains(field))
}

impl Search {
    /// Returns the rows.
    pub(super) fn run(&self, snapshot: &mut Snapshot<'_>) -> Result<Vec<DocumentRow>> {
        if self.terms.terms.is_empty() || self.keep == Some(0) {
            return Ok(Vec::new());
        }
        let found = match self.use_index(snapshot)? {
            Some(found) => found,
            None => self.scan(snapshot)?,
        };
        let mut rows = self.retain(snapshot, found)?;
        let keep = self.keep.unwrap_or(usize::MAX);
        if self.ranked {
            rows = snapshot.apart(|_| best(&rows, keep))?;
        }
        rows.truncate(keep);
        Ok(rows)
    }

    fn use_index(&self, snapshot: &mut Snapshot<'_>) -> Result<Option<Found>> {
        if !self.indexed {
            return Ok(None);
        }
        let matches = snapshot.search(self.collection, &self.fields, &self.terms.terms)?;
        let Some(matches) = matches else { return Ok(None) };
        let statistics = Statistics {
            document_count: matches.document_count,
            token_count: matches.token_count,
            document_frequency: matches.document_frequency,
        };
        let SearchMatches { matches, frequencies, .. } = matches;
        Ok(Some(Found { statistics, matches, frequencies, phrases_checked: false }))
    }

    /// Takes the statistics of all documents, then keeps those matches that the query may see.
    fn scan(&self, snapshot: &mut Snapshot<'_>) -> Result<Found> {
        let mut statistics = Statistics::new(self.terms.terms.len());
        let mut matching: FxHashMap<DocRef, Occurrences> = FxHashMap::default();
        let mut cursor = ScanCursor::default();
        let mut handles = Vec::new();
        let mut more = true;
        while more {
            handles.clear();
            more = snapshot.scan_chunk_all(
                self.collection,
                &mut cursor,
                SCAN_CHUNK_COUNT,
                &mut handles,
            );
            for &document in &handles {
                let found = self.count(snapshot, document)?;
                statistics.add(&found);
                if found.is_match() {
                    snapshot.budget().hold(MATCH_BYTES);
                    matching.insert(document, found);
                }
            }
            snapshot.go_on()?;
        }
        let (matches, frequencies) = self.visible_matches(snapshot, &matching)?;
        Ok(Found { statistics, matches, frequencies, phrases_checked: true })
    }

    fn visible_matches(
        &self,
        snapshot: &mut Snapshot<'_>,
        matching: &FxHashMap<DocRef, Occurrences>,
    ) -> Result<(Vec<SearchMatch>, Vec<u32>)> {
        let (mut matches, mut frequencies) = (Vec::new(), Vec::new());
        let mut cursor = ScanCursor::default();
        let mut handles = Vec::new();
        let mut more = self.at_valid_time || !matching.is_empty();
        while more {
            handles.clear();
            more =
                snapshot.scan_chunk(self.collection, &mut cursor, SCAN_CHUNK_COUNT, &mut handles);
            for &document in &handles {
                let found = match matching.get(&document) {
                    Some(found) => found.clone(),
                    None if self.at_valid_time => self.count(snapshot, document)?,
                    None => continue,
                };
                if found.is_match() {
                    matches.push(SearchMatch { document, length: found.length });
                    frequencies.extend(found.frequencies);
                }
            }
            snapshot.go_on_after(SCAN_CHUNK_COUNT * LOOK_OVERHEAD / 4)?;
        }
        Ok((matches, frequencies))
    }

    /// Tells whether a document passes the predicate, and, where that is asked, has the phrases.
    fn passes(
        &self,
        snapshot: &mut Snapshot<'_>,
        document: DocRef,
        check_phrases: bool,
    ) -> Result<bool> {
        let seq = Some(snapshot.seq_of(document));
        let predicate = self.predicate.as_ref();
        let work_per_byte = predicate.map_or(0, Predicate::work_per_byte) + WORK_PER_BYTE;
        snapshot.with_text(document, work_per_byte, |text, budget| {
            let row = RowView { text, seq, score: None, budget: Some(budget) };
            predicate.is_none_or(|predicate| predicate.holds(&row))
                && (!check_phrases
                    || self.terms.count(text, &self.fields, Some(budget)).has_phrases())
        })
    }

    /// Counts the terms in a document.
    fn count(&self, snapshot: &mut Snapshot<'_>, document: DocRef) -> Result<Occurrences> {
        snapshot.with_text(document, WORK_PER_BYTE, |text, budget| {
            self.terms.count(text, &self.fields, Some(budget))
        })
    }

    /// Scores what was found, and keeps what passes the predicate and has the phrases.
    fn retain(&self, snapshot: &mut Snapshot<'_>, found: Found) -> Result<Vec<DocumentRow>> {
        let check_phrases = self.terms.has_phrases() && !found.phrases_checked;
        let weights = found.statistics.weights();
        let mut rows = Vec::with_capacity(found.matches.len());
        let frequencies = found.frequencies.chunks_exact(self.terms.terms.len().max(1));
        for (matched, frequencies) in found.matches.iter().zip(frequencies) {
            let SearchMatch { document, length } = *matched;
            snapshot.go_on_after(LOOK_OVERHEAD)?;
            if (check_phrases || self.predicate.is_some())
                && !self.passes(snapshot, document, check_phrases)?
            {
                continue;
            }
            let score = found.statistics.score(&weights, frequencies, length);
            rows.push(DocumentRow { document, score: Some(score) });
            if !self.ranked && Some(rows.len()) == self.keep {
                break;
            }
        }
        Ok(rows)
    }
}

/// Returns the rows with the best scores, at most `keep`, the best first; of equals, the first.
fn best(rows: &[DocumentRow], keep: usize) -> Vec<DocumentRow> {
    let score = |row: &DocumentRow| row.score.unwrap_or_default();
    let mut places: Vec<(f64, usize)> =
        rows.iter().enumerate().map(|(place, row)| (score(row), place)).collect();
    let order = |left: &(f64, usize), right: &(f64, usize)| {
        right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
    };
    if let Some(last) = keep.checked_sub(1).filter(|last| *last < places.len()) {
        places.select_nth_unstable_by(last, order);
        places.truncate(keep);
    }
    places.sort_unstable_by(order);
    places.iter().filter_map(|(_, place)| rows.get(*place)).copied().collect()
}

/// What the terms were found in, in order of creation.
struct Found {
    statistics: Statistics,
    matches: Vec<SearchMatch>,
    /// How often each match has each term: the counts of one after those of the one before.
    frequencies: Vec<u32>,
    phrases_checked: bool,
}

/// What BM25 knows of the whole collection.
#[derive(Clone, Debug, PartialEq)]
struct Statistics {
    document_count: u64,
    token_count: u64,
    document_frequency: Vec<u64>,
}

impl Statistics {
    fn new(term_count: usize) -> Statistics {
        Statistics { document_count: 0, token_count: 0, document_frequency: vec![0; term_count] }
    }

    fn add(&mut self, found: &Occurrences) {
        self.document_count += 1;
        self.token_count += u64::from(found.length);
        for (documents, &frequency) in self.document_frequency.iter_mut().zip(&found.frequencies) {
            *documents += u64::from(frequency > 0);
        }
    }

    /// Returns the inverse document frequency of each term.
    fn weights(&self) -> Vec<f64> {
        let all = self.document_count as f64;
        self.document_frequency
            .iter()
            .map(|&with| (1.0 + (all - with as f64 + 0.5) / (with as f64 + 0.5)).ln())
            .collect()
    }

    /// Returns the BM25 score of one document.
    fn score(&self, weights: &[f64], frequencies: &[u32], length: u32) -> f64 {
        let mean = self.token_count as f64 / (self.document_count.max(1)) as f64;
        let relative = if mean > 0.0 { f64::from(length) / mean } else { 1.0 };
        let damping = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * relative);
        let parts = weights.iter().zip(frequencies).map(|(weight, &frequency)| {
            let frequency = f64::from(frequency);
            weight * frequency * (SATURATION + 1.0) / (frequency + damping)
        });
        parts.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_formula() {
        let statistics =
            Statistics { document_count: 10, token_count: 50, document_frequency: vec![2, 10] };
        let weights = statistics.weights();
        let expected = (1.0_f64 + 8.5 / 2.5).ln();
        assert!((weights[0] - expected).abs() < 1e-12);
        assert!(weights[1] > 0.0);
        let score = statistics.score(&weights[..1], &[3], 5);
        assert!((score - expected * 3.0 * 2.2 / (3.0 + 1.2)).abs() < 1e-12);
    }

    #[test]
    fn rare_terms_frequent_terms_and_short_documents_score_higher() {
        let statistics =
            Statistics { document_count: 10, token_count: 50, document_frequency: vec![1, 9] };
        let weights = statistics.weights();
        let score = |frequencies: &[u32], length| statistics.score(&weights, frequencies, length);
        assert!(score(&[1, 0], 5) > score(&[0, 1], 5));
        assert!(score(&[2, 0], 5) > score(&[1, 0], 5));
        assert!(score(&[1, 0], 2) > score(&[1, 0], 9));
    }

    #[test]
    fn an_empty_collection_has_no_mean_and_divides_by_nothing() {
        let statistics = Statistics::new(1);
        assert!(statistics.score(&statistics.weights(), &[1], 1).is_finite());
    }
}
