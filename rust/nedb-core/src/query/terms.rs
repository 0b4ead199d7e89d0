//! The text of a SEARCH: its terms and phrases, and how often they occur in a document.
//!
//! In: the text as the query wrote it; a document's canonical text. Out: for each term, how often it
//! occurs in the fields searched, and how long those are.
//!
//! Invariants:
//! * Terms are what the tokenizer of the search index makes of the text: an index and a scan agree.
//! * Only string values count. Keys never do; where no field is named, neither does what stands under
//!   a top-level name that begins with `_`.
//! * A phrase is consecutive tokens within one string.

use crate::json::{Path, members};
use crate::read_budget::ReadBudget;
use crate::snapshot::{for_each_string, tokenize, tokenize_until};
use std::ops::ControlFlow;

/// Stands for a token that is no term.
const OTHER: usize = usize::MAX;
/// What making a word of a text takes.
const WORD_WORK: usize = 32;

/// The prepared text of a SEARCH.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Terms {
    /// Every term once, those of phrases too, in the order written.
    pub(super) terms: Vec<String>,
    /// Phrases of two tokens or more, as places in `terms`.
    phrases: Vec<Vec<usize>>,
}

/// How the terms occur in one document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Occurrences {
    /// For each term, how often.
    pub(super) frequencies: Vec<u32>,
    /// Tokens in the fields searched.
    pub(super) length: u32,
    /// For each phrase, whether it occurs.
    phrases: Vec<bool>,
}

impl Terms {
    /// Prepares a text: words, and phrases in quotes. A quote that is never closed is a blank.
    pub(super) fn new(text: &str) -> Terms {
        let mut made = Terms::default();
        let quote_count = text.matches('"').count();
        for (index, part) in text.split('"').enumerate() {
            let is_phrase = index % 2 == 1 && index < quote_count;
            let places = made.take(part);
            if is_phrase && places.len() > 1 {
                made.phrases.push(places);
            }
        }
        made
    }

    fn take(&mut self, text: &str) -> Vec<usize> {
        let mut places = Vec::new();
        tokenize(text, &mut |token| {
            let known = self.terms.iter().position(|term| term == token);
            places.push(known.unwrap_or_else(|| {
                self.terms.push(token.to_owned());
                self.terms.len() - 1
            }));
        });
        places
    }

    /// Returns whether there is a phrase that only the text itself can confirm.
    pub(super) fn has_phrases(&self) -> bool {
        !self.phrases.is_empty()
    }

    /// Counts the terms in the named fields of a document; in all its strings when none are named. Not all, once the
    /// read is to end.
    pub(super) fn count(
        &self,
        document: &str,
        fields: &[Path],
        budget: Option<&ReadBudget>,
    ) -> Occurrences {
        let mut found = Occurrences {
            frequencies: vec![0; self.terms.len()],
            length: 0,
            phrases: vec![false; self.phrases.len()],
        };
        let mut places = Vec::new();
        let work = WORD_WORK + self.terms.len();
        visit_strings(document, fields, &mut |string| {
            places.clear();
            tokenize_until(string, &mut |token| {
                if budget.is_some_and(|budget| !budget.spend(work + token.len())) {
                    return ControlFlow::Break(());
                }
                places.push(self.terms.iter().position(|term| term == token).unwrap_or(OTHER));
                ControlFlow::Continue(())
            });
            self.count_string(&places, &mut found);
        });
        found
    }

    fn count_string(&self, places: &[usize], found: &mut Occurrences) {
        found.length = found.length.saturating_add(u32::try_from(places.len()).unwrap_or(u32::MAX));
        for &place in places {
            if let Some(frequency) = found.frequencies.get_mut(place) {
                *frequency = frequency.saturating_add(1);
            }
        }
        for (phrase, occurs) in self.phrases.iter().zip(&mut found.phrases) {
            *occurs |= places.windows(phrase.len()).any(|window| window == phrase);
        }
    }
}

impl Occurrences {
    /// Returns whether every term and every phrase occurs.
    pub(super) fn is_match(&self) -> bool {
        self.frequencies.iter().all(|&frequency| frequency > 0) && self.has_phrases()
    }

    /// Returns whether every phrase occurs.
    pub(super) fn has_phrases(&self) -> bool {
        self.phrases.iter().all(|&occurs| occurs)
    }
}

/// Shows every string that is searched to `visit`, in the order of the text.
fn visit_strings(document: &str, fields: &[Path], visit: &mut dyn FnMut(&str)) {
    if fields.is_empty() {
        for (key, value) in members(document) {
            if !key.starts_with('_') {
                for_each_string(value, visit);
            }
        }
    }
    for field in fields {
        if let Some(value) = field.pick(document) {
            for_each_string(value, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, document: &str, fields: &[&str]) -> Occurrences {
        let fields: Vec<Path> = fields.iter().map(|field| Path::parse(field)).collect();
        Terms::new(text).count(document, &fields, None)
    }

    #[test]
    fn terms_are_folded_and_each_is_there_once() {
        let terms = Terms::new("Rust  rust, \"Systems Engineer\" engineer \"one\"");
        assert_eq!(terms.terms, ["rust", "systems", "engineer", "one"]);
        assert_eq!(terms.phrases, [[1, 2]]);
        assert!(Terms::new(" ,. \"\" ").terms.is_empty());
    }

    #[test]
    fn an_unclosed_quote_makes_no_phrase() {
        let terms = Terms::new("a \"b c");
        assert_eq!(terms.terms, ["a", "b", "c"]);
        assert!(!terms.has_phrases());
    }

    #[test]
    fn strings_are_found_at_any_depth_and_keys_never() {
        let document = r#"{"_id":"rust","a":["Rust",{"rust":"x \"rust\" y"}],"b":1,"rust":null}"#;
        let found = count("rust", document, &[]);
        assert_eq!(found, Occurrences { frequencies: vec![2], length: 4, phrases: vec![] });
    }

    #[test]
    fn named_fields_alone_are_searched() {
        let document = r#"{"_note":"rust","a":{"b":["rust go"]},"c":"rust"}"#;
        assert_eq!(count("rust", document, &["a.b"]).frequencies, [1]);
        assert_eq!(count("rust", document, &["_note", "c"]).frequencies, [2]);
        assert_eq!(count("rust", document, &["d"]).length, 0);
        assert!(!count("rust zig", document, &["a"]).is_match());
    }

    #[test]
    fn a_phrase_is_consecutive_tokens_of_one_string() {
        let text = "\"big red fox\"";
        assert!(count(text, r#"{"a":"the BIG, red fox"}"#, &[]).is_match());
        assert!(!count(text, r#"{"a":"red big fox"}"#, &[]).is_match());
        assert!(!count(text, r#"{"a":["big red","fox"]}"#, &[]).is_match());
    }
}
