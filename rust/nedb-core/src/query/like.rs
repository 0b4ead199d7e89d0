//! The LIKE pattern, prepared once and matched in linear time.
//!
//! `%` stands for any characters, `_` for one, `\` takes the next character literally (at the end of
//! the pattern it stands for itself). Characters are Unicode scalar values; case counts.
//!
//! Between two `%` every character of the pattern takes exactly one of the text, so the leftmost
//! match of each piece is as good as any, and nothing is ever tried again. A piece with `_` in it is looked for at all
//! places at once, a bit for each (Baeza-Yates and Gonnet's Shift-And): 64 characters of it cost one step a character
//! of the text.
//!
//! Invariants:
//! * A match costs at most the characters of the text times one more than a 64th of those of the pattern, and a
//!   second time where its characters are many.
//! * It ends within a text once the read is to end; what it says then is worth nothing.

use crate::read_budget::ReadBudget;
use memchr::memmem::Finder;
use rustc_hash::FxHashMap;

/// A prepared pattern.
#[derive(Clone, Debug)]
pub(super) struct LikePattern {
    /// What stands between the `%`s, without empty pieces.
    pieces: Vec<Piece>,
    /// Whether the pattern begins with `%`.
    open_start: bool,
    /// Whether the pattern ends with `%`.
    open_end: bool,
    /// Whether there is a `%` at all.
    has_gap: bool,
}

/// A part of a pattern without `%`.
#[derive(Clone, Debug)]
enum Piece {
    /// Only literal characters.
    Literal(Box<Finder<'static>>),
    /// Literal characters and, as None, `_`.
    Mixed(Vec<Option<char>>, Box<ShiftAnd>),
}

/// Which places of a piece a character fits.
#[derive(Clone, Debug)]
struct ShiftAnd {
    /// The places that every character fits, a bit each.
    wild: Vec<u64>,
    /// The other places that a character fits, by word; ascending.
    literal: FxHashMap<char, Vec<(usize, u64)>>,
    /// The last place.
    last_bit: u64,
}

/// Characters of a text that are looked at before the work is counted, where a piece has one word.
const COUNTED_CHARACTERS: usize = 256;

impl ShiftAnd {
    fn new(piece: &[Option<char>]) -> ShiftAnd {
        let mut wild = vec![0; piece.len().div_ceil(64)];
        let mut literal: FxHashMap<char, Vec<(usize, u64)>> = FxHashMap::default();
        for (place, expected) in piece.iter().enumerate() {
            let (word, bit) = (place / 64, 1_u64 << (place % 64));
            match expected {
                None => wild.iter_mut().skip(word).take(1).for_each(|bits| *bits |= bit),
                Some(character) => {
                    let places = literal.entry(*character).or_default();
                    match places.last_mut().filter(|(last, _)| *last == word) {
                        Some((_, bits)) => *bits |= bit,
                        None => places.push((word, bit)),
                    }
                }
            }
        }
        ShiftAnd { wild, literal, last_bit: 1 << (piece.len().saturating_sub(1) % 64) }
    }

    /// Returns what follows the leftmost match.
    fn skip_past<'t>(&self, text: &'t str, budget: Option<&ReadBudget>) -> Option<&'t str> {
        let goes_on = |work| budget.is_none_or(|budget| budget.spend(work));
        let mut states = vec![0_u64; self.wild.len()];
        let work = self.wild.len() * 2;
        for (count, (start, character)) in text.char_indices().enumerate() {
            let is_counted = work > 2 || count.is_multiple_of(COUNTED_CHARACTERS);
            if is_counted && !goes_on(work.max(COUNTED_CHARACTERS)) {
                return None;
            }
            let literal = self.literal.get(&character).map_or(&[][..], Vec::as_slice);
            if self.step(&mut states, literal) {
                return text.get(start + character.len_utf8()..);
            }
        }
        None
    }

    /// Takes in a character; tells whether a match ends with it.
    #[inline]
    fn step(&self, states: &mut [u64], mut literal: &[(usize, u64)]) -> bool {
        // A match may begin with every character.
        let mut carried = 1;
        for (word, (state, wild)) in states.iter_mut().zip(&self.wild).enumerate() {
            let mut fitting = *wild;
            if let Some(((_, bits), rest)) =
                literal.split_first().filter(|((at, _), _)| *at == word)
            {
                fitting |= bits;
                literal = rest;
            }
            let shifted = (*state << 1) | carried;
            carried = *state >> 63;
            *state = shifted & fitting;
        }
        states.last().is_some_and(|state| state & self.last_bit != 0)
    }
}

impl LikePattern {
    /// Prepares a pattern; every text is one.
    pub(super) fn new(pattern: &str) -> LikePattern {
        let mut made =
            LikePattern { pieces: Vec::new(), open_start: false, open_end: false, has_gap: false };
        let mut piece = Vec::new();
        let mut characters = pattern.chars();
        let mut is_first = true;
        while let Some(character) = characters.next() {
            made.open_end = character == '%';
            match character {
                '%' => {
                    made.has_gap = true;
                    made.open_start |= is_first;
                    made.push(std::mem::take(&mut piece));
                }
                '_' => piece.push(None),
                '\\' => piece.push(Some(characters.next().unwrap_or('\\'))),
                other => piece.push(Some(other)),
            }
            is_first = false;
        }
        made.push(piece);
        made
    }

    fn push(&mut self, piece: Vec<Option<char>>) {
        if piece.is_empty() {
            return;
        }
        self.pieces.push(match piece.iter().copied().collect::<Option<String>>() {
            Some(literal) => Piece::Literal(Box::new(Finder::new(literal.as_bytes()).into_owned())),
            None => {
                let places = Box::new(ShiftAnd::new(&piece));
                Piece::Mixed(piece, places)
            }
        });
    }

    /// Returns about how much work is done for each byte of a text.
    pub(super) fn work_per_byte(&self) -> usize {
        let of = |piece: &Piece| match piece {
            Piece::Literal(_) => 1,
            Piece::Mixed(_, places) => places.wild.len() * 2,
        };
        self.pieces.iter().map(of).max().unwrap_or(1)
    }

    /// Returns whether the whole of `text` matches; no, once the read is to end.
    pub(super) fn matches(&self, text: &str, budget: Option<&ReadBudget>) -> bool {
        let mut rest = text;
        let mut pieces = self.pieces.as_slice();
        if !self.has_gap {
            return match pieces {
                [] => text.is_empty(),
                [piece, ..] => piece.strip_prefix(text) == Some(""),
            };
        }
        if let ([first, others @ ..], false) = (pieces, self.open_start) {
            let Some(after) = first.strip_prefix(rest) else { return false };
            (rest, pieces) = (after, others);
        }
        if let ([others @ .., last], false) = (pieces, self.open_end) {
            let Some(before) = last.strip_suffix(rest) else { return false };
            (rest, pieces) = (before, others);
        }
        pieces.iter().all(|piece| match piece.skip_past(rest, budget) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

impl Piece {
    /// Returns what follows the piece, if the text begins with it.
    fn strip_prefix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => text
                .as_bytes()
                .starts_with(finder.needle())
                .then(|| text.get(finder.needle().len()..))?,
            Piece::Mixed(pattern, _) => {
                let mut characters = text.chars();
                for expected in pattern {
                    let found = characters.next()?;
                    if expected.is_some_and(|expected| expected != found) {
                        return None;
                    }
                }
                Some(characters.as_str())
            }
        }
    }

    /// Returns what precedes the piece, if the text ends with it.
    fn strip_suffix<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => {
                let start = text.len().checked_sub(finder.needle().len())?;
                text.as_bytes().ends_with(finder.needle()).then(|| text.get(..start))?
            }
            Piece::Mixed(pattern, _) => {
                let mut characters = text.chars();
                for expected in pattern.iter().rev() {
                    let found = characters.next_back()?;
                    if expected.is_some_and(|expected| expected != found) {
                        return None;
                    }
                }
                Some(characters.as_str())
            }
        }
    }

    /// Returns what follows the leftmost place where the piece matches.
    fn skip_past<'t>(&self, text: &'t str, budget: Option<&ReadBudget>) -> Option<&'t str> {
        match self {
            Piece::Literal(finder) => {
                let start = finder.find(text.as_bytes())?;
                text.get(start + finder.needle().len()..)
            }
            // A piece is as many characters long, and so at least as many bytes.
            Piece::Mixed(pattern, _) if pattern.len() > text.len() => None,
            Piece::Mixed(_, places) => places.skip_past(text, budget),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        LikePattern::new(pattern).matches(text, None)
    }

    #[test]
    fn percent_stands_for_any_characters_and_underscore_for_one() {
        assert!(like("alice", "al%"));
        assert!(like("alice", "%ice"));
        assert!(like("alice", "%lic%"));
        assert!(like("alice", "a_ice"));
        assert!(like("alice", "a%_e"));
        assert!(like("", "%"));
        assert!(like("", ""));
        assert!(like("naïve", "na_ve"));
        assert!(!like("alice", "al"));
        assert!(!like("alice", "Al%"));
        assert!(!like("", "_"));
        assert!(!like("x", ""));
        assert!(!like("ab", "_"));
    }

    #[test]
    fn pieces_never_overlap() {
        assert!(!like("aba", "ab%ba"));
        assert!(like("abba", "ab%ba"));
        assert!(like("abcbc", "a%bc"));
        assert!(!like("ab", "%b%b"));
        assert!(like("xaybz", "%a_b%"));
    }

    #[test]
    fn backslash_takes_the_next_character_literally() {
        assert!(like("100%", "100\\%"));
        assert!(!like("1000", "100\\%"));
        assert!(like("a_b", "a\\_b"));
        assert!(!like("axb", "a\\_b"));
        assert!(like("a\\", "a\\"));
        assert!(like("a\\b", "a\\\\b"));
        assert!(like("50%x", "%\\%%"));
        assert!(!like("ab%", "\\%%"));
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let text = "a".repeat(100_000);
        assert!(!like(&text, &format!("{}b", "%a".repeat(1_000))));
        assert!(!like(&text, &format!("{}%b", "%a_a".repeat(50))));
    }

    #[test]
    fn a_long_piece_with_underscores_is_found_across_words_of_bits() {
        for length in [1, 62, 63, 64, 65, 127, 128, 129, 1_000] {
            let wild = "_".repeat(length);
            let text = format!("{}é{}b", "a".repeat(length), "ü".repeat(length));
            assert!(like(&text, &format!("%é{wild}b")), "{length}");
            assert!(like(&text, &format!("%é{wild}b%")), "{length}");
            assert!(like(&text, &format!("%{wild}é%{wild}b%")), "{length}");
            assert!(!like(&text, &format!("%é_{wild}b%")), "{length}");
            assert!(!like(&text, &format!("%b{wild}%")), "{length}");
        }
    }

    #[test]
    fn a_pattern_is_matched_in_its_64th_part_and_ends_within_a_text() {
        let text = "a".repeat(1_000_000);
        let pattern = LikePattern::new(&format!("%{}b%", "_".repeat(500_000)));
        assert!(pattern.work_per_byte() <= 2 * (500_000 / 64 + 1));
        let cancellation = crate::Cancellation::new();
        cancellation.cancel();
        let budget = ReadBudget::new(Some(cancellation), usize::MAX);
        // Without an end it would take seconds.
        let begun = crate::clock::Stopwatch::start();
        assert!(!pattern.matches(&text, Some(&budget)));
        assert!(budget.check().is_err() && begun.elapsed_us() < 1_000_000);
    }

    #[test]
    fn every_answer_is_that_of_the_plain_recursive_definition() {
        fn naive(text: &[char], pattern: &[char]) -> bool {
            match (pattern, text) {
                ([], _) => text.is_empty(),
                (['%', rest @ ..], _) => (0..=text.len()).any(|taken| naive(&text[taken..], rest)),
                (['_', rest @ ..], [_, others @ ..]) => naive(others, rest),
                ([wanted, rest @ ..], [found, others @ ..]) => {
                    wanted == found && naive(others, rest)
                }
                _ => false,
            }
        }
        let words = |alphabet: &[char], length: u32| -> Vec<Vec<char>> {
            (0..=length)
                .flat_map(|size| (0..alphabet.len().pow(size)).map(move |number| (size, number)))
                .map(|(size, number)| {
                    (0..size)
                        .map(|place| alphabet[number / alphabet.len().pow(place) % alphabet.len()])
                        .collect()
                })
                .collect()
        };
        for pattern in words(&['a', 'b', '%', '_'], 5) {
            let prepared = LikePattern::new(&pattern.iter().collect::<String>());
            for text in words(&['a', 'b'], 5) {
                let expected = naive(&text, &pattern);
                assert_eq!(
                    prepared.matches(&text.iter().collect::<String>(), None),
                    expected,
                    "{text:?} {pattern:?}"
                );
            }
        }
    }
}
